#include "cli/plan_search.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/provenance.h"
#include "base/units.h"
#include "cli/layout.h"
#include "cli/plan_table.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

std::string Milliseconds(Time time) { return fmt::format("{:.3g}", time.seconds() * 1e3); }
std::string Microseconds(Time time) { return FormatNumber(time.seconds() * 1e6); }

std::vector<std::string> Row(const std::string& name, const Proposal& proposal) {
  const int cards = proposal.arrangement.cards;
  const PipelineEstimate& estimate = proposal.estimate;
  return {name,
          proposal.layers,
          proposal.output,
          fmt::format("{}", cards),
          fmt::format("{}", proposal.instances),
          fmt::format("{}–{}", Microseconds(estimate.fastest), Microseconds(estimate.slowest)),
          Milliseconds(estimate.period),
          FormatNumber(proposal.system_tokens_per_s()),
          FormatNumber(estimate.tokens_per_s / cards),
          FormatNumber(proposal.instances * estimate.watts),
          FormatNumber(double{1} * proposal.instances * proposal.max_users)};
}

std::string RenderProposals(const SearchResult& found) {
  std::vector<std::vector<std::string>> rows{{"", "layers on cards", "output", "cards", "inst.", "step µs", "ms/token",
                                              "tokens/s", "a card", "watts", "users"}};
  bool listed = false;
  for (size_t i = 0; i < found.best.size(); ++i) {
    rows.push_back(Row(fmt::format("{}", i + 1), found.best[i]));
    listed = listed || (found.plain && found.plain->arrangement == found.best[i].arrangement);
  }
  if (found.plain && !listed) rows.push_back(Row("*", *found.plain));
  std::string text = RenderTable(rows);
  if (found.plain && !listed) text += "  * what plan chooses without --search\n";
  return text;
}

std::string RenderReasons(const SearchResult& found) {
  std::string text;
  for (size_t i = 0; i < found.best.size(); ++i) {
    for (size_t line = 0; line < found.best[i].reasons.size(); ++line) {
      const std::string head = line == 0 ? fmt::format("{:>3}", i + 1) : std::string(3, ' ');
      text += Wrap(fmt::format("{}  {}", head, found.best[i].reasons[line]), kWidth, 7) + "\n";
    }
  }
  return text;
}

// For each proposal two columns: users of an instance, and what all instances make.
std::string RenderTrade(const SearchResult& found) {
  std::vector<std::vector<std::string>> rows{{"positions"}};
  for (size_t i = 0; i < found.best.size(); ++i) {
    rows[0].push_back(fmt::format("{}", i + 1));
    rows[0].push_back("tokens/s");
  }
  for (const TradePoint& point : found.trade) {
    std::vector<std::string> row{FormatNumber(static_cast<double>(point.context))};
    for (size_t i = 0; i < point.proposals.size(); ++i) {
      const TradePoint::Filled& filled = point.proposals[i];
      row.push_back(FormatNumber(filled.users));
      row.push_back(filled.users > 0 ? FormatNumber(found.best[i].instances * filled.estimate.tokens_per_s) : "–");
    }
    rows.push_back(std::move(row));
  }
  return RenderTable(rows);
}

std::string RenderCounts(const SearchResult& found) {
  std::string text = fmt::format("{} compared; {} more take too many cards or more memory than a card has",
                                 Counted(found.estimated, "arrangement"), found.over_memory);
  if (found.over_cores > 0) {
    text += fmt::format("; {} more do not fit the cores, the first because {}", found.over_cores, found.core_reason);
  }
  return Wrap("  " + text, kWidth, 4) + "\n";
}

Json ToJson(const Proposal& proposal) {
  const Arrangement& arrangement = proposal.arrangement;
  const PipelineEstimate& estimate = proposal.estimate;
  Json layers;
  if (arrangement.part_ranks.empty()) {
    layers.Set("steps", arrangement.body_steps).Set("ranks", arrangement.layer_ranks);
  } else {
    Json::Array ranks;
    for (const int of : arrangement.part_ranks) ranks.push_back(of);
    layers.Set("part_ranks", std::move(ranks));
  }
  Json steps;
  steps.Set("slowest_s", estimate.slowest.seconds()).Set("mean_s", estimate.mean.seconds());
  steps.Set("fastest_s", estimate.fastest.seconds());
  Json figures;
  figures.Set("provenance", ToString(Provenance::kEstimated)).Set("micro_batches", estimate.groups);
  figures.Set("step", std::move(steps)).Set("round_trip_s", estimate.round_trip.seconds());
  figures.Set("latency_s_per_token", estimate.period.seconds()).Set("tokens_per_s", estimate.tokens_per_s);
  figures.Set("system_tokens_per_s", proposal.system_tokens_per_s());
  figures.Set("tokens_per_s_per_card", estimate.tokens_per_s / arrangement.cards);
  figures.Set("prompt_tokens_per_s", estimate.prompt_tokens_per_s).Set("watts", estimate.watts);
  Json::Array reasons;
  for (const std::string& reason : proposal.reasons) reasons.push_back(reason);
  Json json;
  json.Set("layers", std::move(layers)).Set("output_ranks", arrangement.output_ranks);
  json.Set("output_shares_cards", arrangement.output_shares_cards).Set("cards_used", arrangement.cards);
  json.Set("instances", proposal.instances).Set("max_users", proposal.max_users);
  json.Set("max_context", proposal.placement.max_context).Set("prefill_chunk", proposal.prefill_chunk);
  json.Set("fullest_core_bytes", proposal.fullest_core_bytes);
  json.Set("estimate", std::move(figures)).Set("reasons", std::move(reasons));
  return json;
}

}  // namespace

std::string RenderSearch(const SearchResult& found, const ApplianceSpec& appliance, const SearchOptions& options) {
  std::string text = Wrap(fmt::format("The best by {}, estimated in closed form: {} of one instance decode at half of "
                                      "their positions. ms/token is what a user waits; tokens/s, watts and the users "
                                      "that there is room for are of all instances.",
                                      ToString(options.objective), Counted(options.users, "user")),
                          kWidth, 0) +
                     "\n\n";
  text += RenderProposals(found) + "\n" + RenderReasons(found);
  text += "\nAs many users of one instance as memory holds, and the tokens/s of all instances\n\n";
  text += RenderTrade(found) + "\n" + RenderCounts(found);
  text += fmt::format("\nThe first, on {} of the {} cards of {}\n\n", found.best.front().arrangement.cards,
                      appliance.cards, appliance.name);
  return text + RenderPlacement(found.best.front().placement);
}

Json ToJson(const SearchResult& found, const SearchOptions& options) {
  Json::Array proposals, trade;
  for (const Proposal& proposal : found.best) proposals.push_back(ToJson(proposal));
  for (const TradePoint& point : found.trade) {
    Json::Array filled;
    for (const TradePoint::Filled& proposal : point.proposals) {
      Json at;
      at.Set("users", proposal.users);
      if (proposal.users > 0) {
        at.Set("latency_s_per_token", proposal.estimate.period.seconds());
        at.Set("tokens_per_s", proposal.estimate.tokens_per_s);
      }
      filled.push_back(std::move(at));
    }
    Json entry;
    entry.Set("context", point.context).Set("proposals", std::move(filled));
    trade.push_back(std::move(entry));
  }
  Json json;
  json.Set("objective", ToString(options.objective)).Set("proposals", std::move(proposals));
  json.Set("without_search", found.plain ? ToJson(*found.plain) : Json()).Set("trade", std::move(trade));
  json.Set("compared", found.estimated).Set("over_memory", found.over_memory).Set("over_cores", found.over_cores);
  if (found.over_cores > 0) json.Set("core_reason", found.core_reason);
  return json;
}

}  // namespace lodestone::cli
