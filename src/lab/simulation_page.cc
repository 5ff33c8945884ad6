#include "lab/simulation_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/units.h"
#include "lab/page_data.h"
#include "lab/work_list.h"

namespace lodestone {
namespace {

constexpr size_t kMostShown = 24;
// A longer run is shown alone: every constant without a source repeats it twice.
constexpr int64_t kMostRepeatedTokens = 4'000'000;

// All stages, or the first, some of the middle and the last.
std::vector<size_t> ShownStages(size_t stages) {
  std::vector<size_t> shown;
  for (size_t i = 0; i < stages; ++i) {
    const bool middle = i + 2 >= stages / 2 && i < stages / 2 + 2;
    if (stages <= kMostShown || i < 8 || i + 8 >= stages || middle) shown.push_back(i);
  }
  return shown;
}

// "layer 0" to "layer 13" of one kind are "layer 0 to layer 13, 14 stages".
std::string KindName(const Placement& placement, int kind) {
  std::string first, last;
  int count = 0;
  for (const PlacedStage& placed : placement.stages) {
    if (placed.kind != kind) continue;
    if (count++ == 0) first = placed.stage.label;
    last = placed.stage.label;
  }
  return count == 1 ? first : fmt::format("{} to {} ({} stages)", first, last, count);
}

// Decoding in the middle of the run, some rounds of all micro-batches; and the first chunks of the prompts.
std::array<TimeWindow, 2> WindowsOf(const PageData& data) {
  const auto slowest = [](const std::vector<StageCost>& costs) {
    Time most;
    for (const StageCost& cost : costs) most = std::max(most, cost.time);
    return most;
  };
  const int groups = std::min(data.options.users, data.options.micro_batches);
  const auto stages = static_cast<int64_t>(data.run.placement.stages.size());
  const Time elapsed = data.run.elapsed;
  const int64_t chunk_ps = std::max<int64_t>(1, slowest(data.prefill_costs).ps);
  const int64_t decode_ps = std::max<int64_t>(1, slowest(data.decode_costs).ps);
  const int64_t prefill = std::min(elapsed.ps, chunk_ps * (stages + groups + 4));
  const int64_t round = data.run.run.itl_s ? Time::Seconds(*data.run.run.itl_s).ps : decode_ps * (stages + groups);
  const int64_t decode = std::min(elapsed.ps, std::min(round * 5 / 2, decode_ps * 60));
  const Time middle{(Time::Seconds(data.run.run.prompt_time_s).ps + elapsed.ps) / 2};
  const Time from{std::max<int64_t>(0, std::min(middle.ps, elapsed.ps - decode))};
  return {TimeWindow{Time{}, Time{prefill}}, TimeWindow{from, from + Time{decode}}};
}

// The workload with one user, two, …: as many as the placement holds, at most half as many again as the published run.
Result<std::vector<SimulatedPoint>> PointsOf(const PageData& data, int threads) {
  const int most = std::min(data.run.placement.max_users, data.options.users * 3 / 2 + 2);
  std::vector<SimulatedPoint> points(static_cast<size_t>(std::max(0, most)));
  std::vector<Status> refused(points.size());
  ForEach(points.size(), threads, [&](size_t i) {
    SimulationOptions options = data.options;
    options.users = static_cast<int>(i) + 1;
    options.placement.reset();
    const Result<SimulatedRun> run = SimulateBatch(options);
    if (!run.ok()) {
      refused[i] = run.error();
      return;
    }
    points[i] = {.users = options.users, .measures = MeasuresOf(run->run)};
  });
  // More users than the cores hold, where the card's memory would: the curve ends there.
  const auto first = std::find_if(refused.begin(), refused.end(), [](const Status& status) { return !status.ok(); });
  points.resize(static_cast<size_t>(first - refused.begin()));
  return points;
}

Result<PageData> Gather(const SimulationOptions& options, int threads, PassCosts& costs) {
  PageData data{.options = options};
  data.options.placement = costs.placement();
  LODESTONE_ASSIGN_OR_RETURN(data.run, SimulateBatch(data.options));
  data.measures = MeasuresOf(data.run.run);
  SimulationOptions ideal = data.options;
  ideal.fidelity = Fidelity::kIdeal;
  if (const Result<SimulatedRun> run = SimulateBatch(ideal); run.ok()) data.ideal = MeasuresOf(run->run);
  data.repeated = data.run.tokens <= kMostRepeatedTokens;
  if (options.fidelity != Fidelity::kIdeal && data.repeated) {
    if (const Result<Envelope> envelope = EnvelopeOf(data.options, threads); envelope.ok()) {
      AddRanges(*envelope, data.measures);
    }
    if (Result<Sensitivity> sensitivity = SensitivityOf(data.options, threads); sensitivity.ok()) {
      data.sensitivity = *std::move(sensitivity);
    }
  }
  LODESTONE_ASSIGN_OR_RETURN(data.published, PublishedBeside(options));
  if (data.published && !data.published->points.empty() && data.repeated) {
    LODESTONE_ASSIGN_OR_RETURN(data.points, PointsOf(data, threads));
  }
  data.decode = TypicalDecodeLoad(options);
  data.prefill = TypicalPrefillLoad(options);
  data.decode_costs = costs.CostsOf(data.decode);
  data.prefill_costs = costs.CostsOf(data.prefill);
  data.decode_ops = costs.Explain(data.decode);
  data.prefill_ops = costs.Explain(data.prefill);
  data.mappings = costs.appliance().mappings();
  const Placement& placement = data.run.placement;
  std::vector<int> seen;
  for (size_t i = 0; i < placement.stages.size(); ++i) {
    const int kind = placement.stages[i].kind;
    if (std::find(seen.begin(), seen.end(), kind) != seen.end()) continue;
    seen.push_back(kind);
    data.kinds.push_back(i);
    data.kind_names.push_back(KindName(placement, kind));
  }
  data.shown = ShownStages(placement.stages.size());
  for (size_t i = 0; i < data.decode_costs.size(); ++i) {
    if (data.decode_costs[i].time > data.decode_costs[data.slowest].time) data.slowest = i;
  }
  return data;
}

std::string TitleOf(const SimulationOptions& options) {
  return fmt::format("{} in {} on {}", options.config.name, options.recipe.name, options.spec.name);
}

std::string LeadOf(const PageData& data) {
  const SimulationOptions& options = data.options;
  const int groups = std::min(options.users, options.micro_batches);
  std::string text = fmt::format(
      "{} {} in {} {}, {} prompt tokens and {} generated tokens each, prompts in chunks of {}, on {} of {} cards. ",
      options.users, options.users == 1 ? "user" : "users", groups, groups == 1 ? "micro-batch" : "micro-batches",
      FormatNumber(static_cast<double>(options.prompt_tokens)),
      FormatNumber(static_cast<double>(options.output_tokens)), options.prefill_chunk, data.run.placement.cards_used,
      data.run.placement.cards);
  text += options.fidelity == Fidelity::kIdeal
              ? "Simulated by the rates of the chip alone, with nothing fitted: a bound, not a forecast."
              : "Simulated: no token was computed, and no card was measured.";
  return text;
}

}  // namespace

std::string StageAndCard(const PageData& data, size_t stage) {
  const PlacedStage& placed = data.run.placement.stages[stage];
  return fmt::format("{} · {}", placed.card, placed.stage.label);
}

std::string ShownNote(const PageData& data) {
  const size_t all = data.run.placement.stages.size();
  if (data.shown.size() == all) return "";
  return fmt::format(" Of {} stages, the first 8, some of the middle and the last 8 are shown.", all);
}

Result<std::string> SimulationPage(const SimulationOptions& options, int threads,
                                   const std::vector<std::pair<std::string, std::string>>& environment) {
  LODESTONE_ASSIGN_OR_RETURN(PassCosts costs, PassCosts::Open(options));
  LODESTONE_ASSIGN_OR_RETURN(const PageData data, Gather(options, threads, costs));
  std::vector<int> watched;
  const std::vector<PlacedStage>& stages = data.run.placement.stages;
  for (const size_t stage : {size_t{0}, stages.size() / 2, stages.size() - 1}) watched.push_back(stages[stage].card);
  RunView view(costs, data.options, WindowsOf(data), watched);
  LODESTONE_RETURN_IF_ERROR(SimulateBatch(data.options, &view).status());

  HtmlPage page(TitleOf(options), LeadOf(data));
  AddHeadline(page, data, view);
  AddPublished(page, data);
  AddPlacement(page, data);
  AddMapping(page, data);
  AddTimeline(page, data, view);
  AddOperators(page, data);
  AddRoofline(page, data);
  AddEnergy(page, data, view);
  AddFramebuffers(page, data, view);
  AddSensitivity(page, data);
  AddLinks(page, data);
  AddAssumptions(page, data);
  if (!environment.empty()) page.Table(EnvironmentTable(environment));
  return std::move(page).Finish();
}

}  // namespace lodestone
