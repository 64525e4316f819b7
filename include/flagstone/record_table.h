// Handles of tables: which records an operation is about. Cheap to copy, valid while the store is
// open, and for the sessions of this store alone. Another store's handle is INVALID_ARGUMENT for
// every write, and for reads that go further than the record's home slot; the inlined look at that
// slot does not ask in release builds, debug builds of the caller stop there.
#ifndef FLAGSTONE_RECORD_TABLE_H_
#define FLAGSTONE_RECORD_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "flagstone/export.h"
#include "flagstone/internal/table_view.h"
#include "flagstone/size_class.h"
#include "flagstone/status.h"

namespace flagstone {

namespace txn {
struct TableState;
}  // namespace txn

class RecordGuard;
class Store;
template <typename T>
class TypedGuard;

// A table of records of one size, as bytes. From Store::CreateTable() or OpenTable().
class RecordTable {
 public:
  using Guard = RecordGuard;  // what reads return

  FLAGSTONE_EXPORT std::string_view name() const;
  uint32_t record_bytes() const { return view_->payload_bytes; }
  // The class records go to unless an insert names another one.
  uint32_t size_class() const { return view_->class_number; }

  // For the library.
  RecordTable(const internal::TableView* view, txn::TableState* state)
      : places_(view->places), view_(view), state_(state) {}
  const internal::HomePlaces<internal::TableShape>& places() const { return places_; }
  const internal::TableView& view() const { return *view_; }
  txn::TableState& state() const { return *state_; }

 private:
  internal::HomePlaces<internal::TableShape> places_;
  const internal::TableView* view_;
  txn::TableState* state_;
};

// What may be a record of a typed table: its bytes are the value, payloads are 8-byte aligned, and
// the longest have 2,093,032 bytes.
template <typename T>
concept RecordType = std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T> &&
                         alignof(T) <= 8 &&
                     !std::is_pointer_v<T> && !std::is_reference_v<T> &&
                     sizeof(T) <= internal::kRecordBytesMax;

// A table whose records are values of T. From Store::CreateTableOf<T>() or OpenTableOf<T>().
template <RecordType T>
class RecordTableOf {
 public:
  using Guard = TypedGuard<T>;

  const RecordTable& untyped() const { return table_; }
  std::string_view name() const { return table_.name(); }

  // For the library.
  using Shape = internal::RecordShape<sizeof(T)>;
  const internal::HomePlaces<Shape>& places() const { return places_; }

 private:
  friend class Store;  // which has compared the sizes
  explicit RecordTableOf(RecordTable table) : places_(PlacesOf(table)), table_(table) {}

  // A table may have its records in larger slots than T needs.
  static internal::HomePlaces<Shape> PlacesOf(const RecordTable& table) {
    const internal::HomePlaces<internal::TableShape>& places = table.places();
    if (table.size_class() != Shape::size_class) {
      return internal::HomePlaces<Shape>::Nowhere(places.biased_base);
    }
    return {places.place_mask, places.biased_base, places.owned, {}};
  }

  internal::HomePlaces<Shape> places_;
  RecordTable table_;
};

namespace internal {

template <typename T>
std::span<const std::byte> BytesOf(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

}  // namespace internal

}  // namespace flagstone

#endif  // FLAGSTONE_RECORD_TABLE_H_
