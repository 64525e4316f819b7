#include "tools/flagstone/demo_command.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "flagstone/clock.h"
#include "flagstone/store.h"
#include "lib/base/random.h"
#include "tools/flagstone/geoip_import.h"
#include "tools/flagstone/help_text.h"
#include "tools/flagstone/latencies.h"
#include "tools/flagstone/number_text.h"

namespace flagstone::tool {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kDefaultFile = "/usr/share/tor/geoip";
constexpr uint32_t kTransferAmount = 30;
// Any number does: the order of reads is the same in every run.
constexpr uint64_t kReadOrderSeed = 20250101;

struct DemoArguments {
  std::string file = kDefaultFile;
  std::string file6;  // empty: geoip6 beside `file`, where it is there
  std::string on_bad_line = "skip";
  std::string pages = "2m";
  bool require_huge_pages = false;
  uint64_t reads = 1'000'000;
  std::string progress = "auto";
  bool json = false;
};

bool FileIsThere(const std::string& path) {
  struct stat about;
  return stat(path.c_str(), &about) == 0;
}

PageKind PageKindOf(const std::string& name) {
  if (name == "4k") return PageKind::k4KiB;
  if (name == "thp") return PageKind::kTransparent2MiB;
  if (name == "1g") return PageKind::k1GiB;
  return PageKind::k2MiB;
}

double SecondsBetween(int64_t from_nanos, int64_t to_nanos) {
  return static_cast<double>(to_nanos - from_nanos) / 1e9;
}

double PerSecond(uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

// A sum over records that does not depend on their order.
template <typename Range>
uint64_t SumOf(const Range& range) {
  uint64_t words[sizeof(Range) / 8];
  std::memcpy(words, &range, sizeof(Range));
  uint64_t sum = 0;
  for (const uint64_t word : words) sum = (sum ^ word) * 0x9e3779b97f4a7c15;
  return sum;
}

// One imported file.
template <typename Range>
struct ImportedTable {
  RecordTableOf<Range> table;
  std::string file;
  std::vector<RecordId> ids;
  ImportCounts counts;
  uint64_t sum = 0;
  double seconds = 0;
  double store_seconds = 0;  // the part of it inside the store
};

class Demo {
 public:
  Demo(const DemoArguments& arguments, const Program& program)
      : arguments_(arguments), program_(program), paint_(program.paint()) {}

  // The whole demonstration, in the order it is printed.
  Status Run() {
    FLAGSTONE_RETURN_IF_ERROR(FindFiles());
    FLAGSTONE_RETURN_IF_ERROR(OpenStore());
    Heading("1. Import");
    FLAGSTONE_RETURN_IF_ERROR(Import("ranges", arguments_.file, &ipv4_));
    if (!file6_.empty()) FLAGSTONE_RETURN_IF_ERROR(Import("ranges6", file6_, &ipv6_));
    ExplainImport();
    Heading("2. Reads by ID");
    FLAGSTONE_RETURN_IF_ERROR(ReadEverything(*ipv4_));
    if (ipv6_) FLAGSTONE_RETURN_IF_ERROR(ReadEverything(*ipv6_));
    FLAGSTONE_RETURN_IF_ERROR(TimeReads());
    if (ipv4_->ids.size() >= 2) {
      Heading("3. A transfer in a transaction");
      FLAGSTONE_RETURN_IF_ERROR(Transfer());
      Heading("4. Two transactions collide");
      FLAGSTONE_RETURN_IF_ERROR(Collide());
    } else {
      Say("The transfer and the conflict need two records; the file has one.\n");
    }
    Heading("5. Pages and memory");
    FLAGSTONE_RETURN_IF_ERROR(ShowPages());
    ShowMemory();
    if (arguments_.json) {
      std::printf("%s\n", report_.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    }
    return Status::Ok();
  }

 private:
  // --- printing: results always, explanations unless --quiet, neither with --json

  void Heading(const char* text) {
    if (!arguments_.json) std::printf("\n%s\n", paint_(Ink::kBold, text).c_str());
  }
  void Line(const std::string& text) {
    if (!arguments_.json) std::printf("  %s\n", text.c_str());
  }
  void Say(const char* text) {
    if (!arguments_.json && !program_.quiet) std::printf("%s", paint_(Ink::kDim, text).c_str());
  }

  // --- steps

  Status FindFiles() {
    if (!FileIsThere(arguments_.file)) {
      const std::string way_out = arguments_.file == kDefaultFile
                                      ? ": install Debian's package tor-geoipdb (apt-get install "
                                        "tor-geoipdb), or name a file "
                                        "of lines first,last,country with --file"
                                      : ": check the name given with --file";
      return Status::Error(StatusCode::kInvalidArgument,
                           Escaped(arguments_.file, 400) + " is not there" + way_out);
    }
    file6_ = arguments_.file6;
    if (file6_.empty()) {
      const size_t slash = arguments_.file.rfind('/');
      const std::string folder =
          slash == std::string::npos ? "" : arguments_.file.substr(0, slash + 1);
      if (FileIsThere(folder + "geoip6")) file6_ = folder + "geoip6";
    }
    return Status::Ok();
  }

  Status OpenStore() {
    StoreOptions options;
    options.pages.page_kind = PageKindOf(arguments_.pages);
    options.pages.require_huge_pages = arguments_.require_huge_pages;
    // A 1 GiB page is charged as a whole: one for each size class in use, and one for versions.
    options.memory.limit_bytes =
        options.pages.page_kind == PageKind::k1GiB ? uint64_t{5} << 30 : uint64_t{512} << 20;
    Result<Store> store = Store::OpenInMemory(options);
    if (!store.ok()) return std::move(store).status();
    store_.emplace(*std::move(store));
    Result<Session> session = store_->NewSession();
    if (!session.ok()) return std::move(session).status();
    session_.emplace(*std::move(session));
    Result<Session> other = store_->NewSession();
    if (!other.ok()) return std::move(other).status();
    other_.emplace(*std::move(other));
    return Status::Ok();
  }

  template <typename Range>
  Status Import(const char* name, const std::string& file,
                std::optional<ImportedTable<Range>>* imported) {
    Result<RecordTableOf<Range>> table = store_->CreateTableOf<Range>(name);
    if (!table.ok()) return std::move(table).status();
    ImportedTable<Range>& to = imported->emplace(ImportedTable<Range>{*table, file, {}, {}});
    ProgressLine progress(ProgressWanted(WhenNamed(arguments_.progress), FactsOf(stderr))
                              ? ProgressLine::Mode::kShown
                              : ProgressLine::Mode::kHidden);
    const int64_t start = clock_.MonotonicNanos();
    ImportPlan<Range> plan;
    plan.path = file;
    plan.bad_line_policy =
        arguments_.on_bad_line == "fail" ? BadLinePolicy::kFail : BadLinePolicy::kSkip;
    plan.store_batch = [&](std::span<const Range> batch) { return StoreBatch(batch, &to); };
    plan.report_bad_line = [&](const std::string& report) {
      progress.Clear();
      Complain(report + "; skipped");
    };
    plan.show_progress = [&](const ImportCounts& counts) {
      const double seconds = SecondsBetween(start, clock_.MonotonicNanos());
      progress.Show(name, counts.bytes_read, counts.file_bytes,
                    CountText(counts.records) + " records, " +
                        RoundText(PerSecond(counts.records, seconds)) + " a second");
    };
    Result<ImportCounts> counts = ImportRanges(plan);
    progress.Clear();
    if (!counts.ok()) return std::move(counts).status();
    to.counts = *counts;
    to.seconds = SecondsBetween(start, clock_.MonotonicNanos());
    ReportImport(name, to);
    return Status::Ok();
  }

  template <typename Range>
  Status StoreBatch(std::span<const Range> batch, ImportedTable<Range>* to) {
    const size_t before = to->ids.size();
    to->ids.resize(before + batch.size());
    const int64_t start = clock_.MonotonicNanos();
    const Status stored =
        session_->InsertMany(to->table, batch, std::span(to->ids).subspan(before));
    to->store_seconds += SecondsBetween(start, clock_.MonotonicNanos());
    for (const Range& range : batch) to->sum += SumOf(range);
    return stored;
  }

  template <typename Range>
  void ReportImport(const char* name, const ImportedTable<Range>& table) {
    const ImportCounts& counts = table.counts;
    Line(Escaped(table.file, 400) + ": " + CountText(counts.records) + " records of " +
         std::to_string(sizeof(Range)) + " bytes in " + NanosText(table.seconds * 1e9) + ", " +
         RoundText(PerSecond(counts.records, table.seconds)) + " a second");
    Line("  the store's part: " + NanosText(table.store_seconds * 1e9) + ", " +
         RoundText(PerSecond(counts.records, table.store_seconds)) +
         " inserts a second; the rest is reading and parsing the text");
    if (counts.bad_lines != 0) {
      Line("  bad lines: " + CountText(counts.bad_lines) + " of " + CountText(counts.lines) +
           ", skipped (--on-bad-line=fail stops at the first)");
    }
    report_["import"].push_back({{"table", name},
                                 {"file", table.file},
                                 {"record_bytes", sizeof(Range)},
                                 {"lines", counts.lines},
                                 {"records", counts.records},
                                 {"comment_lines", counts.comment_lines},
                                 {"bad_lines", counts.bad_lines},
                                 {"seconds", table.seconds},
                                 {"store_seconds", table.store_seconds},
                                 {"records_per_second", PerSecond(counts.records, table.seconds)},
                                 {"first_id", table.ids.front().ToString()}});
  }

  void ExplainImport() {
    const Ipv4Range range = FirstRange();
    Line("The first record, " + AddressText(range.first) + " to " + AddressText(range.last) +
         " in " + std::string(range.country.data(), 2) + ", got the ID " +
         ipv4_->ids.front().ToString());
    Say("  Each line became a record; 1,024 of them at a time were one transaction. The ID that "
        "comes\n"
        "  back holds when the record was made and where it lies: `flagstone id explain ID` draws "
        "it.\n");
  }

  Ipv4Range FirstRange() {
    TypedGuard<Ipv4Range> guard = session_->Get(ipv4_->table, ipv4_->ids.front());
    return guard ? *guard : Ipv4Range{};
  }

  // Every record, once: what comes back is what was imported.
  template <typename Range>
  Status ReadEverything(const ImportedTable<Range>& table) {
    uint64_t sum = 0;
    uint64_t absent = 0;
    session_->MultiGet(table.table.untyped(), table.ids, [&](size_t, RecordGuard guard) {
      if (!guard) {
        ++absent;
        return;
      }
      Range range;
      std::memcpy(&range, guard.bytes().data(), sizeof range);
      sum += SumOf(range);
    });
    if (absent == 0 && sum == table.sum) {
      verified_ += table.ids.size();
      return Status::Ok();
    }
    return Status::Error(StatusCode::kCorruption,
                         "table " + std::string(table.table.name()) + ": " + CountText(absent) +
                             " of " + CountText(table.ids.size()) +
                             " records are absent, checksum of all " + std::to_string(sum) +
                             ", expected " + std::to_string(table.sum) +
                             "; this is a defect of flagstone, please report it");
  }

  Status TimeReads() {
    const std::vector<RecordId>& ids = ipv4_->ids;
    std::vector<RecordId> order(arguments_.reads);
    base::Random random(kReadOrderSeed);
    for (RecordId& id : order) id = ids[random.Below(ids.size())];
    uint64_t present = 0;
    const int64_t start = clock_.MonotonicNanos();
    for (const RecordId id : order) {
      const TypedGuard<Ipv4Range> guard = session_->Get(ipv4_->table, id);
      present += guard && guard->first <= guard->last ? 1 : 0;
    }
    const double seconds = SecondsBetween(start, clock_.MonotonicNanos());
    Latencies latencies;
    for (const RecordId id : order) {
      const int64_t before = clock_.MonotonicNanos();
      const TypedGuard<Ipv4Range> guard = session_->Get(ipv4_->table, id);
      present += guard && guard->first <= guard->last ? 1 : 0;
      latencies.Add(static_cast<uint64_t>(clock_.MonotonicNanos() - before));
    }
    if (present != 2 * order.size()) {
      return Status::Error(StatusCode::kCorruption,
                           CountText(2 * order.size() - present) + " of " +
                               CountText(2 * order.size()) +
                               " reads did not find their record; this is a defect of flagstone, "
                               "please report it");
    }
    ReportReads(seconds, latencies);
    return Status::Ok();
  }

  // What two calls of the clock around nothing take, the median of many.
  uint64_t ClockNanos() {
    constexpr int kSamples = 10'000;
    Latencies latencies;
    for (int i = 0; i < kSamples; ++i) {
      const int64_t before = clock_.MonotonicNanos();
      latencies.Add(static_cast<uint64_t>(clock_.MonotonicNanos() - before));
    }
    return latencies.NanosAt(0.5);
  }

  void ReportReads(double seconds, const Latencies& latencies) {
    const double mean_nanos = seconds * 1e9 / static_cast<double>(arguments_.reads);
    const uint64_t clock_nanos = ClockNanos();
    Line("All " + CountText(verified_) + " records read back: equal to what was imported");
    Line(CountText(arguments_.reads) +
         " reads of random records in a row: " + NanosText(mean_nanos) + " each, " +
         RoundText(PerSecond(arguments_.reads, seconds)) + " a second on one thread");
    std::string line = "The same, each timed alone:";
    Json percentiles;
    struct Share {
      const char* name;
      double share;
    };
    for (const Share& share :
         {Share{"50", 0.5}, Share{"90", 0.9}, Share{"99", 0.99}, Share{"99.9", 0.999}}) {
      const uint64_t nanos = latencies.NanosAt(share.share);
      line += std::string(" p") + share.name + " " + NanosText(static_cast<double>(nanos)) + ",";
      percentiles[std::string("p") + share.name] = nanos;
    }
    line += " max " + NanosText(static_cast<double>(latencies.max_nanos()));
    Line(line);
    Line("  of which the clock itself takes about " + NanosText(static_cast<double>(clock_nanos)));
    Say("  A read decodes the ID with shifts and masks and looks where it says: no hash table, no "
        "tree, no\n"
        "  system call, no allocation. What is left is about one cache miss. The slowest ones are "
        "the\n"
        "  kernel's interruptions. `flagstone bench read` compares with a raw array, in the same "
        "run.\n");
    percentiles["max"] = latencies.max_nanos();
    report_["reads"] = {{"verified_records", verified_},
                        {"count", arguments_.reads},
                        {"nanos_each", mean_nanos},
                        {"reads_per_second", PerSecond(arguments_.reads, seconds)},
                        {"timed_alone_nanos", percentiles},
                        {"clock_nanos", clock_nanos}};
  }

  // The credits of the two records of the transfer, as somebody else sees them.
  struct Credits {
    uint32_t from = 0;
    uint32_t to = 0;
    std::string Text() const { return std::to_string(from) + " and " + std::to_string(to); }
    Json AsJson() const { return {{"from", from}, {"to", to}}; }
  };
  Result<Credits> CreditsSeenByOther() {
    TypedGuard<Ipv4Range> from = other_->Get(ipv4_->table, FromId());
    TypedGuard<Ipv4Range> to = other_->Get(ipv4_->table, ToId());
    if (!from || !to) {
      return Status::Error(
          StatusCode::kCorruption,
          "a record of the transfer is gone; this is a defect of flagstone, please "
          "report it");
    }
    return Credits{from->credit, to->credit};
  }
  RecordId FromId() const { return ipv4_->ids.front(); }
  RecordId ToId() const { return ipv4_->ids[ipv4_->ids.size() / 2]; }

  // Adds `change` to a record's credit. Absence cannot be: nobody deletes here.
  Status AddCredit(Transaction& transaction, RecordId id, int32_t change) {
    Result<bool> updated = transaction.Update(ipv4_->table, id, [change](Ipv4Range& range) {
      range.credit += static_cast<uint32_t>(change);
    });
    return updated.ok() ? Status::Ok() : std::move(updated).status();
  }

  Status Expect(const char* what, const Credits& seen, uint32_t from, uint32_t to) {
    if (seen.from == from && seen.to == to) return Status::Ok();
    return Status::Error(StatusCode::kCorruption,
                         std::string(what) + ": the other session sees " + seen.Text() +
                             ", expected " + Credits{from, to}.Text() +
                             "; this is a defect of flagstone, please report it");
  }

  Status Transfer() {
    constexpr auto kAmount = static_cast<int32_t>(kTransferAmount);
    Result<Credits> before = CreditsSeenByOther();
    if (!before.ok()) return std::move(before).status();
    Result<Transaction> transfer = session_->Begin();
    if (!transfer.ok()) return std::move(transfer).status();
    FLAGSTONE_RETURN_IF_ERROR(AddCredit(*transfer, FromId(), -kAmount));
    FLAGSTONE_RETURN_IF_ERROR(AddCredit(*transfer, ToId(), kAmount));
    Result<Credits> during = CreditsSeenByOther();
    if (!during.ok()) return std::move(during).status();
    Result<uint64_t> committed = transfer->Commit();
    if (!committed.ok()) return std::move(committed).status();
    Result<Credits> after = CreditsSeenByOther();
    if (!after.ok()) return std::move(after).status();
    FLAGSTONE_RETURN_IF_ERROR(Expect("before the commit", *during, kCreditAtStart, kCreditAtStart));
    FLAGSTONE_RETURN_IF_ERROR(Expect("after the commit", *after, kCreditAtStart - kTransferAmount,
                                     kCreditAtStart + kTransferAmount));
    Line("Credit of " + FromId().ToString() + " and " + ToId().ToString() +
         ", seen by another session");
    Line("  before the transaction     " + before->Text());
    Line("  while it runs              " + during->Text() + "   (it has moved " +
         std::to_string(kTransferAmount) + ")");
    Line("  after Commit()             " + after->Text());
    Say("  Both changes become visible at once or not at all. A change makes a new version; "
        "whoever holds a\n"
        "  record open keeps seeing the version it opened, and nobody waits for anybody.\n");
    report_["transfer"] = {
        {"amount", kTransferAmount},
        {"from", FromId().ToString()},
        {"to", ToId().ToString()},
        {"seen_by_another_session",
         {{"before", before->AsJson()}, {"during", during->AsJson()}, {"after", after->AsJson()}}},
        {"commit_timestamp", *committed}};
    return Status::Ok();
  }

  Status Collide() {
    Result<Transaction> first = session_->Begin();
    if (!first.ok()) return std::move(first).status();
    Result<Transaction> second = other_->Begin();
    if (!second.ok()) return std::move(second).status();
    FLAGSTONE_RETURN_IF_ERROR(AddCredit(*first, FromId(), 1));
    const Status refused = AddCredit(*second, FromId(), 10);
    if (refused.code() != StatusCode::kConflict) {
      return Status::Error(
          StatusCode::kCorruption,
          "the second of two transactions on one record was told " + refused.ToString() +
              ", expected CONFLICT; this is a defect of flagstone, please report it");
    }
    second->Rollback();
    Result<uint64_t> committed = first->Commit();
    if (!committed.ok()) return std::move(committed).status();
    Result<Transaction> again = other_->Begin();
    if (!again.ok()) return std::move(again).status();
    FLAGSTONE_RETURN_IF_ERROR(AddCredit(*again, FromId(), 10));
    Result<uint64_t> retried = again->Commit();
    if (!retried.ok()) return std::move(retried).status();
    Result<Credits> after = CreditsSeenByOther();
    if (!after.ok()) return std::move(after).status();
    const uint32_t expected = kCreditAtStart - kTransferAmount + 11;
    FLAGSTONE_RETURN_IF_ERROR(
        Expect("after both", *after, expected, kCreditAtStart + kTransferAmount));
    Line("First transaction:  credit + 1    written, not committed yet");
    Line("Second transaction: credit + 10   " + refused.ToString());
    Line("First commits, second tries again: committed; credit is " + std::to_string(after->from));
    Say("  The first to write a record wins and the other is told at once, so that no update is "
        "lost: both\n"
        "  additions are there. A retry from a new snapshot is the way out.\n");
    report_["conflict"] = {{"second_was_told", StatusCodeName(refused.code())},
                           {"retry_committed", true},
                           {"credit", after->from}};
    return Status::Ok();
  }

  Status ShowPages() {
    Result<PageReport> verified = store_->VerifyPages();
    if (!verified.ok()) return std::move(verified).status();
    const PageReport& pages = *verified;
    Json by_kind;
    std::string line =
        "Asked for " + std::string(PageKindName(pages.requested)) + " pages; in use:";
    const char* separator = " ";
    for (size_t i = kPageKindCount; i-- > 0;) {
      const auto kind = static_cast<PageKind>(i);
      by_kind[std::string(PageKindName(kind))] = pages.bytes(kind);
      if (pages.bytes(kind) == 0) continue;
      line += separator + BytesText(pages.bytes(kind)) + " on " + std::string(PageKindName(kind)) +
              " pages";
      separator = ", ";
    }
    const bool by_smaps = pages.verification == PageVerification::kBySmaps;
    Line(line + (by_smaps ? " (counted in /proc/self/smaps)" : " (as the kernel's calls said)"));
    // Ranges meet the same shortage one after another; it is said once.
    Json fallbacks = Json::array();
    std::vector<std::string> said;
    for (const PageFallback& fallback : pages.fallbacks) {
      const std::string text = "no " + std::string(PageKindName(fallback.wanted)) +
                               " pages, took " + std::string(PageKindName(fallback.granted)) +
                               ": " + fallback.reason;
      fallbacks.push_back({{"range", fallback.range_name},
                           {"wanted", PageKindName(fallback.wanted)},
                           {"granted", PageKindName(fallback.granted)},
                           {"reason", fallback.reason}});
      if (std::find(said.begin(), said.end(), text) != said.end()) continue;
      said.push_back(text);
      Line("  " + text);
    }
    Say("  Everything works on any pages; on huge ones reads also save misses in the processor's "
        "page tables.\n"
        "  `flagstone doctor` says what this machine offers and how to change it.\n");
    report_["pages"] = {{"requested", PageKindName(pages.requested)},
                        {"bytes_by_kind", by_kind},
                        {"verified_in_smaps", by_smaps},
                        {"fallbacks", fallbacks}};
    return Status::Ok();
  }

  void ShowMemory() {
    const StoreStatistics statistics = store_->Statistics();
    const MemoryUsage& memory = statistics.memory;
    std::string line = "Memory: " + BytesText(memory.used_bytes) + " of at most " +
                       BytesText(memory.limit_bytes) + " (";
    const char* separator = "";
    Json components;
    for (size_t i = 0; i < kMemoryComponentCount; ++i) {
      const auto component = static_cast<MemoryComponent>(i);
      const uint64_t bytes = memory.component_used_bytes[component];
      if (bytes == 0) continue;
      components[std::string(MemoryComponentName(component))] = bytes;
      line += separator + std::string(MemoryComponentName(component)) + " " + BytesText(bytes);
      separator = ", ";
    }
    Line(line + ")");
    Json tables = Json::array();
    for (const TableStatistics& table : statistics.tables) {
      Line("  table " + table.name + ": records of " + std::to_string(table.record_bytes) +
           " bytes in slots of " + std::to_string(table.stride_bytes) + " (24 are the header)");
      tables.push_back({{"name", table.name},
                        {"record_bytes", table.record_bytes},
                        {"slot_bytes", table.stride_bytes},
                        {"slots_used", table.slots_used}});
    }
    report_["memory"] = {{"used_bytes", memory.used_bytes},
                         {"limit_bytes", memory.limit_bytes},
                         {"components", components},
                         {"tables", tables}};
  }

  const DemoArguments& arguments_;
  const Program& program_;
  const Paint paint_;
  Clock& clock_ = SystemClock();
  std::string file6_;
  // Destroyed from the last to the first: sessions end before their store.
  std::optional<Store> store_;
  std::optional<Session> session_;
  std::optional<Session> other_;
  std::optional<ImportedTable<Ipv4Range>> ipv4_;
  std::optional<ImportedTable<Ipv6Range>> ipv6_;
  uint64_t verified_ = 0;
  Json report_;
};

}  // namespace

void AddDemoCommand(CLI::App& app, Program& program) {
  const auto arguments = std::make_shared<DemoArguments>();
  CLI::App* const demo =
      app.add_subcommand("demo", "Import a real file, read, change, collide: a tour");
  demo->add_option("--file", arguments->file,
                   std::string("Lines first,last,country; IPv4 addresses as numbers; default ") +
                       kDefaultFile)
      ->type_name("FILE");
  demo->add_option("--file6", arguments->file6,
                   "The same for IPv6; default geoip6 beside --file, where it is there")
      ->type_name("FILE");
  demo->add_option("--on-bad-line", arguments->on_bad_line,
                   "skip (default): report and count it; fail: stop there")
      ->check(CLI::IsMember({"skip", "fail"}))
      ->type_name("HOW");
  demo->add_option(
          "--pages", arguments->pages,
          "Ask for pages of 4k, thp (transparent), 2m (default) or 1g; less is taken where they "
          "are not to be had")
      ->check(CLI::IsMember({"4k", "thp", "2m", "1g"}))
      ->type_name("KIND");
  demo->add_flag("--require-huge-pages", arguments->require_huge_pages,
                 "Fail rather than take smaller pages");
  demo->add_option("--reads", arguments->reads,
                   "How many reads to time: 1 to 100000000, default 1000000")
      ->check(CLI::Range(uint64_t{1}, uint64_t{100'000'000}))
      ->type_name("N");
  demo->add_option("--progress", arguments->progress,
                   "Progress line on stderr: auto (default, on a terminal), always, never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->type_name("WHEN");
  demo->add_flag("--json", arguments->json, "Print the numbers as JSON, no explanations");
  demo->footer(HelpFooter({
      .about =
          "Imports Debian's table of address ranges and their countries (package tor-geoipdb) "
          "into an in-memory store and shows reads by ID, a transaction, a conflict, the pages "
          "granted and the memory used. Every answer is checked. Needs no root, no huge pages "
          "and no disk.",
      .examples = {"flagstone demo", "flagstone demo --pages=4k --json",
                   "flagstone demo --file=mine.csv --on-bad-line=fail"},
      .done = "every part was shown and every answer was right",
      .failed = "a file could not be read, a bad line with --on-bad-line=fail, or the store "
                "refused; the line on stderr says why and the way out",
  }));
  demo->callback([arguments, &program] {
    const Status status = Demo(*arguments, program).Run();
    program.exit_code = status.ok() ? ExitCode::kDone : Complain(status);
  });
}

}  // namespace flagstone::tool
