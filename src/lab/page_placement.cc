#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/units.h"
#include "lab/page_data.h"
#include "report/svg_bars.h"

namespace lodestone {
namespace {

double MiB(int64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(kMiB); }

// Cards in the order of their first shown stage, with the ledgers of all stages on them together.
struct CardLedger {
  int card = 0;
  std::string stages;
  Ledger ledger;
};

std::vector<CardLedger> LedgersOf(const PageData& data) {
  std::vector<CardLedger> cards;
  std::map<int, size_t> index;
  const std::vector<PlacedStage>& stages = data.run.placement.stages;
  for (const size_t shown : data.shown) index.emplace(stages[shown].card, 0);
  for (const PlacedStage& placed : stages) {
    const auto found = index.find(placed.card);
    if (found == index.end()) continue;
    const bool first =
        std::none_of(cards.begin(), cards.end(), [&](const CardLedger& c) { return c.card == placed.card; });
    if (first) {
      found->second = cards.size();
      cards.push_back({.card = placed.card, .stages = placed.stage.label, .ledger = placed.ledger});
      continue;
    }
    CardLedger& card = cards[found->second];
    card.stages += ", " + placed.stage.label;
    Ledger& sum = card.ledger;
    sum.weight_codes += placed.ledger.weight_codes;
    sum.weight_scales += placed.ledger.weight_scales;
    sum.norms_biases += placed.ledger.norms_biases;
    sum.kv_codes += placed.ledger.kv_codes;
    sum.kv_scales += placed.ledger.kv_scales;
    sum.buffers = std::max(sum.buffers, placed.ledger.buffers);
  }
  return cards;
}

Svg LedgerBars(const std::vector<CardLedger>& cards) {
  StackedBars chart{.title = "Core memory of each card",
                    .description = "A bar a card: weights, scales and norms, KV cache and buffers, up to the capacity.",
                    .axis = "MiB",
                    .parts = {{"weight codes", 0}, {"scales, norms, biases", 5}, {"KV cache", 1}, {"buffers", 4}},
                    .bars = {}};
  int64_t capacity = 0;
  for (size_t i = 0; i < cards.size(); ++i) {
    const CardLedger& card = cards[i];
    const Ledger& ledger = card.ledger;
    if (i > 0 && card.card > cards[i - 1].card + 1) chart.bars.push_back({.label = "⋮", .values = {}, .total = ""});
    capacity = std::max(capacity, ledger.capacity);
    chart.bars.push_back({.label = fmt::format("{} · {}", card.card, card.stages),
                          .values = {MiB(ledger.weight_codes), MiB(ledger.weight_scales + ledger.norms_biases),
                                     MiB(ledger.kv_codes + ledger.kv_scales), MiB(ledger.buffers)},
                          .total = fmt::format("{} free", FormatBytes(ledger.free()))});
  }
  chart.limit = MiB(capacity);
  chart.limit_name = fmt::format("capacity {}", FormatBytes(capacity));
  return Render(chart);
}

HtmlTable LedgerTable(const std::vector<CardLedger>& cards) {
  HtmlTable table{.caption = "Memory ledger of each card",
                  .columns = {{.heading = "Card"},
                              {.heading = "Stages", .number = false},
                              {.heading = "Weight codes"},
                              {.heading = "Scales"},
                              {.heading = "Norms, biases"},
                              {.heading = "KV codes"},
                              {.heading = "KV scales"},
                              {.heading = "Buffers"},
                              {.heading = "Free"},
                              {.heading = "Capacity"}},
                  .rows = {}};
  for (const CardLedger& card : cards) {
    const Ledger& l = card.ledger;
    std::vector<HtmlCell> row{fmt::format("{}", card.card), card.stages};
    for (const int64_t bytes :
         {l.weight_codes, l.weight_scales, l.norms_biases, l.kv_codes, l.kv_scales, l.buffers, l.free(), l.capacity}) {
      row.push_back(FormatBytes(bytes));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

HtmlTable MappingTable(const std::string& kind, const StageMapping& mapping) {
  HtmlTable table{.caption = fmt::format("{} on the cores", kind),
                  .columns = {{.heading = "Operator", .number = false},
                              {.heading = "Layout", .number = false},
                              {.heading = "Cores with work"},
                              {.heading = "Weights", .unit = "fullest core"},
                              {.heading = "KV", .unit = "fullest core"},
                              {.heading = "Mappings compared"}},
                  .rows = {}};
  for (const OperatorMapping& op : mapping.operators) {
    table.rows.push_back({op.weight.empty() ? op.op : fmt::format("{} {}", op.op, op.weight), op.layout,
                          fmt::format("{}", op.cores), op.weight_bytes > 0 ? FormatBytes(op.weight_bytes) : "–",
                          op.kv_bytes > 0 ? FormatBytes(op.kv_bytes) : "–", fmt::format("{}", op.considered)});
  }
  return table;
}

}  // namespace

void AddPlacement(HtmlPage& page, const PageData& data) {
  const Placement& placement = data.run.placement;
  page.Section("Placement");
  page.Paragraph(fmt::format(
      "{} stages on {} of {} cards. Weights and the KV cache of {} {}, {} positions each, stay in core memory; only "
      "activations travel. By the ledger {} users of this context would fit, or {} positions for each of these users. "
      "Embedding tables, {}, are looked up on the host.",
      placement.stages.size(), placement.cards_used, placement.cards, placement.demand.users,
      placement.demand.users == 1 ? "user" : "users", FormatNumber(static_cast<double>(placement.demand.context)),
      placement.max_users, FormatNumber(static_cast<double>(placement.max_context)),
      FormatBytes(placement.host_bytes)));
  const std::vector<CardLedger> cards = LedgersOf(data);
  page.Figure(LedgerBars(cards),
              "Core memory by what fills it; the framebuffer, which serves the link, is apart." + ShownNote(data),
              Provenance::kEstimated);
  page.OpenFold("The ledger in figures");
  page.Table(LedgerTable(cards));
  page.CloseFold();
}

void AddMapping(HtmlPage& page, const PageData& data) {
  if (data.mappings.empty()) return;
  page.Section("Mapping to the cores");
  page.Paragraph(
      "An operator is mapped once, for decoding: the mapper compares ways to deal its output columns, its inner "
      "dimension "
      "and its rows to the cores, and takes the fastest that leaves room on the fullest core.");
  HtmlTable table{.caption = "The fullest core of each kind of stage",
                  .columns = {{.heading = "Stage", .number = false},
                              {.heading = "Fullest core"},
                              {.heading = "Memory of a core"},
                              {.heading = "Full", .unit = "%"}},
                  .rows = {}};
  for (size_t i = 0; i < data.kinds.size(); ++i) {
    const StageMapping& mapping = data.mappings[data.kinds[i]];
    const double share = mapping.core_memory_bytes > 0 ? static_cast<double>(mapping.fullest_core_bytes) /
                                                             static_cast<double>(mapping.core_memory_bytes) * 100
                                                       : 0;
    table.rows.push_back({data.kind_names[i], FormatBytes(mapping.fullest_core_bytes),
                          FormatBytes(mapping.core_memory_bytes), fmt::format("{:.1f}", share)});
  }
  page.Table(table);
  for (size_t i = 0; i < data.kinds.size(); ++i) {
    page.OpenFold(fmt::format("Layouts: {}", data.kind_names[i]));
    page.Table(MappingTable(data.kind_names[i], data.mappings[data.kinds[i]]));
    page.CloseFold();
  }
}

}  // namespace lodestone
