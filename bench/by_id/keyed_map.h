// KeyedMap: maps from a 64-bit key to a payload, as references for reading by ID.
//
// Each is filled as its own documentation advises: reserved for all records before the first
// insert, its memory on transparent huge pages, read in place under whatever lock it takes itself.
// Keys are the records' numbers; the maps' own hash functions spread them, the concurrent ones' by
// Mix(), because std::hash is the identity.
//
// Threads     SumOf() any, as far as the map allows (flat_hash_map: while nobody writes).
#ifndef FLAGSTONE_BENCH_BY_ID_KEYED_MAP_H_
#define FLAGSTONE_BENCH_BY_ID_KEYED_MAP_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace flagstone::bench {

enum class KeyedMapKind : uint8_t { kFlatHashMap, kTbb, kLibcuckoo };

// Those of this build (the concurrent ones with -Drivals=enabled).
std::span<const KeyedMapKind> KeyedMapKindsBuilt();
// "absl::flat_hash_map" and a short key for rows, "flat_hash_map".
std::string_view KeyedMapName(KeyedMapKind kind);
std::string_view KeyedMapKey(KeyedMapKind kind);

template <typename Record>
class KeyedMap {
 public:
  virtual ~KeyedMap() = default;
  // Sum of the payloads of kBlockRequests keys. A missing one makes the sum wrong.
  virtual uint64_t SumOf(const uint64_t* keys) const = 0;
};

// Filled with records 0 to record_count - 1. `kind` is in this build. Throws std::bad_alloc.
template <typename Record>
std::unique_ptr<KeyedMap<Record>> MakeKeyedMap(KeyedMapKind kind, uint64_t record_count);

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_BY_ID_KEYED_MAP_H_
