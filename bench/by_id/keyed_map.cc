#include "bench/by_id/keyed_map.h"

#include <array>
#include <cstdlib>
#include <functional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "bench/by_id/bench_record.h"
#include "bench/by_id/request_trace.h"
#include "bench/kit/huge_page_allocator.h"
#if defined(FLAGSTONE_BENCH_RIVALS)
#include <libcuckoo/cuckoohash_map.hh>

#include "tbb/concurrent_hash_map.h"
#endif

namespace flagstone::bench {
namespace {

template <typename Record>
using PairAllocator = HugePageAllocator<std::pair<const uint64_t, Record>>;

template <typename Record>
class FlatHashMap : public KeyedMap<Record> {
 public:
  explicit FlatHashMap(uint64_t record_count) : map_(PairAllocator<Record>(arena_)) {
    map_.reserve(record_count);
    for (uint64_t n = 0; n < record_count; ++n) map_.emplace(n, Record::Of(n));
  }
  uint64_t SumOf(const uint64_t* keys) const override {
    uint64_t sum = 0;
    for (size_t i = 0; i < kBlockRequests; ++i) {
      const auto found = map_.find(keys[i]);
      if (found != map_.end()) [[likely]]
        sum += found->second.Sum();
    }
    return sum;
  }

 private:
  HugePageArena arena_;
  absl::flat_hash_map<uint64_t, Record, absl::Hash<uint64_t>, std::equal_to<uint64_t>,
                      PairAllocator<Record>>
      map_;
};

#if defined(FLAGSTONE_BENCH_RIVALS)

// The upper half of the product carries the mixture; both maps use low bits.
size_t SpreadKey(uint64_t key) {
  const uint64_t mixed = Mix(key);
  return mixed ^ (mixed >> 32);
}

struct TbbHash {
  static size_t hash(uint64_t key) { return SpreadKey(key); }
  static bool equal(uint64_t a, uint64_t b) { return a == b; }
};
struct CuckooHash {
  size_t operator()(uint64_t key) const { return SpreadKey(key); }
};

template <typename Record>
class TbbMap : public KeyedMap<Record> {
 public:
  explicit TbbMap(uint64_t record_count) : map_(record_count, PairAllocator<Record>(arena_)) {
    for (uint64_t n = 0; n < record_count; ++n) map_.insert({n, Record::Of(n)});
  }
  uint64_t SumOf(const uint64_t* keys) const override {
    uint64_t sum = 0;
    typename Map::const_accessor accessor;
    for (size_t i = 0; i < kBlockRequests; ++i) {
      if (map_.find(accessor, keys[i])) [[likely]]
        sum += accessor->second.Sum();
      accessor.release();
    }
    return sum;
  }

 private:
  using Map = tbb::concurrent_hash_map<uint64_t, Record, TbbHash, PairAllocator<Record>>;
  HugePageArena arena_;
  Map map_;
};

template <typename Record>
class CuckooMap : public KeyedMap<Record> {
 public:
  explicit CuckooMap(uint64_t record_count)
      : map_(record_count, CuckooHash(), std::equal_to<uint64_t>(), PairAllocator<Record>(arena_)) {
    for (uint64_t n = 0; n < record_count; ++n) map_.insert(n, Record::Of(n));
  }
  uint64_t SumOf(const uint64_t* keys) const override {
    uint64_t sum = 0;
    for (size_t i = 0; i < kBlockRequests; ++i) {
      map_.find_fn(keys[i], [&](const Record& record) { sum += record.Sum(); });
    }
    return sum;
  }

 private:
  HugePageArena arena_;
  libcuckoo::cuckoohash_map<uint64_t, Record, CuckooHash, std::equal_to<uint64_t>,
                            PairAllocator<Record>>
      map_;
};

constexpr std::array kKinds = {KeyedMapKind::kFlatHashMap, KeyedMapKind::kTbb,
                               KeyedMapKind::kLibcuckoo};
#else
constexpr std::array kKinds = {KeyedMapKind::kFlatHashMap};
#endif

}  // namespace

std::span<const KeyedMapKind> KeyedMapKindsBuilt() { return kKinds; }

std::string_view KeyedMapName(KeyedMapKind kind) {
  switch (kind) {
    case KeyedMapKind::kFlatHashMap: return "absl::flat_hash_map";
    case KeyedMapKind::kTbb: return "oneTBB's concurrent_hash_map";
    case KeyedMapKind::kLibcuckoo: return "libcuckoo";
  }
  return "";
}

std::string_view KeyedMapKey(KeyedMapKind kind) {
  switch (kind) {
    case KeyedMapKind::kFlatHashMap: return "flat_hash_map";
    case KeyedMapKind::kTbb: return "tbb";
    case KeyedMapKind::kLibcuckoo: return "libcuckoo";
  }
  return "";
}

template <typename Record>
std::unique_ptr<KeyedMap<Record>> MakeKeyedMap(KeyedMapKind kind, uint64_t record_count) {
  switch (kind) {
    case KeyedMapKind::kFlatHashMap: return std::make_unique<FlatHashMap<Record>>(record_count);
#if defined(FLAGSTONE_BENCH_RIVALS)
    case KeyedMapKind::kTbb: return std::make_unique<TbbMap<Record>>(record_count);
    case KeyedMapKind::kLibcuckoo: return std::make_unique<CuckooMap<Record>>(record_count);
#else
    case KeyedMapKind::kTbb:
    case KeyedMapKind::kLibcuckoo: break;
#endif
  }
  std::abort();  // not in KeyedMapKindsBuilt()
}

template std::unique_ptr<KeyedMap<BenchRecord<40>>> MakeKeyedMap(KeyedMapKind, uint64_t);
template std::unique_ptr<KeyedMap<BenchRecord<64>>> MakeKeyedMap(KeyedMapKind, uint64_t);
template std::unique_ptr<KeyedMap<BenchRecord<1024>>> MakeKeyedMap(KeyedMapKind, uint64_t);

}  // namespace flagstone::bench
