// `flagstone bench read`: how near a get comes to one memory access.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/by_id/by_id_options.h"
#include "bench/by_id/filled_store.h"
#include "bench/by_id/flat_slots.h"
#include "bench/by_id/keyed_map.h"
#include "bench/by_id/read_loops.h"
#include "bench/by_id/report_parts.h"
#include "bench/by_id/request_trace.h"
#include "bench/by_id/row_maker.h"
#include "bench/by_id/stride_choice.h"

namespace flagstone::bench {
namespace {

// Everything the rows of one stride share: the store, the flat array, and what is asked of them.
template <typename Record>
struct ReadScene {
  uint64_t record_count;
  std::unique_ptr<FilledStore<Record>> store;
  std::unique_ptr<FlatSlots<Record>> slots;
  std::unique_ptr<RequestTrace> trace;
  std::vector<RecordId> ids;  // of the trace
  // Memory the process had before and after the store was filled.
  uint64_t resident_before = 0;
  uint64_t resident_after = 0;

  static Result<ReadScene> Make(const ByIdOptions& options, const FilledStoreOptions& filled) {
    ReadScene scene;
    scene.record_count = filled.record_count;
    // Touched before, so that the list of IDs does not count as the store's memory.
    scene.resident_before = ResidentBytes() + filled.record_count * sizeof(RecordId);
    Result<std::unique_ptr<FilledStore<Record>>> store = FilledStore<Record>::Make(filled);
    if (!store.ok()) return std::move(store).status();
    scene.store = *std::move(store);
    scene.resident_after = ResidentBytes();
    Result<std::unique_ptr<FlatSlots<Record>>> slots =
        FlatSlots<Record>::Make(filled.record_count, filled.page_kind);
    if (!slots.ok()) return std::move(slots).status();
    scene.slots = *std::move(slots);
    scene.trace = std::make_unique<RequestTrace>(RequestTrace::Uniform(
        filled.record_count, TraceRequests(filled.record_count), options.seed));
    scene.ids = scene.trace->IdsOf(scene.store->ids());
    return scene;
  }

  const RecordId* ids_of(size_t block) const { return ids.data() + block * kBlockRequests; }
};

// Blocks of one scene as contestants. `Answer(block)` runs one of the loops over a block.
template <typename Record>
class SceneBlocks {
 public:
  explicit SceneBlocks(ReadScene<Record>& scene) : scene_(scene) {}

  // Answers payload sums.
  template <typename Answer>
  Block Sums(const char* who, Answer answer, size_t first_block = 0) const {
    return [=, &scene = scene_, cursor = TraceCursor(*scene_.trace, first_block)]() mutable {
      const size_t block = cursor.Next();
      CheckAnswer(who, answer(block), scene.trace->template ExpectedSum<Record>(block));
      return uint64_t{kBlockRequests};
    };
  }
  // Answers the sum of the payloads' first words.
  template <typename Answer>
  Block FirstWords(const char* who, Answer answer, size_t first_block = 0) const {
    return [=, &scene = scene_, cursor = TraceCursor(*scene_.trace, first_block)]() mutable {
      const size_t block = cursor.Next();
      CheckAnswer(who, answer(block), scene.trace->mix_sum(block));
      return uint64_t{kBlockRequests};
    };
  }

  Block Raw(size_t first_block = 0) const {
    return FirstWords(
        "raw",
        [&scene = scene_](size_t block) {
          return RawLoop<Record>(scene.slots->base(), scene.trace->numbers(block));
        },
        first_block);
  }
  Block Copy() const {
    return Sums("copy", [&scene = scene_](size_t block) {
      return CopyLoop<Record>(scene.slots->base(), scene.trace->numbers(block));
    });
  }
  Block Get(Reader& reader, size_t first_block = 0) const {
    return Sums(
        "get",
        [&scene = scene_, &reader](size_t block) {
          return GetLoop<Record>(reader, scene.store->table(), scene.ids_of(block));
        },
        first_block);
  }

 private:
  ReadScene<Record>& scene_;
};

template <typename Record>
class ReadBench {
 public:
  explicit ReadBench(const ByIdOptions& options) : options_(options) {}

  Result<BenchReport> Run() {
    report_ = NewReport("read", options_);
    Progress("fill " + std::to_string(options_.record_count) + " records");
    Result<ReadScene<Record>> scene = ReadScene<Record>::Make(options_, MainStore());
    if (!scene.ok()) return std::move(scene).status();
    scene_ = *std::move(scene);
    Result<Reader> reader = scene_.store->store().NewReader();
    if (!reader.ok()) return std::move(reader).status();
    reader_.emplace(*std::move(reader));
    AddGranted(report_, options_, scene_.store->store(), scene_.slots->memory().granted());

    AddMemory();
    AddSingleGets();
    AddMultiGets<16>();
    AddMultiGets<32>();
    AddMultiGets<64>();
    AddLatency();
    AddThreads();
    AddSteadyState();
    AddMaps();
    // From here on in stores of their own; the first one would only take memory.
    reader_.reset();
    scene_ = {};
    AddUpdated();
    AddSmallPages();
    AddStride<BenchRecord<40>>();
    AddStride<BenchRecord<64>>();
    AddStride<BenchRecord<1024>>();
    return std::move(report_);
  }

 private:
  FilledStoreOptions MainStore() const {
    return {options_.record_count, Record::kStrideBytes, options_.page_kind,
            MaintenanceMode::kBackground};
  }
  void Progress(std::string_view what) const {
    if (options_.on_progress) options_.on_progress(what);
  }
  AlternatingRounds Rounds() const { return AlternatingRounds(options_.rounds); }
  SceneBlocks<Record> Blocks() { return SceneBlocks<Record>(scene_); }
  // A part that cannot run here (memory, sessions) is a remark; the others go on.
  void Skip(const char* what, const Status& status) {
    report_.remarks.push_back(std::string(what) + " was not measured: " + status.ToString());
  }

  void AddMemory();
  void AddSingleGets();
  template <size_t kBatch>
  void AddMultiGets();
  void AddLatency();
  void AddThreads();
  void AddUpdated();
  void AddSmallPages();
  template <typename OtherRecord>
  void AddStride();
  void AddMaps();
  void AddSteadyState();

  const ByIdOptions& options_;
  BenchReport report_;
  ReadScene<Record> scene_;
  std::optional<Reader> reader_;
};

template <typename Record>
void ReadBench<Record>::AddMemory() {
  const double wanted =
      static_cast<double>(scene_.record_count) * static_cast<double>(Record::kStrideBytes);
  const std::string reference = "N x stride";
  report_.rows.push_back(BytesRow(
      static_cast<double>(scene_.store->store().Statistics().memory.used_bytes), reference, wanted,
      {"memory_accounted", "memory for N records, as the store accounts for it", ""},
      AtMost(1.03)));
  report_.rows.push_back(BytesRow(
      static_cast<double>(scene_.resident_after - scene_.resident_before), reference, wanted,
      {"memory_resident", "the same, as the process grew",
       "resident and explicit huge pages, less the bench's own list of IDs"},
      AtMost(1.03)));
}

template <typename Record>
void ReadBench<Record>::AddSingleGets() {
  Progress("single gets");
  char* const slots = scene_.slots->base();
  const RequestTrace& trace = *scene_.trace;
  const RecordTableOf<Record>& table = scene_.store->table();
  Reader& reader = *reader_;
  AlternatingRounds rounds = Rounds();
  const size_t copy = rounds.Add("copy", Blocks().Copy());
  const size_t get = rounds.Add("get", Blocks().Get(reader));
  const size_t one_call = rounds.Add("one call", Blocks().Sums("one call", [&](size_t block) {
    return OneCallLoop<Record>(scene_.store->store(), table, scene_.ids_of(block));
  }));
  const size_t copy_out = rounds.Add("copy out", Blocks().Sums("copy out", [&](size_t block) {
    return CopyOutLoop<Record>(slots, trace.numbers(block));
  }));
  const size_t get_out = rounds.Add("get out", Blocks().Sums("get out", [&](size_t block) {
    return GetOutLoop<Record>(reader, table, scene_.ids_of(block));
  }));
  const size_t raw = rounds.Add("raw", Blocks().Raw());
  const size_t drawn = rounds.Add(
      "raw, slot drawn", Block([&, random = base::Random(options_.seed)]() mutable {
        uint64_t expected = 0;
        const uint64_t sum = RawDrawnLoop<Record>(slots, scene_.record_count, random, expected);
        CheckAnswer("raw, slot drawn", sum, expected);
        return uint64_t{kBlockRequests};
      }));
  const size_t copy_chase =
      rounds.Add("copy, dependent", Blocks().Sums("copy, dependent", [&](size_t block) {
        return CopyDependentLoop<Record>(slots, trace.numbers(block));
      }));
  const size_t get_chase =
      rounds.Add("get, dependent", Blocks().Sums("get, dependent", [&](size_t block) {
        return GetDependentLoop<Record>(reader, table, scene_.ids_of(block));
      }));
  const size_t chase = rounds.Add("chase", Blocks().FirstWords("chase", [&](size_t block) {
    return ChaseLoop<Record>(slots, trace.numbers(block));
  }));
  rounds.Run();

  auto& rows = report_.rows;
  rows.push_back(TimeRow(rounds, {get, copy},
                         {"get", "get through a Reader, payload read in place", ""},
                         AtMost(1.35, 1.25)));
  rows.push_back(TimeRow(rounds, {one_call, copy}, {"one_call", "get, one call: Store::Read()", ""},
                         AtMost(1.6)));
  rows.push_back(TimeRow(rounds, {get_out, copy_out},
                         {"get_out", "get through a Reader, payload copied out", ""}));
  rows.push_back(TimeRow(rounds, {get_chase, copy_chase},
                         {"get_dependent", "get, each waits for the one before", ""}));
  rows.push_back(
      TimeRow(rounds, {get_chase, chase},
              {"get_dependent_chase", "the same against dependent reads of a word", ""}));
  rows.push_back(
      TimeRow(rounds, {get, raw}, {"get_raw", "get through a Reader against one word", ""}));
  rows.push_back(
      TimeRow(rounds, {copy, raw}, {"copy_raw", "copy itself against one word", "no store in it"}));
  rows.push_back(TimeRow(rounds, {drawn, raw},
                         {"drawn_raw", "one word, slot drawn instead of listed",
                          "no store in it: what walking a list costs the reference"}));
}

template <typename Record>
template <size_t kBatch>
void ReadBench<Record>::AddMultiGets() {
  const std::string batch = std::to_string(kBatch);
  Progress("multi-gets of " + batch);
  AlternatingRounds rounds = Rounds();
  const size_t copy =
      rounds.Add("copy, prefetched", Blocks().Sums("copy, prefetched", [&](size_t block) {
        return CopyPrefetchedLoop<Record, kBatch>(scene_.slots->base(),
                                                  scene_.trace->numbers(block));
      }));
  const size_t multi = rounds.Add("multi-get", Blocks().Sums("multi-get", [&](size_t block) {
    return MultiGetLoop<Record, kBatch>(*reader_, scene_.store->table(), scene_.ids_of(block));
  }));
  const size_t single =
      rounds.Add("get, dependent", Blocks().Sums("get, dependent", [&](size_t block) {
        return GetDependentLoop<Record>(*reader_, scene_.store->table(), scene_.ids_of(block));
      }));
  const size_t loop = rounds.Add("get", Blocks().Get(*reader_));
  rounds.Run();
  auto& rows = report_.rows;
  rows.push_back(TimeRow(rounds, {multi, copy}, {"multi_get_" + batch, "multi-get of " + batch, ""},
                         AtMost(1.2)));
  rows.push_back(
      SpeedRow(rounds, {multi, single},
               {"multi_get_" + batch + "_dependent",
                "multi-get of " + batch + " as fast as gets that wait for each other", ""},
               AtLeast(1.4)));
  rows.push_back(SpeedRow(rounds, {multi, loop},
                          {"multi_get_" + batch + "_loop",
                           "multi-get of " + batch + " as fast as gets in a tight loop", ""}));
}

// Percentiles of one turn, in nanoseconds.
std::vector<double> Percentiles(const LatencyHistogram& histogram) {
  std::vector<double> values;
  for (const double fraction : {0.5, 0.99, 0.999}) {
    values.push_back(static_cast<double>(histogram.ValueAt(fraction)) *
                     CycleTimer::NanosecondsPerTick());
  }
  return values;
}

template <typename Record>
void ReadBench<Record>::AddLatency() {
  Progress("latency");
  AlternatingRounds rounds = Rounds();
  LatencyHistogram histogram;
  // The block writes into the histogram that its turn clears and reads.
  const auto timed = [&histogram](Block block) {
    return Turn([&histogram, turn = TurnOf(std::move(block))](double seconds) {
      histogram.Clear();
      turn(seconds);
      return Percentiles(histogram);
    });
  };
  const size_t raw = rounds.Add(
      "raw, timed", timed(Blocks().FirstWords("raw, timed", [&](size_t b) {
        return RawTimedLoop<Record>(scene_.slots->base(), scene_.trace->numbers(b), histogram);
      })));
  const size_t get = rounds.Add(
      "get, timed", timed(Blocks().FirstWords("get, timed", [&](size_t b) {
        return GetTimedLoop<Record>(*reader_, scene_.store->table(), scene_.ids_of(b), histogram);
      })));
  rounds.Run();
  auto& rows = report_.rows;
  const char* const note = "timer included on both sides";
  rows.push_back(
      TimeRow(rounds, {get, raw, 0}, {"latency_p50", "latency of a get, p50", note}, AtMost(1.1)));
  rows.push_back(
      TimeRow(rounds, {get, raw, 1}, {"latency_p99", "latency of a get, p99", note}, AtMost(1.15)));
  rows.push_back(TimeRow(rounds, {get, raw, 2}, {"latency_p999", "latency of a get, p99.9", note},
                         AtMost(1.2)));
}

template <typename Record>
void ReadBench<Record>::AddThreads() {
  const size_t count = options_.thread_count;
  Progress(std::to_string(count) + " threads");
  std::vector<Reader> readers;
  for (size_t i = 0; i < count; ++i) {
    Result<Reader> reader = scene_.store->store().NewReader();
    if (!reader.ok()) return Skip("reading with threads", reader.status());
    readers.push_back(*std::move(reader));
  }
  std::vector<Block> raws;
  std::vector<Block> gets;
  for (size_t i = 0; i < count; ++i) {
    const size_t first_block = i * scene_.trace->block_count() / count;
    raws.push_back(Blocks().Raw(first_block));
    gets.push_back(Blocks().Get(readers[i], first_block));
  }
  AlternatingRounds rounds = Rounds();
  const size_t raw_one = rounds.Add("raw, 1 thread", ParallelTurnOf({Blocks().Raw()}));
  const size_t raw_all = rounds.Add("raw", ParallelTurnOf(std::move(raws)));
  const size_t get_one = rounds.Add("get, 1 thread", ParallelTurnOf({Blocks().Get(*reader_)}));
  const size_t get_all = rounds.Add("get", ParallelTurnOf(std::move(gets)));
  rounds.Run();
  const Series raw_gain = Quotient(rounds.series(raw_one), rounds.series(raw_all));
  const Series get_gain = Quotient(rounds.series(get_one), rounds.series(get_all));
  BenchRow row;
  row.key = "threads_" + std::to_string(count);
  row.what = "what gets gain from " + std::to_string(count) + " threads";
  row.unit = "x";
  row.subject = MedianOf(get_gain);
  row.reference_name = "raw's gain";
  row.reference = MedianOf(raw_gain);
  row.ratio = EstimateOf(Quotient(get_gain, raw_gain));
  row.side = Goal::Side::kAtLeast;
  row.goal = AtLeast(0.95);
  report_.rows.push_back(std::move(row));
}

template <typename Record>
void ReadBench<Record>::AddSteadyState() {
  TraceCursor cursor(*scene_.trace, 0);
  AddSteadyStateRows(report_, "get", [&] {
    const size_t block = cursor.Next();
    CheckAnswer("get", GetLoop<Record>(*reader_, scene_.store->table(), scene_.ids_of(block)),
                scene_.trace->template ExpectedSum<Record>(block));
  });
}

template <typename Record>
void ReadBench<Record>::AddMaps() {
  for (const KeyedMapKind kind : KeyedMapKindsBuilt()) {
    const std::string name(KeyedMapName(kind));
    Progress("fill " + name);
    std::unique_ptr<KeyedMap<Record>> map = MakeKeyedMap<Record>(kind, scene_.record_count);
    AlternatingRounds rounds = Rounds();
    const size_t reference = rounds.Add(name, Blocks().Sums(name.c_str(), [&](size_t block) {
      return map->SumOf(scene_.trace->numbers(block));
    }));
    const size_t get = rounds.Add("get", Blocks().Get(*reader_));
    rounds.Run();
    const bool concurrent = kind != KeyedMapKind::kFlatHashMap;
    report_.rows.push_back(SpeedRow(rounds, {get, reference},
                                    {"get_" + std::string(KeyedMapKey(kind)),
                                     "get as fast as " + name, "transparent huge pages"},
                                    AtLeast(concurrent ? 4.0 : 1.8)));
  }
#if !defined(FLAGSTONE_BENCH_RIVALS)
  report_.remarks.push_back(
      "the concurrent maps of oneTBB and libcuckoo are not in this build: meson configure "
      "-Drivals=enabled (Debian: libtbb-dev, libcuckoo-dev)");
#endif
}

// Gets of records whose newest version is not at home yet, and the same gets after maintenance. A
// store of its own, whose maintenance runs when the bench says so: with the default one, a change
// is home after a millisecond. A session lists its changes for maintenance and has to help when the
// list is full; so many sessions change a part each, that all of them stay unvisited together.
template <typename Record>
void ReadBench<Record>::AddUpdated() {
  constexpr uint64_t kChangesOfOneSession = 8192;
  constexpr uint64_t kSessions = 128;
  const uint64_t record_count =
      std::min<uint64_t>(options_.record_count, kChangesOfOneSession * kSessions);
  Progress("updated records");
  Result<ReadScene<Record>> made = ReadScene<Record>::Make(
      options_,
      {record_count, Record::kStrideBytes, options_.page_kind, MaintenanceMode::kCallerDriven});
  if (!made.ok()) return Skip("reading updated records", made.status());
  ReadScene<Record> scene = *std::move(made);
  Store& store = scene.store->store();
  std::vector<Session> writers;
  for (uint64_t first = 0; first < record_count; first += kChangesOfOneSession) {
    Result<Session> writer = store.NewSession();
    if (!writer.ok()) return Skip("reading updated records", writer.status());
    writers.push_back(*std::move(writer));
  }
  Result<Reader> reader = store.NewReader();
  if (!reader.ok()) return Skip("reading updated records", reader.status());

  const auto update_all = [&] {
    const std::vector<RecordId>& ids = scene.store->ids();
    for (uint64_t n = 0; n < record_count; ++n) {
      const Result<bool> updated = writers[n / kChangesOfOneSession].Update(
          scene.store->table(), ids[n], [](Record& record) { record.CountUpdate(); });
      if (!updated.ok()) StopBench("update", updated.status());
      CheckAnswer("update", *updated ? 1 : 0, 1);
    }
  };
  const auto settle = [&] {
    while (store.Maintain()) {
    }
  };
  const auto chain_reads = [&] { return store.Statistics().operations.chain_reads; };

  const SceneBlocks<Record> blocks(scene);
  AlternatingRounds rounds = Rounds();
  const size_t copy = rounds.Add("copy", blocks.Copy());
  const size_t chained =
      rounds.Add("get, just updated", [&, turn = TurnOf(blocks.Get(*reader))](double seconds) {
        update_all();
        const uint64_t before = chain_reads();
        std::vector<double> values = turn(seconds);
        // Had they come home meanwhile, the row would show something else than it says.
        if (chain_reads() == before) WrongAnswer("get, just updated: reads of chains", 0, 1);
        return values;
      });
  const size_t home =
      rounds.Add("get, after maintenance", [&, turn = TurnOf(blocks.Get(*reader))](double seconds) {
        settle();
        return turn(seconds);
      });
  rounds.Run();
  const std::string note =
      std::to_string(record_count) + " records, all of them updated before each turn";
  report_.rows.push_back(TimeRow(rounds, {chained, copy},
                                 {"get_updated", "get of records just updated, not yet home", note},
                                 AtMost(2.2)));
  report_.rows.push_back(TimeRow(rounds, {home, copy},
                                 {"get_after_maintenance", "the same after maintenance", note},
                                 AtMost(1.35, 1.25)));
}

// The same store on 4 KiB pages, beside the one on the pages asked for.
template <typename Record>
void ReadBench<Record>::AddSmallPages() {
  if (options_.page_kind == PageKind::k4KiB) {
    report_.remarks.push_back(
        "pages against 4 KiB was not measured: --pages=4k is what it is compared with");
    return;
  }
  Progress("4 KiB pages");
  FilledStoreOptions small = MainStore();
  small.page_kind = PageKind::k4KiB;
  Result<ReadScene<Record>> made_small = ReadScene<Record>::Make(options_, small);
  if (!made_small.ok()) return Skip("4 KiB pages", made_small.status());
  Result<ReadScene<Record>> made_large = ReadScene<Record>::Make(options_, MainStore());
  if (!made_large.ok()) return Skip("4 KiB pages", made_large.status());
  ReadScene<Record> scene_small = *std::move(made_small);
  ReadScene<Record> scene_large = *std::move(made_large);
  Result<Reader> reader_small = scene_small.store->store().NewReader();
  Result<Reader> reader_large = scene_large.store->store().NewReader();
  if (!reader_small.ok()) return Skip("4 KiB pages", reader_small.status());
  if (!reader_large.ok()) return Skip("4 KiB pages", reader_large.status());
  const SceneBlocks<Record> blocks_small(scene_small);
  const SceneBlocks<Record> blocks_large(scene_large);
  AlternatingRounds rounds = Rounds();
  const size_t get_small = rounds.Add("get on 4 KiB pages", blocks_small.Get(*reader_small));
  const size_t get_large = rounds.Add("get", blocks_large.Get(*reader_large));
  const size_t raw_small = rounds.Add("raw on 4 KiB pages", blocks_small.Raw());
  const size_t raw_large = rounds.Add("raw", blocks_large.Raw());
  rounds.Run();
  report_.rows.push_back(SpeedRow(rounds, {get_large, get_small},
                                  {"pages_get", "get as fast as on 4 KiB pages", ""},
                                  AtLeast(1.25)));
  report_.rows.push_back(SpeedRow(
      rounds, {raw_large, raw_small},
      {"pages_raw", "raw as fast as on 4 KiB pages", "no store in it: what these pages can give"}));
}

// Gets of records of another stride against copies of the same shape; about as many bytes as the
// main table has.
template <typename Record>
template <typename OtherRecord>
void ReadBench<Record>::AddStride() {
  if constexpr (OtherRecord::kStrideBytes != Record::kStrideBytes) {
    const std::string stride = std::to_string(OtherRecord::kStrideBytes);
    Progress("stride " + stride);
    const uint64_t record_count = std::max<uint64_t>(
        options_.record_count * Record::kStrideBytes / OtherRecord::kStrideBytes, 1);
    Result<ReadScene<OtherRecord>> made =
        ReadScene<OtherRecord>::Make(options_, {record_count, OtherRecord::kStrideBytes,
                                                options_.page_kind, MaintenanceMode::kBackground});
    if (!made.ok()) return Skip("another stride", made.status());
    ReadScene<OtherRecord> scene = *std::move(made);
    Result<Reader> reader = scene.store->store().NewReader();
    if (!reader.ok()) return Skip("another stride", reader.status());
    const SceneBlocks<OtherRecord> blocks(scene);
    AlternatingRounds rounds = Rounds();
    const size_t copy = rounds.Add("copy", blocks.Copy());
    const size_t get = rounds.Add("get", blocks.Get(*reader));
    rounds.Run();
    report_.rows.push_back(TimeRow(rounds, {get, copy},
                                   {"get_stride_" + stride, "get, stride of " + stride + " bytes",
                                    std::to_string(record_count) + " records"},
                                   AtMost(1.35, 1.25)));
  }
}

}  // namespace

Result<BenchReport> RunReadBench(const ByIdOptions& options) {
  return WithRecordOfStride(options,
                            [&]<typename Record>() { return ReadBench<Record>(options).Run(); });
}

}  // namespace flagstone::bench
