#include "lab/study/columns.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/units.h"

namespace lodestone {
namespace {

using Row = StudyFigures;

std::string Text(const std::optional<double>& value, double scale = 1) {
  return value ? FormatNumber(*value * scale) : kNoFigure;
}
std::string Percent(const std::optional<double>& value) {
  return value ? fmt::format("{:.0f} %", *value * 100) : kNoFigure;
}
std::string Seconds(const std::optional<double>& value) { return value ? FormatSeconds(*value) : kNoFigure; }
std::string Ratio(const std::optional<double>& value) { return value ? fmt::format("{:.2f}", *value) : kNoFigure; }

std::optional<double> SecondsOf(const std::optional<StudyRate>& rate) {
  return rate ? std::optional(rate->seconds) : std::nullopt;
}
std::string Tera(const std::optional<StudyRate>& rate) {
  return rate ? FormatNumber(rate->dense_flops * 1e-12) : kNoFigure;
}
std::string TrueTera(const std::optional<StudyRate>& rate) {
  return rate ? FormatNumber(rate->true_flops * 1e-12) : kNoFigure;
}
std::string Share(const std::optional<StudyRate>& rate) { return rate ? Percent(rate->share_of_limit) : kNoFigure; }
// Of the step.
std::string PartOf(const Row& row, const std::optional<double>& seconds) {
  return row.step && seconds ? Percent(*seconds / row.step->seconds) : kNoFigure;
}
std::string OfIdeal(const Row& row, const std::optional<double>& speedup) {
  return speedup ? fmt::format("{:.2f}", *speedup / row.ideal_speedup()) : kNoFigure;
}
std::string TokensText(const Row& row) { return row.step ? FormatNumber(row.tokens_per_s()) : kNoFigure; }
std::string SamplesText(const Row& row) { return row.step ? FormatNumber(row.samples_per_s()) : kNoFigure; }
std::string LossText(const Row& row) {
  return row.result.steps > 0 ? fmt::format("{:.4f}", row.result.last_loss) : kNoFigure;
}

const StudyColumn kCase[] = {
    {"scaling", "", [](const Row& r) { return r.scaling; }},
    {"ranks", "", [](const Row& r) { return fmt::format("{}", r.result.ranks); }},
    {"model", "", [](const Row& r) { return r.result.test.model; }},
    {"hidden", "",
     [](const Row& r) {
       const bool block = r.result.test.model == kBlockModel;
       return block ? fmt::format("{}", r.result.test.config.hidden) : std::string();
     }},
    {"recipe", "", [](const Row& r) { return r.result.test.recipe; }},
    {"sequence", "", [](const Row& r) { return fmt::format("{}", r.result.test.sequence); }},
    {"batch", "", [](const Row& r) { return fmt::format("{}", r.result.test.batch); }},
    {"gas", "", [](const Row& r) { return fmt::format("{}", r.result.test.accumulation); }},
    {"recompute", "", [](const Row& r) { return std::string(r.result.test.recompute ? "yes" : "no"); }},
    {"pattern", "", [](const Row& r) { return std::string(ToString(r.result.test.sparsity.pattern)); }},
    {"S", "", [](const Row& r) { return fmt::format("{}", r.result.test.sparsity.level); }},
};

const StudyColumn kForward = {"forward", "", [](const Row& r) { return Seconds(SecondsOf(r.forward)); }};
const StudyColumn kStep = {"step", "", [](const Row& r) { return Seconds(SecondsOf(r.step)); }};
const StudyColumn kBoth = {"fwd+bwd", "", [](const Row& r) { return Seconds(SecondsOf(r.step)); }};
const StudyColumn kForwardRate = {"TFLOP/s", "", [](const Row& r) { return Tera(r.forward); }};
const StudyColumn kStepRate = {"TFLOP/s", "", [](const Row& r) { return Tera(r.step); }};
const StudyColumn kTrueRate = {"true", "TFLOP/s", [](const Row& r) { return TrueTera(r.step); }};
const StudyColumn kForwardShare = {"share", "", [](const Row& r) { return Share(r.forward); }};
const StudyColumn kStepShare = {"share", "", [](const Row& r) { return Share(r.step); }};
const StudyColumn kSamples = {"samples/s", "", SamplesText};
const StudyColumn kTokens = {"tokens/s", "", TokensText};
const StudyColumn kLoss = {"loss", "", LossText};

std::optional<double> BackwardSeconds(const Row& row) {
  if (!row.step || !row.forward) return std::nullopt;
  return row.step->seconds - row.forward->seconds - row.optimizer_s.value_or(0) - row.reduce_s.value_or(0);
}

std::vector<StudyColumn> SparsityColumns(bool block) {
  const StudyColumn forward_gain = {"gain", "", [](const Row& r) { return Ratio(r.forward_speedup); }};
  const StudyColumn step_gain = {"gain", "", [](const Row& r) { return Ratio(r.step_speedup); }};
  const StudyColumn ideal = {
      "ideal", "", [](const Row& r) { return r.ok() ? fmt::format("{:.3g}", r.ideal_speedup()) : kNoFigure; }};
  const StudyColumn mlp_forward = {"MLP fwd", "of ideal",
                                   [](const Row& r) { return OfIdeal(r, r.mlp_forward_speedup); }};
  const StudyColumn mlp_training = {"MLP f+b", "of ideal",
                                    [](const Row& r) { return OfIdeal(r, r.mlp_training_speedup); }};
  std::vector<StudyColumn> columns{kForward,  forward_gain, block ? kBoth : kStep, step_gain,   kStepRate,
                                   kTrueRate, ideal,        mlp_forward,           mlp_training};
  if (!block) columns.push_back(kLoss);
  return columns;
}

}  // namespace

std::vector<StudyColumn> CaseColumns(const StudyReport& report) {
  std::vector<StudyColumn> columns;
  for (const StudyColumn& column : kCase) {
    const bool differs = std::any_of(report.rows.begin(), report.rows.end(), [&](const Row& row) {
      return column.text(row) != column.text(report.rows.front());
    });
    if (differs) columns.push_back(column);
  }
  return columns;
}

std::string CommonSettings(const StudyReport& report) {
  if (report.rows.empty()) return "";
  std::vector<std::string> words;
  for (const StudyColumn& column : kCase) {
    const std::string value = column.text(report.rows.front());
    const bool differs =
        std::any_of(report.rows.begin(), report.rows.end(), [&](const Row& row) { return column.text(row) != value; });
    const bool said = value.empty() || value == "none" || value == "no" || value == "0" || value == kBlockModel ||
                      (value == "1" && column.heading != "batch");
    if (differs || said) continue;
    const bool plain = column.heading == "model" || column.heading == "recipe" || column.heading == "pattern";
    words.push_back(plain ? value : fmt::format("{} {}", column.heading, value));
  }
  const StudyResult& result = report.rows.front().result;
  words.push_back(fmt::format("{} thread{}{}", result.threads, result.threads == 1 ? "" : "s",
                              report.plan.sweep == StudySweep::kRanks ? " a rank" : ""));
  words.push_back(result.isa);
  return fmt::format("{}", fmt::join(words, ", "));
}

std::vector<StudyColumn> MeasureColumns(const StudyReport& report) {
  const bool block = report.plan.kind == StudyKind::kBlock;
  if (report.plan.sweep == StudySweep::kSparsity) return SparsityColumns(block);
  if (block) return {kForward, kForwardRate, kForwardShare, kBoth, kStepRate, kStepShare};
  std::vector<StudyColumn> columns{kSamples, kTokens, kStepRate, kStepShare, kStep};
  if (report.plan.sweep == StudySweep::kRanks) {
    columns.push_back({"waiting", "", [](const Row& r) { return PartOf(r, r.reduce_s); }});
    columns.push_back({"efficiency", "", [](const Row& r) { return Text(r.efficiency); }});
    return columns;
  }
  columns.push_back({"fwd", "", [](const Row& r) { return PartOf(r, SecondsOf(r.forward)); }});
  columns.push_back({"bwd", "", [](const Row& r) { return PartOf(r, BackwardSeconds(r)); }});
  columns.push_back({"AdamW", "", [](const Row& r) { return PartOf(r, r.optimizer_s); }});
  columns.push_back({"peak", "", [](const Row& r) {
                       const auto bytes = r.result.peak_resident_bytes;
                       return r.ok() && bytes ? FormatBytes(*bytes) : std::string(kNoFigure);
                     }});
  return columns;
}

std::vector<std::string> RemarksOf(const StudyReport& report) {
  std::vector<std::string> remarks;
  const auto say = [&](const char* what, const std::string& text) {
    const std::string remark = what + text;
    if (!text.empty() && std::find(remarks.begin(), remarks.end(), remark) == remarks.end()) remarks.push_back(remark);
  };
  for (const StudyFigures& row : report.rows) {
    say("not run: ", row.result.reason);
    say("note: ", row.result.test.note);
  }
  say("", DisturbanceOf(report.rows));
  say("no shares: ", report.limits_reason);
  return remarks;
}

std::vector<PublishedLine> LinesOf(const PublishedTraining& series) {
  std::vector<PublishedLine> lines;
  for (size_t i = 0; i < series.points.size(); i += std::max<size_t>(1, series.points.size() - 1)) {
    lines.push_back({.system = series.system,
                     .devices = fmt::format("{} × {}", series.points[i].devices, series.device),
                     .samples = Text(series.SamplesPerSecond(i)),
                     .tokens = Text(series.TokensPerSecond(i)),
                     .tflops = Text(FlopsPerDevice(series, i), 1e-12),
                     .efficiency = fmt::format("{:.2f}", series.Efficiency(i)),
                     .note = series.note});
  }
  return lines;
}

}  // namespace lodestone
