// The page of a training run: its losses, its rate, what it was made of.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "lab/training_run.h"
#include "report/html.h"
#include "report/svg_plot.h"

namespace lodestone {
namespace {

const Measure* Find(const TrainingResult& result, std::string_view name) {
  for (const Measure& measure : result.measures) {
    if (measure.name == name) return &measure;
  }
  return nullptr;
}

// A tile of a measure that is known.
void AddTile(const TrainingResult& result, const char* name, const char* label, const char* unit, double scale,
             std::vector<HtmlTile>& tiles, std::vector<std::string> lines = {}) {
  const Measure* measure = Find(result, name);
  if (measure == nullptr || !measure->value) return;
  tiles.push_back({.label = label,
                   .value = FormatNumber(*measure->value * scale),
                   .unit = unit,
                   .provenance = measure->provenance,
                   .lines = std::move(lines)});
}

XyPlot LossPlot(const TrainingResult& result) {
  XyPlot plot{.title = "Loss",
              .description = "Mean negative log-likelihood a token, of the training steps and of the held-out data",
              .x = {.label = "Steps", .tight = true},
              .y = {.label = "Loss, nats a token"},
              .series = {}};
  PlotSeries training{.name = "training", .points = {}, .line = true, .markers = false};
  for (const TrainingPoint& point : result.curve.points()) {
    training.points.push_back({.x = static_cast<double>(point.step), .y = point.loss});
  }
  plot.series.push_back(std::move(training));
  PlotSeries validation{.name = "validation", .points = {}, .line = true};
  for (const ValidationPoint& point : result.curve.validation()) {
    validation.points.push_back({.x = static_cast<double>(point.step),
                                 .y = point.loss,
                                 .tip = fmt::format("step {}: {:.4f}", point.step, point.loss)});
  }
  if (!validation.points.empty()) plot.series.push_back(std::move(validation));
  return plot;
}

XyPlot StepPlot(const TrainingResult& result, const char* title, const char* description, const char* axis,
                double (*value)(const TrainingPoint& point, double tokens_a_step), double tokens_a_step) {
  XyPlot plot{.title = title,
              .description = description,
              .x = {.label = "Steps", .tight = true},
              .y = {.label = axis, .low = 0},
              .series = {},
              .height = 260};
  PlotSeries series{.name = "", .points = {}, .line = true, .markers = false};
  for (const TrainingPoint& point : result.curve.points()) {
    series.points.push_back({.x = static_cast<double>(point.step), .y = value(point, tokens_a_step)});
  }
  plot.series.push_back(std::move(series));
  return plot;
}

HtmlTable TextTable(const char* caption, std::vector<std::vector<HtmlCell>> rows) {
  return {.caption = caption,
          .columns = {{.heading = "key", .number = false}, {.heading = "value", .number = false}},
          .rows = std::move(rows)};
}

HtmlTable MeasureTable(const TrainingResult& result) {
  HtmlTable table{.caption = "Measures",
                  .columns = {{.heading = "measure", .number = false},
                              {.heading = "value"},
                              {.heading = "unit", .number = false},
                              {.heading = "note", .number = false}},
                  .rows = {}};
  for (const Measure& measure : result.measures) {
    table.rows.push_back(
        {measure.name,
         measure.value ? HtmlCell(FormatNumber(*measure.value), measure.provenance) : HtmlCell("unavailable"),
         measure.unit, measure.reason});
  }
  return table;
}

}  // namespace

std::string TrainingPage(const TrainConfig& config, const TrainingResult& result,
                         const std::vector<std::pair<std::string, std::string>>& environment) {
  HtmlPage page(
      fmt::format("Training {}", config.name),
      fmt::format("{} in {}: {} of {} steps of {} × {} tokens. {}", result.model, config.run.recipe, result.step,
                  result.steps, config.run.sequences_a_step(), config.run.sequence, config.description));
  std::vector<HtmlTile> tiles;
  std::vector<std::string> perplexity;
  if (const Measure* loss = Find(result, "validation_loss_nats_per_token"); loss != nullptr && loss->value) {
    perplexity.push_back(fmt::format("perplexity {:.2f}", std::exp(*loss->value)));
  }
  AddTile(result, "training_loss_nats_per_token", "Training loss", "nats a token", 1, tiles);
  AddTile(result, "validation_loss_nats_per_token", "Validation loss", "nats a token", 1, tiles, perplexity);
  AddTile(result, "validation_bits_per_byte", "Validation", "bits a byte", 1, tiles);
  AddTile(result, "training_tokens_per_s", "Rate", "tokens/s", 1, tiles);
  AddTile(result, "training_flop_per_s", "Arithmetic", "GFLOP/s", 1e-9, tiles);
  AddTile(result, "share_of_limit", "Share of the host's limit", "%", 100, tiles);
  page.Tiles(tiles);

  page.Section("Loss");
  page.Figure(Render(LossPlot(result)),
              config.distillation.teacher.empty()
                  ? "Training loss is of each step's own sequences, before the update."
                  : "Training loss is of each step's own sequences, before the update, with the teacher's part in it; "
                    "validation loss is cross-entropy alone.",
              Provenance::kMeasured);
  if (result.curve.steps_a_point() > 1) {
    page.Note(fmt::format("A point is the mean of {} steps.", result.curve.steps_a_point()));
  }
  page.Section("Rate and schedule");
  const double tokens = static_cast<double>(config.run.sequences_a_step()) * config.run.sequence;
  page.Figure(
      Render(StepPlot(
          result, "Rate", "Tokens a second of each step, evaluation and checkpoints not counted", "Tokens a second",
          [](const TrainingPoint& point, double n) { return point.seconds > 0 ? n / point.seconds : 0; }, tokens)),
      "Tokens of all ranks over the time of the step.", Provenance::kMeasured);
  page.Figure(Render(StepPlot(
                  result, "Gradient norm", "Euclidean norm of the whole gradient before clipping", "Gradient norm",
                  [](const TrainingPoint& point, double) { return point.gradient_norm; }, tokens)),
              fmt::format("Clipped to {} where larger.", config.optimizer.clip_norm), Provenance::kMeasured);
  page.Figure(Render(StepPlot(
                  result, "Learning rate", "The schedule's rate at each step", "Learning rate",
                  [](const TrainingPoint& point, double) { return point.learning_rate; }, tokens)),
              "Warm-up and decay.");

  page.Section("Measures");
  page.Table(MeasureTable(result));
  page.Note(
      "FLOP are 6 P + 12 L h s a token, P all parameters (PaLM, 2022, appendix B): forward and backward; "
      "recomputation is not counted.");
  page.Section("What was trained");
  std::vector<std::vector<HtmlCell>> rows = {{"data", result.data}, {"validation", result.validation_data}};
  for (const auto& [key, value] : *result.settings.as_object()) {
    rows.push_back({key, value.as_string() != nullptr ? *value.as_string() : value.Dump(-1)});
  }
  page.Table(TextTable("Settings", std::move(rows)));
  rows = {{"ranks", result.ranks}};
  for (const auto& [name, value] : environment) rows.push_back({name, value});
  page.Table(TextTable("Environment", std::move(rows)));
  return std::move(page).Finish();
}

}  // namespace lodestone
