#include "tests/support/black_box_checker.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

namespace flagstone::testkit {
namespace {

enum class EdgeKind : uint8_t { kWw, kWr, kRw, kRt };
constexpr uint8_t Bit(EdgeKind kind) {
  return static_cast<uint8_t>(1u << static_cast<uint8_t>(kind));
}
constexpr uint8_t kWrites = Bit(EdgeKind::kWw);
constexpr uint8_t kDependencies = kWrites | Bit(EdgeKind::kWr);
constexpr uint8_t kAllItems = kDependencies | Bit(EdgeKind::kRw);

struct Edge {
  uint32_t from;
  uint32_t to;
  EdgeKind kind;
  uint64_t key;
  uint32_t before;  // the value depended on, 0: none
  uint32_t after;   // the value that follows
};

struct KeyValue {
  uint64_t key;
  uint32_t value;
  bool operator==(const KeyValue&) const = default;
};
struct KeyValueHash {
  size_t operator()(const KeyValue& kv) const {
    return std::hash<uint64_t>()(kv.key * 0x9e3779b97f4a7c15 + kv.value);
  }
};

std::string TxnName(uint32_t txn) { return "T" + std::to_string(txn); }

std::string ListText(const std::vector<uint32_t>& list) {
  std::string text = "[";
  for (const uint32_t value : list) {
    if (text.size() > 1) text += ' ';
    text += std::to_string(value);
  }
  return text + "]";
}

std::string EdgeText(const Edge& edge) {
  const std::string key = "k=" + std::to_string(edge.key);
  switch (edge.kind) {
    case EdgeKind::kWw:
      return "-ww(" + key + " wrote " + std::to_string(edge.before) + ", next " +
             std::to_string(edge.after) + ")-> ";
    case EdgeKind::kWr: return "-wr(" + key + " wrote " + std::to_string(edge.before) + ")-> ";
    case EdgeKind::kRw:
      return "-rw(" + key + " saw " + (edge.before == 0 ? "nothing" : std::to_string(edge.before)) +
             ", next " + std::to_string(edge.after) + ")-> ";
    case EdgeKind::kRt: return "-rt(ended before the other began)-> ";
  }
  return "";
}

// The number of the strongly connected component of each node (Tarjan 1972, without recursion).
std::vector<uint32_t> ComponentNumbers(const std::vector<std::vector<uint32_t>>& successors) {
  constexpr uint32_t kUnseen = UINT32_MAX;
  struct Frame {
    uint32_t node;
    size_t next;
  };
  std::vector<uint32_t> index(successors.size(), kUnseen);
  std::vector<uint32_t> low(successors.size(), 0);
  std::vector<uint32_t> component(successors.size(), kUnseen);
  std::vector<uint32_t> open;
  std::vector<Frame> frames;
  uint32_t index_count = 0;
  uint32_t component_count = 0;
  const auto enter = [&](uint32_t node) {
    index[node] = low[node] = index_count++;
    open.push_back(node);
    frames.push_back({node, 0});
  };
  for (uint32_t root = 0; root < successors.size(); ++root) {
    if (index[root] == kUnseen) enter(root);
    while (!frames.empty()) {
      Frame& frame = frames.back();
      const uint32_t node = frame.node;
      if (frame.next < successors[node].size()) {
        const uint32_t to = successors[node][frame.next++];
        if (index[to] == kUnseen) {
          enter(to);
        } else if (component[to] == kUnseen) {
          low[node] = std::min(low[node], index[to]);
        }
        continue;
      }
      frames.pop_back();
      if (!frames.empty()) {
        low[frames.back().node] = std::min(low[frames.back().node], low[node]);
      }
      if (low[node] != index[node]) continue;
      for (;;) {
        const uint32_t member = open.back();
        open.pop_back();
        component[member] = component_count;
        if (member == node) break;
      }
      ++component_count;
    }
  }
  return component;
}

// Searches per component: enough to find a short cycle to show, bounded when all is wrong.
constexpr uint32_t kSearchesMax = 200;

class BlackBoxChecker {
 public:
  BlackBoxChecker(const History& history, const BlackBoxOptions& options)
      : history_(history), options_(options), out_(history.txns.size()) {}

  // The steps of the method, in order; each works on what the former found.
  BlackBoxReport Check() {
    IndexWriters();
    for (uint32_t txn = 0; txn < history_.txns.size(); ++txn) CheckReads(txn);
    CheckOrders();
    if (history_.ends_with_full_read) CheckNothingLost();
    AddItemEdges();
    FindCycles(0);
    if (options_.real_time == RealTime::kRequired) {
      AddRealTimeEdges();
      FindCycles(Bit(EdgeKind::kRt));
    }
    return std::move(report_);
  }

 private:
  struct Writer {
    uint32_t txn;
    bool final;
  };
  // A read without the reader's own appends.
  struct ExternalRead {
    uint32_t txn;
    uint64_t key;
    std::vector<uint32_t> list;
  };

  void Found(AnomalyKind kind, const std::string& text) {
    if (++report_.counts[static_cast<size_t>(kind)] > 1) return;
    const std::string line = std::string(AnomalyName(kind)) + ": " + text;
    (IsForbidden(kind, options_) ? report_.forbidden : report_.allowed).push_back(line);
  }

  void IndexWriters() {
    std::unordered_map<KeyValue, uint32_t, KeyValueHash> last;  // (key, txn) -> value
    for (uint32_t txn = 0; txn < history_.txns.size(); ++txn) {
      for (const HistoryOp& op : history_.txns[txn].ops) {
        if (op.kind != HistoryOp::Kind::kAppend) continue;
        const auto [place, inserted] = writers_.insert({{op.key, op.value}, {txn, true}});
        if (!inserted) {
          Found(AnomalyKind::kDuplicate, "the workload appended " + std::to_string(op.value) +
                                             " to k=" + std::to_string(op.key) + " twice");
        }
        const auto [former, first] = last.insert({{op.key, txn}, op.value});
        if (!first) {
          writers_[{op.key, former->second}].final = false;
          former->second = op.value;
        }
      }
    }
  }

  void CheckReads(uint32_t txn) {
    std::map<uint64_t, std::vector<uint32_t>> own;
    std::map<uint64_t, std::vector<uint32_t>> seen;
    for (const HistoryOp& op : history_.txns[txn].ops) {
      if (op.kind == HistoryOp::Kind::kAppend) {
        own[op.key].push_back(op.value);
        continue;
      }
      const std::string place =
          TxnName(txn) + " read k=" + std::to_string(op.key) + " as " + ListText(op.list);
      const std::vector<uint32_t>& suffix = own[op.key];
      if (suffix.size() > op.list.size() ||
          !std::equal(suffix.rbegin(), suffix.rend(), op.list.rbegin())) {
        Found(AnomalyKind::kInternal, place + " after appending " + ListText(suffix));
        continue;
      }
      std::vector<uint32_t> external(op.list.begin(),
                                     op.list.end() - static_cast<ptrdiff_t>(suffix.size()));
      if (!CheckElements(txn, op.key, external, place)) continue;
      const auto [former, first] = seen.insert({op.key, external});
      if (!first && former->second != external) {
        Found(AnomalyKind::kNonRepeatable, place + " and before as " + ListText(former->second));
      }
      if (first || former->second != external) {
        reads_.push_back({txn, op.key, std::move(external)});
      }
    }
  }

  // False: the list cannot serve as evidence of an order.
  bool CheckElements(uint32_t txn, uint64_t key, const std::vector<uint32_t>& list,
                     const std::string& place) {
    const std::set<uint32_t> distinct(list.begin(), list.end());
    bool usable = true;
    if (distinct.size() != list.size()) {
      Found(AnomalyKind::kDuplicate, place);
      usable = false;
    }
    for (const uint32_t value : list) {
      const auto writer = writers_.find({key, value});
      if (writer == writers_.end()) {
        Found(AnomalyKind::kGarbage, place + ", nobody appended " + std::to_string(value));
        usable = false;
      } else if (history_.txns[writer->second.txn].outcome == TxnOutcome::kAborted &&
                 writer->second.txn != txn) {
        Found(AnomalyKind::kG1a, place + ", " + std::to_string(value) + " is of the aborted " +
                                     TxnName(writer->second.txn));
        usable = false;
      }
    }
    if (!usable || list.empty()) return usable;
    const Writer& last = writers_[{key, list.back()}];
    if (!last.final) {
      Found(AnomalyKind::kG1b, place + ", " + TxnName(last.txn) + " appended more to it after " +
                                   std::to_string(list.back()));
    }
    return true;
  }

  void CheckOrders() {
    for (const ExternalRead& read : reads_) {
      auto& longest = longest_[read.key];
      if (read.list.size() > longest.list.size()) longest = read;
    }
    for (const ExternalRead& read : reads_) {
      const ExternalRead& longest = longest_[read.key];
      if (std::equal(read.list.begin(), read.list.end(), longest.list.begin())) continue;
      forked_.insert(read.key);
      Found(AnomalyKind::kIncompatibleOrder, "k=" + std::to_string(read.key) + " was " +
                                                 ListText(read.list) + " for " + TxnName(read.txn) +
                                                 " and " + ListText(longest.list) + " for " +
                                                 TxnName(longest.txn));
    }
    for (const auto& [key, longest] : longest_) {
      for (const uint32_t value : longest.list) {
        const uint32_t writer = writers_[{key, value}].txn;
        if (history_.txns[writer].outcome == TxnOutcome::kIndeterminate) observed_.insert(writer);
      }
    }
  }

  void CheckNothingLost() {
    std::unordered_map<uint64_t, std::set<uint32_t>> present;
    for (const auto& [key, longest] : longest_) {
      present[key].insert(longest.list.begin(), longest.list.end());
    }
    for (uint32_t txn = 0; txn < history_.txns.size(); ++txn) {
      const HistoryTxn& t = history_.txns[txn];
      if (t.outcome == TxnOutcome::kAborted) continue;
      uint32_t missing = 0;
      uint32_t found = 0;
      std::string first_missing;
      for (const HistoryOp& op : t.ops) {
        if (op.kind != HistoryOp::Kind::kAppend) continue;
        if (present[op.key].count(op.value) != 0) {
          ++found;
        } else if (missing++ == 0) {
          first_missing = std::to_string(op.value) + " in k=" + std::to_string(op.key);
        }
      }
      if (missing == 0) continue;
      if (t.outcome == TxnOutcome::kCommitted) {
        Found(AnomalyKind::kLostWrite,
              TxnName(txn) + " committed, but " + first_missing + " is gone");
      } else if (found > 0) {
        Found(AnomalyKind::kSplitOutcome,
              TxnName(txn) + " is there in part, without " + first_missing);
      }
    }
  }

  bool IsNode(uint32_t txn) const {
    const TxnOutcome outcome = history_.txns[txn].outcome;
    return outcome == TxnOutcome::kCommitted ||
           (outcome == TxnOutcome::kIndeterminate && observed_.count(txn) != 0);
  }
  void AddEdge(const Edge& edge) {
    if (edge.from == edge.to || !IsNode(edge.from) || !IsNode(edge.to)) return;
    out_[edge.from].push_back(edge);
  }

  void AddItemEdges() {
    for (const auto& [key, longest] : longest_) {
      if (forked_.count(key) != 0) continue;  // no order to derive from
      for (size_t i = 1; i < longest.list.size(); ++i) {
        const uint32_t before = longest.list[i - 1];
        const uint32_t after = longest.list[i];
        AddEdge({writers_[{key, before}].txn, writers_[{key, after}].txn, EdgeKind::kWw, key,
                 before, after});
      }
    }
    for (const ExternalRead& read : reads_) {
      const uint32_t last = read.list.empty() ? 0 : read.list.back();
      if (last != 0) {
        AddEdge({writers_[{read.key, last}].txn, read.txn, EdgeKind::kWr, read.key, last, 0});
      }
      const std::vector<uint32_t>& order = longest_[read.key].list;
      if (forked_.count(read.key) != 0 || read.list.size() >= order.size()) continue;
      const uint32_t next = order[read.list.size()];
      AddEdge({read.txn, writers_[{read.key, next}].txn, EdgeKind::kRw, read.key, last, next});
    }
  }

  // One edge per pair that is not implied by others: a sweep in order of time keeps the
  // transactions that have ended and after whose end none of the kept ones began.
  void AddRealTimeEdges() {
    struct Event {
      uint64_t time;
      bool is_end;
      uint32_t txn;
    };
    std::vector<Event> events;
    for (uint32_t txn = 0; txn < history_.txns.size(); ++txn) {
      if (!IsNode(txn)) continue;
      events.push_back({history_.txns[txn].begin_time, false, txn});
      // An indeterminate transaction may take effect at any later time.
      if (history_.txns[txn].outcome == TxnOutcome::kCommitted) {
        events.push_back({history_.txns[txn].end_time, true, txn});
      }
    }
    // At equal times begins come first: they count as concurrent.
    std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
      return std::tie(a.time, a.is_end, a.txn) < std::tie(b.time, b.is_end, b.txn);
    });
    std::vector<uint32_t> frontier;
    for (const Event& event : events) {
      if (!event.is_end) {
        for (const uint32_t ended : frontier) AddEdge({ended, event.txn, EdgeKind::kRt, 0, 0, 0});
        continue;
      }
      const uint64_t began = history_.txns[event.txn].begin_time;
      std::erase_if(frontier,
                    [&](uint32_t ended) { return history_.txns[ended].end_time < began; });
      frontier.push_back(event.txn);
    }
  }

  // Looks for each kind of cycle; with `extra` = rt only for those that need an rt edge.
  void FindCycles(uint8_t extra) {
    const bool realtime = extra != 0;
    ReportDependencyCycles(kWrites, extra, realtime ? AnomalyKind::kG0Realtime : AnomalyKind::kG0);
    ReportDependencyCycles(kDependencies, extra,
                           realtime ? AnomalyKind::kG1cRealtime : AnomalyKind::kG1c);
    ReportAntiDependencyCycles(extra);
  }

  void ReportDependencyCycles(uint8_t mask, uint8_t extra, AnomalyKind kind) {
    // The edge kind without which it would be a weaker anomaly's cycle.
    const EdgeKind required = extra != 0        ? EdgeKind::kRt
                              : mask == kWrites ? EdgeKind::kWw
                                                : EdgeKind::kWr;
    for (const auto& component : Components(mask | extra)) {
      std::vector<Edge> shortest;
      uint32_t searches = 0;
      for (const uint32_t node : component) {
        for (const Edge& edge : out_[node]) {
          if (edge.kind != required || !InComponent(edge)) continue;
          if (++searches > kSearchesMax) break;
          Shorten(shortest, CycleThrough(edge, mask | extra, RwUse::kNone));
        }
      }
      if (!shortest.empty()) Found(kind, CycleText(shortest));
    }
  }

  // Whether a component has a cycle without adjacent rw edges is decided exactly, in linear time,
  // by the components of the graph of states (node, came by rw); searches only find words for it.
  void ReportAntiDependencyCycles(uint8_t extra) {
    const uint8_t mask = kAllItems | extra;
    const bool realtime = extra != 0;
    const auto components = Components(mask);
    if (components.empty()) return;
    const std::vector<uint32_t> state_component = NonadjacentComponents(mask);
    for (const auto& component : components) {
      std::vector<Edge> single, nonadjacent, any;
      uint32_t searches = 0;
      for (const uint32_t node : component) {
        for (const Edge& edge : out_[node]) {
          if (edge.kind != EdgeKind::kRw || !InComponent(edge)) continue;
          const bool nonadjacent_cycle =
              state_component[2 * edge.from] == state_component[2 * edge.to + 1];
          if (nonadjacent_cycle && searches < kSearchesMax) {
            ++searches;
            Shorten(single,
                    Needing(extra, CycleThrough(edge, kDependencies | extra, RwUse::kNone)));
            Shorten(nonadjacent, Needing(extra, CycleThrough(edge, mask, RwUse::kNonadjacent)));
          } else if (any.empty() && searches < kSearchesMax) {
            ++searches;
            Shorten(any, Needing(extra, CycleThrough(edge, mask, RwUse::kAny)));
          }
        }
      }
      if (!single.empty()) {
        Found(realtime ? AnomalyKind::kGSingleRealtime : AnomalyKind::kGSingle, CycleText(single));
      } else if (!nonadjacent.empty()) {
        Found(realtime ? AnomalyKind::kGNonadjacentRealtime : AnomalyKind::kGNonadjacent,
              CycleText(nonadjacent));
      } else if (!any.empty()) {
        Found(realtime ? AnomalyKind::kG2ItemRealtime : AnomalyKind::kG2Item, CycleText(any));
      }
    }
  }

  static void Shorten(std::vector<Edge>& shortest, std::vector<Edge> cycle) {
    if (!cycle.empty() && (shortest.empty() || cycle.size() < shortest.size())) {
      shortest = std::move(cycle);
    }
  }
  static std::vector<Edge> Needing(uint8_t extra, std::vector<Edge> cycle) {
    const auto is_rt = [](const Edge& edge) { return edge.kind == EdgeKind::kRt; };
    if (extra != 0 && std::none_of(cycle.begin(), cycle.end(), is_rt)) return {};
    return cycle;
  }

  // The components of more than one transaction. Leaves each one's component in component_of_.
  std::vector<std::vector<uint32_t>> Components(uint8_t mask) {
    std::vector<std::vector<uint32_t>> successors(out_.size());
    for (size_t node = 0; node < out_.size(); ++node) {
      for (const Edge& edge : out_[node]) {
        if ((Bit(edge.kind) & mask) != 0) successors[node].push_back(edge.to);
      }
    }
    component_of_ = ComponentNumbers(successors);
    std::map<uint32_t, std::vector<uint32_t>> members;
    for (uint32_t node = 0; node < component_of_.size(); ++node) {
      members[component_of_[node]].push_back(node);
    }
    std::vector<std::vector<uint32_t>> components;
    for (auto& [number, nodes] : members) {
      if (nodes.size() > 1) components.push_back(std::move(nodes));
    }
    return components;
  }

  // Component of state 2 * node + (came by rw), where an rw edge may not follow another.
  std::vector<uint32_t> NonadjacentComponents(uint8_t mask) const {
    std::vector<std::vector<uint32_t>> successors(2 * out_.size());
    for (size_t node = 0; node < out_.size(); ++node) {
      for (const Edge& edge : out_[node]) {
        if ((Bit(edge.kind) & mask) == 0) continue;
        if (edge.kind == EdgeKind::kRw) {
          successors[2 * node].push_back(2 * edge.to + 1);
        } else {
          successors[2 * node].push_back(2 * edge.to);
          successors[2 * node + 1].push_back(2 * edge.to);
        }
      }
    }
    return ComponentNumbers(successors);
  }
  bool InComponent(const Edge& edge) const {
    return component_of_[edge.from] == component_of_[edge.to];
  }

  enum class RwUse : uint8_t { kNone, kNonadjacent, kAny };

  // The shortest cycle that begins with `first`, by breadth-first search over (node, came by rw).
  std::vector<Edge> CycleThrough(const Edge& first, uint8_t mask, RwUse rw) const {
    struct Visit {
      const Edge* edge;
      int32_t parent;
    };
    std::vector<Visit> visits = {{&first, -1}};
    std::set<std::pair<uint32_t, bool>> seen;
    for (size_t at = 0; at < visits.size() && at < options_.search_nodes_max; ++at) {
      const Edge& came = *visits[at].edge;
      const bool came_by_rw = came.kind == EdgeKind::kRw;
      for (const Edge& edge : out_[came.to]) {
        if ((Bit(edge.kind) & mask) == 0 || !InComponent(edge)) continue;
        const bool is_rw = edge.kind == EdgeKind::kRw;
        const bool closes = edge.to == first.from;
        if (rw == RwUse::kNonadjacent && is_rw &&
            (came_by_rw || (closes && first.kind == EdgeKind::kRw))) {
          continue;
        }
        if (closes) {
          std::vector<Edge> cycle = {edge};
          for (auto i = static_cast<int32_t>(at); i >= 0;
               i = visits[static_cast<size_t>(i)].parent) {
            cycle.push_back(*visits[static_cast<size_t>(i)].edge);
          }
          std::reverse(cycle.begin(), cycle.end());
          return cycle;
        }
        if (seen.insert({edge.to, is_rw}).second) {
          visits.push_back({&edge, static_cast<int32_t>(at)});
        }
      }
    }
    return {};
  }

  static std::string CycleText(const std::vector<Edge>& cycle) {
    std::string text;
    for (const Edge& edge : cycle) text += TxnName(edge.from) + " " + EdgeText(edge);
    return text + TxnName(cycle.front().from);
  }

  const History& history_;
  const BlackBoxOptions options_;
  BlackBoxReport report_;
  std::unordered_map<KeyValue, Writer, KeyValueHash> writers_;
  std::vector<ExternalRead> reads_;
  std::map<uint64_t, ExternalRead> longest_;
  std::set<uint64_t> forked_;
  std::set<uint32_t> observed_;  // indeterminate transactions somebody saw
  std::vector<std::vector<Edge>> out_;
  std::vector<uint32_t> component_of_;
};

}  // namespace

std::string_view AnomalyName(AnomalyKind kind) {
  switch (kind) {
    case AnomalyKind::kInternal: return "INTERNAL";
    case AnomalyKind::kNonRepeatable: return "NONREPEATABLE";
    case AnomalyKind::kDuplicate: return "DUPLICATE";
    case AnomalyKind::kGarbage: return "GARBAGE";
    case AnomalyKind::kG1a: return "G1a";
    case AnomalyKind::kG1b: return "G1b";
    case AnomalyKind::kIncompatibleOrder: return "INCOMPATIBLE-ORDER";
    case AnomalyKind::kLostWrite: return "LOST WRITE";
    case AnomalyKind::kSplitOutcome: return "SPLIT OUTCOME";
    case AnomalyKind::kG0: return "G0";
    case AnomalyKind::kG1c: return "G1c";
    case AnomalyKind::kGSingle: return "G-single";
    case AnomalyKind::kGNonadjacent: return "G-nonadjacent";
    case AnomalyKind::kG2Item: return "G2-item";
    case AnomalyKind::kG0Realtime: return "G0-realtime";
    case AnomalyKind::kG1cRealtime: return "G1c-realtime";
    case AnomalyKind::kGSingleRealtime: return "G-single-realtime";
    case AnomalyKind::kGNonadjacentRealtime: return "G-nonadjacent-realtime";
    case AnomalyKind::kG2ItemRealtime: return "G2-item-realtime";
  }
  return "?";
}

bool IsForbidden(AnomalyKind kind, const BlackBoxOptions& options) {
  const bool snapshot = options.level != IsolationLevel::kReadCommitted;
  const bool serializable = options.level == IsolationLevel::kSerializable;
  switch (kind) {
    case AnomalyKind::kInternal:
    case AnomalyKind::kDuplicate:
    case AnomalyKind::kGarbage:
    case AnomalyKind::kG1a:
    case AnomalyKind::kG1b:
    case AnomalyKind::kSplitOutcome:
    case AnomalyKind::kG0:
    case AnomalyKind::kG1c: return true;
    case AnomalyKind::kNonRepeatable:
    case AnomalyKind::kIncompatibleOrder:
    case AnomalyKind::kLostWrite:
    case AnomalyKind::kGSingle:
    case AnomalyKind::kGNonadjacent: return snapshot;
    case AnomalyKind::kG2Item: return serializable;
    case AnomalyKind::kG0Realtime:
    case AnomalyKind::kG1cRealtime: return options.real_time == RealTime::kRequired;
    case AnomalyKind::kGSingleRealtime:
    case AnomalyKind::kGNonadjacentRealtime:
      return snapshot && options.real_time == RealTime::kRequired;
    case AnomalyKind::kG2ItemRealtime:
      return serializable && options.real_time == RealTime::kRequired;
  }
  return true;
}

std::string BlackBoxReport::ToString() const {
  std::string text;
  for (const std::string& line : forbidden) text += "forbidden " + line + "\n";
  for (const std::string& line : allowed) text += "allowed   " + line + "\n";
  return text.empty() ? "clean" : text;
}

BlackBoxReport CheckBlackBox(const History& history, const BlackBoxOptions& options) {
  return BlackBoxChecker(history, options).Check();
}

}  // namespace flagstone::testkit
