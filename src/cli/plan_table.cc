#include "cli/plan_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/units.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The label as alternating text and digits: {"layer ", "3", " attention"}.
std::vector<std::string> Pieces(const std::string& label) {
  std::vector<std::string> pieces(1);
  bool digits = false;
  for (const char c : label) {
    if (IsDigit(c) != digits) {
      digits = !digits;
      pieces.emplace_back();
    }
    pieces.back() += c;
  }
  return pieces;
}

std::string KindOf(const std::string& label) {
  std::string kind;
  const std::vector<std::string> pieces = Pieces(label);
  for (size_t i = 0; i < pieces.size(); ++i) kind += i % 2 == 0 ? pieces[i] : "#";
  return kind;
}

bool SameLedger(const Ledger& a, const Ledger& b) {
  return a.weight_codes == b.weight_codes && a.weight_scales == b.weight_scales && a.norms_biases == b.norms_biases &&
         a.kv_codes == b.kv_codes && a.kv_scales == b.kv_scales && a.buffers == b.buffers && a.capacity == b.capacity;
}

std::string Mib(int64_t bytes) { return fmt::format("{:.1f}", static_cast<double>(bytes) / static_cast<double>(kMiB)); }

}  // namespace

std::string MergeLabels(const std::string& first, const std::string& last) {
  const std::vector<std::string> from = Pieces(first), to = Pieces(last);
  if (from.size() != to.size()) return fmt::format("{} to {}", first, last);
  std::string merged;
  for (size_t i = 0; i < from.size(); ++i) {
    const bool range = i + 2 < from.size() && from[i + 1] == "–" && to[i + 1] == "–";  // "0–2" and "9–11" are "0–11"
    if (from[i] == to[i]) {
      merged += from[i];
    } else if (range) {
      merged += fmt::format("{}–{}", from[i], to[i + 2]);
      i += 2;
    } else {
      merged += fmt::format("{}–{}", from[i], to[i]);
    }
  }
  return merged;
}

std::string CardList(const std::vector<int>& cards) {
  // Runs of neighbours: 1, 2, 4, 5, 7, 8 are three.
  std::vector<std::pair<int, int>> runs;
  for (const int card : cards) {
    if (!runs.empty() && runs.back().second + 1 == card) {
      runs.back().second = card;
    } else {
      runs.emplace_back(card, card);
    }
  }
  std::vector<std::string> names;
  bool regular = true;  // alike and equally far apart
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto [first, last] = runs[i];
    names.push_back(first == last ? fmt::format("{}", first) : fmt::format("{}–{}", first, last));
    regular = regular && last - first == runs[0].second - runs[0].first &&
              (i < 2 || first - runs[i - 1].first == runs[1].first - runs[0].first);
  }
  constexpr size_t kShown = 3;  // without an ellipsis
  constexpr size_t kListed = 8;
  if (names.size() > kListed && !regular) {
    return fmt::format("{}, {} … {} ({} cards)", names[0], names[1], names.back(), cards.size());
  }
  if (names.size() > kShown && regular) return fmt::format("{}, {} … {}", names[0], names[1], names.back());
  return fmt::format("{}", fmt::join(names, ", "));
}

std::vector<StageGroup> GroupStages(const Placement& placement) {
  std::vector<StageGroup> groups;
  std::vector<size_t> last;  // a group's last stage
  for (size_t i = 0; i < placement.stages.size(); ++i) {
    const PlacedStage& placed = placement.stages[i];
    size_t at = 0;
    for (; at < groups.size(); ++at) {
      const PlacedStage& other = placement.stages[groups[at].first];
      if (KindOf(other.stage.label) == KindOf(placed.stage.label) && SameLedger(other.ledger, placed.ledger)) break;
    }
    if (at == groups.size()) {
      groups.push_back({.label = "", .cards = {}, .first = i});
      last.push_back(i);
    }
    groups[at].cards.push_back(placed.card);
    last[at] = i;
  }
  for (size_t at = 0; at < groups.size(); ++at) {
    groups[at].label =
        MergeLabels(placement.stages[groups[at].first].stage.label, placement.stages[last[at]].stage.label);
  }
  return groups;
}

std::string RenderPlacement(const Placement& placement) {
  std::vector<std::vector<std::string>> rows{
      {"cards", "stage", "weights", "scales", "norms", "KV", "KV scales", "buffers", "free"}};
  for (const StageGroup& group : GroupStages(placement)) {
    const Ledger& ledger = placement.stages[group.first].ledger;
    rows.push_back({CardList(group.cards), group.label, Mib(ledger.weight_codes), Mib(ledger.weight_scales),
                    Mib(ledger.norms_biases), Mib(ledger.kv_codes), Mib(ledger.kv_scales), Mib(ledger.buffers),
                    Mib(ledger.free())});
  }
  return RenderTable(rows) + fmt::format("  in MiB; a card has {}\n", Mib(placement.stages.front().ledger.capacity));
}

}  // namespace lodestone::cli
