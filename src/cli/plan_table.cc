#include "cli/plan_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

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
  for (size_t i = 0; i < from.size(); ++i) merged += from[i] == to[i] ? from[i] : fmt::format("{}–{}", from[i], to[i]);
  return merged;
}

std::string CardList(const std::vector<int>& cards) {
  if (cards.size() == 1) return fmt::format("{}", cards.front());
  const int step = cards[1] - cards[0];
  for (size_t i = 2; i < cards.size(); ++i) {
    if (cards[i] - cards[i - 1] != step) return fmt::format("{}", fmt::join(cards, ", "));
  }
  if (step == 1) return fmt::format("{}–{}", cards.front(), cards.back());
  if (cards.size() == 2) return fmt::format("{}, {}", cards.front(), cards.back());
  return fmt::format("{}, {} … {}", cards[0], cards[1], cards.back());
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
      {"cards", "stage", "weights", "scales", "norms", "KV", "KV scales", "buffers", "free", "of MiB"}};
  for (const StageGroup& group : GroupStages(placement)) {
    const Ledger& ledger = placement.stages[group.first].ledger;
    rows.push_back({CardList(group.cards), group.label, Mib(ledger.weight_codes), Mib(ledger.weight_scales),
                    Mib(ledger.norms_biases), Mib(ledger.kv_codes), Mib(ledger.kv_scales), Mib(ledger.buffers),
                    Mib(ledger.free()), Mib(ledger.capacity)});
  }
  return RenderTable(rows);
}

}  // namespace lodestone::cli
