#include "lab/study/rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "lab/statistics.h"
#include "learn/training_cost.h"
#include "model/recipe.h"

namespace lodestone {
namespace {

// What the matrix units of this host reach in the case's formats. bf16 is multiplied in f32 where no unit does better.
std::optional<double> LimitOf(const StudyResult& result, const HostLimits* limits) {
  if (limits == nullptr) return std::nullopt;
  const auto at = [&](const HostRate& rate) { return rate.At(result.threads * result.ranks, limits->threads); };
  if (result.test.integer()) {
    const HostRate* int8 = limits->int8_ops_per_s();
    return int8 != nullptr ? std::optional(at(*int8)) : std::nullopt;
  }
  if (result.test.recipe == "bf16" && limits->bf16_amx_ops_per_s) return at(*limits->bf16_amx_ops_per_s);
  return limits->f32_ops_per_s ? std::optional(at(*limits->f32_ops_per_s)) : std::nullopt;
}

// GenSLM's ThroughputMonitor divides by the mean batch time.
double Typical(StudyKind kind, std::span<const double> seconds) {
  const Statistics statistics = StatisticsOf(seconds);
  return kind == StudyKind::kGenslm ? statistics.mean : statistics.median;
}

std::optional<StudyRate> RateOf(double seconds, double flops, double pruned, const std::optional<double>& limit) {
  if (!(seconds > 0)) return std::nullopt;
  StudyRate rate{.seconds = seconds, .dense_flops = flops / seconds, .true_flops = (flops - pruned) / seconds};
  if (limit) rate.share_of_limit = rate.true_flops / *limit;
  return rate;
}

std::optional<double> MedianRatio(std::span<const double> dense, std::span<const double> sparse) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(dense.size(), sparse.size()); ++i) ratios.push_back(dense[i] / sparse[i]);
  return ratios.empty() ? std::nullopt : std::optional(StatisticsOf(ratios).median);
}

// The same run but for its sparsity.
bool SameButSparsity(const StudyCase& a, const StudyCase& b) {
  return a.config == b.config && a.recipe == b.recipe && a.sequence == b.sequence && a.batch == b.batch &&
         a.accumulation == b.accumulation && a.recompute == b.recompute;
}

std::optional<double> Speedup(const std::optional<StudyRate>& dense, const std::optional<StudyRate>& here) {
  return dense && here ? std::optional(dense->seconds / here->seconds) : std::nullopt;
}

bool SameFamily(StudyKind kind, const std::string& model) {
  if (kind == StudyKind::kBlock) return model == kBlockModel;
  return model.starts_with(kind == StudyKind::kGpt2 ? "gpt" : "genslm");
}

}  // namespace

StudyFigures FiguresOf(StudyKind kind, StudyResult result, const HostLimits* limits) {
  const StudyCase& test = result.test;
  StudyFigures row{.result = {}, .parameters = ParameterCount(test.config), .scaling = {}};
  row.samples = static_cast<double>(test.batch * test.accumulation * result.ranks);
  row.tokens = row.samples * static_cast<double>(test.sequence);
  double flops = row.tokens * TrainingFlopsPerToken(test.config, test.sequence);
  if (kind == StudyKind::kBlock) flops = 3 * BlockForwardFlops(test.config.hidden, test.sequence, test.batch);
  const double pruned = row.tokens * MaskedFlopsPerToken(test.config) * result.sparsity;
  const std::optional<double> limit = LimitOf(result, limits);
  row.step = RateOf(Typical(kind, result.step_s), flops, pruned, limit);
  // Every rank's forward is one rank's work; its rate is of all of them.
  row.forward = RateOf(Typical(kind, result.forward_s), flops / 3, pruned / 3, limit);
  if (!result.optimizer_s.empty()) row.optimizer_s = Typical(kind, result.optimizer_s);
  if (!result.reduce_s.empty()) row.reduce_s = Typical(kind, result.reduce_s);
  if (result.mlp) {
    row.mlp_forward_speedup = MedianRatio(result.mlp->dense_forward_s, result.mlp->sparse_forward_s);
    row.mlp_training_speedup = MedianRatio(result.mlp->dense_training_s, result.mlp->sparse_training_s);
  }
  row.result = std::move(result);
  return row;
}

void CompareRows(std::vector<StudyFigures>& rows) {
  for (StudyFigures& row : rows) {
    if (!row.ok()) continue;
    for (const StudyFigures& other : rows) {
      if (!other.ok() || &other == &row) continue;
      const bool dense = other.result.test.sparsity.pattern == SparsityPattern::kNone;
      const bool pruned = row.result.test.sparsity.pattern != SparsityPattern::kNone;
      if (dense && pruned && SameButSparsity(row.result.test, other.result.test)) {
        row.step_speedup = Speedup(other.step, row.step);
        row.forward_speedup = Speedup(other.forward, row.forward);
      }
    }
    if (row.scaling.empty() || !row.step) continue;
    const auto same = [&](const StudyFigures& other) {
      return other.ok() && other.step && other.scaling == row.scaling;
    };
    const auto fewest = std::min_element(rows.begin(), rows.end(), [&](const StudyFigures& a, const StudyFigures& b) {
      return same(a) != same(b) ? same(a) : a.result.ranks < b.result.ranks;
    });
    const double more = static_cast<double>(row.result.ranks) / fewest->result.ranks;
    row.efficiency = row.tokens_per_s() / fewest->tokens_per_s() / more;
  }
}

Status AddPublished(StudyReport& report) {
  LODESTONE_ASSIGN_OR_RETURN(PublishedTrainingFile all, CatalogPublishedTraining());
  for (PublishedTraining& series : all.series) {
    if (!SameFamily(report.plan.kind, series.model)) continue;
    const bool beside = std::any_of(report.rows.begin(), report.rows.end(), [&](const StudyFigures& row) {
      const StudyCase& test = row.result.test;
      return test.model == series.model && (series.sequence == 0 || series.sequence == test.sequence);
    });
    (beside ? report.published : report.neighbours).push_back(std::move(series));
  }
  for (PublishedUnknown& unknown : all.unavailable) {
    if (SameFamily(report.plan.kind, unknown.model)) report.unavailable.push_back(std::move(unknown));
  }
  return {};
}

std::optional<double> FlopsPerDevice(const PublishedTraining& series, size_t point) {
  const std::optional<double> tokens = series.TokensPerSecond(point);
  const Result<ModelConfig> config = LoadModelConfig(series.model);
  if (!tokens || series.sequence == 0 || !config.ok()) return std::nullopt;
  return *tokens * TrainingFlopsPerToken(*config, series.sequence) / static_cast<double>(series.points[point].devices);
}

std::string DisturbanceOf(const std::vector<StudyFigures>& rows) {
  double least = 1, most = 0;
  for (const StudyFigures& row : rows) {
    if (!row.ok()) continue;
    least = std::min(least, row.result.processor_share());
    most = std::max(most, row.result.processor_share());
  }
  if (least >= kUndisturbed) return "";
  const std::string low = fmt::format("{:.0f}", least * 100), high = fmt::format("{:.0f}", most * 100);
  return fmt::format(
      "disturbed: this program had {} % of its threads' time on a processor; other programs ran, or threads slept, and "
      "the host reaches more",
      low == high ? low : fmt::format("{} to {}", low, high));
}

std::vector<std::string> StudyDefinitions(const StudyPlan& plan) {
  std::vector<std::string> all;
  if (plan.kind == StudyKind::kBlock) {
    all.push_back(
        "One pre-LN GPT block with heads of 64 and an MLP of 4 h. Operations: forward 24 b s h² + 4 b s² h, backward "
        "twice that; what the causal mask makes needless is not discounted. An embedding of 16 entries feeds it and a "
        "loss over 16 ends it: 32 h operations a token that are not counted.");
    all.push_back(
        "fwd+bwd: both passes without an optimizer. Integer recipes run forward, by the executor that the engine "
        "runs.");
  } else {
    all.push_back(
        "A step is every micro-batch forward and backward, the sum over ranks, clipping and AdamW. Operations a token: "
        "6 P + 12 L h s with all P parameters; recomputation is not counted. The forward pass (fwd) is timed apart, "
        "on the same batch; the backward (bwd) is what remains of the step.");
    all.push_back("Peak: the memory of the process until the end of that run, its runs before included.");
  }
  if (plan.kind == StudyKind::kGenslm) {
    all.push_back(
        "Samples/s as GenSLM's ThroughputMonitor defines it: micro-batch × ranks ÷ mean batch time, the first epoch "
        "dropped. The repository runs 6 epochs of 32 batches: --warmup 32 --repetitions 160.");
  } else {
    all.push_back("Times are medians of the repetitions, after the warm-up.");
  }
  all.push_back(
      "Share: of the rate that 'lodestone bench limits' measured on this host for the recipe's products; bf16 is "
      "multiplied in f32 where the host has no unit for it.");
  if (plan.sweep == StudySweep::kSparsity) {
    all.push_back(
        "Dense-equivalent rates count all weights, true rates those that are left. Embedding and output layer stay "
        "dense. Gain: the dense run's time over this one's; the ideal is 1 / (1 − S). Unstructured and 2:4 zeros are "
        "multiplied like any weight on this host; tile blocks are skipped.");
    all.push_back(
        "MLP fwd and MLP f+b: of tile blocks, the gain on the two layers of the MLP alone, forward and with the "
        "backward, over the ideal.");
  }
  if (plan.sweep == StudySweep::kRanks) {
    all.push_back("Efficiency: (T_N / T_n0) ÷ (N / n0) in tokens/s, n0 the fewest ranks.");
  }
  return all;
}

}  // namespace lodestone
