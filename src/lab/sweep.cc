#include "lab/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "lab/sweep_settings.h"
#include "lab/work_list.h"
#include "model/open_model.h"

namespace lodestone {
namespace {

Error At(const Sweep& sweep, const SweepSetting& setting, const Error& error) {
  return Error{error.code, fmt::format("{}:{}: key '{}': {}", sweep.file, setting.line, setting.name, error.message)};
}

Error InFile(const Sweep& sweep, const char* key, const Error& error) {
  return Error{error.code, fmt::format("{}: key '{}': {}", sweep.file, key, error.message)};
}

// A recipe's default of SimulationOptions is none, so a file without one is not complete.
Status CheckRecipe(const Sweep& sweep) {
  for (const auto* settings : {&sweep.workload, &sweep.axes}) {
    for (const SweepSetting& setting : *settings) {
      if (setting.name == "recipe") return {};
    }
  }
  return Invalid(fmt::format("{}: no recipe is given, expected one in [workload] or [axes]", sweep.file));
}

// Every value by itself on this appliance, so that what no point could do is an error and not a column of reasons.
Status CheckOnAppliance(const Sweep& sweep, const SweepDraft& base) {
  for (const auto* settings : {&sweep.workload, &sweep.axes}) {
    for (const SweepSetting& setting : *settings) {
      SweepDraft draft = base;
      for (const Json& value : setting.values) {
        if (const Status status = ApplySetting(setting.name, value, draft); !status.ok()) {
          return At(sweep, setting, status.error());
        }
        const ApplianceSpec& spec = draft.options.spec;
        if (spec.cards > spec.cards_per_server && !(spec.network_bytes_per_s && spec.network_latency_s)) {
          return At(sweep, setting,
                    Invalid(fmt::format("found {} cards, but {} has no network between its servers of {} cards",
                                        spec.cards, spec.name, spec.cards_per_server)));
        }
      }
    }
  }
  return {};
}

Result<SweepDraft> BaseOf(const Sweep& sweep) {
  LODESTONE_RETURN_IF_ERROR(CheckRecipe(sweep));
  SweepDraft base;
  Result<ModelConfig> config = OpenShape(sweep.model);
  if (!config.ok()) return InFile(sweep, "model", config.error());
  base.options.config = *std::move(config);
  Result<ApplianceSpec> spec = LoadAppliance(sweep.appliance);
  if (!spec.ok()) return InFile(sweep, "appliance", spec.error());
  base.options.spec = *std::move(spec);
  LODESTONE_RETURN_IF_ERROR(CheckOnAppliance(sweep, base));
  for (const SweepSetting& setting : sweep.workload) {
    LODESTONE_RETURN_IF_ERROR(ApplySetting(setting.name, setting.values.front(), base));
  }
  return base;
}

// The values of point `index`: the last axis varies fastest.
std::vector<Json> ValuesOf(const std::vector<SweepSetting>& axes, size_t index) {
  std::vector<Json> values(axes.size());
  for (size_t i = axes.size(); i-- > 0;) {
    values[i] = axes[i].values[index % axes[i].values.size()];
    index /= axes[i].values.size();
  }
  return values;
}

SweepPoint RunPoint(const Sweep& sweep, SweepDraft draft, size_t index) {
  SweepPoint point;
  point.values = ValuesOf(sweep.axes, index);
  for (size_t i = 0; i < sweep.axes.size(); ++i) {
    if (const Status status = ApplySetting(sweep.axes[i].name, point.values[i], draft); !status.ok()) {
      point.reason = status.error().message;
      return point;
    }
  }
  SimulationOptions& options = draft.options;
  options.micro_batches = draft.micro_batches.value_or(DefaultMicroBatches(options.spec, options.users));
  point.users = options.users;
  const Result<SimulatedRun> run = SimulateBatch(options);
  if (!run.ok()) {
    point.reason = run.error().message;
    return point;
  }
  point.run = run->run;
  point.cards_used = run->placement.cards_used;
  point.instances = run->placement.instances;
  point.joules_per_token = run->energy.total_j() / run->run.tokens_generated;
  point.bottleneck = run->bottleneck;
  point.bottleneck_stage = run->stages[static_cast<size_t>(run->bottleneck.stage)].label;
  return point;
}

}  // namespace

double SweepPoint::tokens_per_s() const { return run.tokens_generated / (run.prompt_time_s + run.token_gen_time_s); }
double SweepPoint::tokens_per_s_per_card() const { return tokens_per_s() / run.cards; }
std::optional<double> SweepPoint::tokens_per_s_per_user() const {
  return run.itl_s && *run.itl_s > 0 ? std::optional(1 / *run.itl_s) : std::nullopt;
}

Result<SweepResult> RunSweep(const Sweep& sweep, int threads, const std::function<void()>& on_point) {
  LODESTONE_ASSIGN_OR_RETURN(const SweepDraft base, BaseOf(sweep));
  SweepResult result{sweep, std::vector<SweepPoint>(static_cast<size_t>(sweep.points()))};
  std::mutex heard;
  ForEach(result.points.size(), threads, [&](size_t i) {
    result.points[i] = RunPoint(sweep, base, i);
    if (!on_point) return;
    const std::lock_guard lock(heard);
    on_point();
  });
  return result;
}

std::vector<size_t> ParetoFront(const std::vector<SweepPoint>& points) {
  std::vector<size_t> order;
  for (size_t i = 0; i < points.size(); ++i) {
    if (points[i].ok() && points[i].tokens_per_s_per_user()) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const double card_a = points[a].tokens_per_s_per_card(), card_b = points[b].tokens_per_s_per_card();
    return card_a != card_b ? card_a > card_b : *points[a].tokens_per_s_per_user() > *points[b].tokens_per_s_per_user();
  });
  std::vector<size_t> front;
  for (const size_t i : order) {
    const bool better =
        front.empty() || *points[i].tokens_per_s_per_user() > *points[front.back()].tokens_per_s_per_user();
    if (better) front.push_back(i);
  }
  return front;
}

}  // namespace lodestone
