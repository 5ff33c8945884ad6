// A validation as text, as docs/accuracy.md and as JSON.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "lab/validate/validation.h"
#include "report/run_record.h"

namespace lodestone {
namespace {

using Rows = std::vector<std::vector<std::string>>;

struct Section {
  std::string title, text;
  Rows table;
};

constexpr int kFewest = 5;  // rows of which an order says something

std::string Percent(double share) { return fmt::format("{:.1f} %", 100 * share); }
std::string SignedPercent(double share) { return fmt::format("{:+.1f} %", 100 * share); }

Rows AccuracyTable(const std::string& of, const std::vector<NamedAccuracy>& groups) {
  Rows rows{{of, "rows", "MAPE", "bias", "worst", "rank corr.", "inside low–high", "within × 2"}};
  for (const auto& [name, a] : groups) {
    rows.push_back({name, fmt::format("{}", a.count), Percent(a.mape), SignedPercent(a.bias), SignedPercent(a.worst),
                    a.count < kFewest ? "–" : fmt::format("{:.3f}", a.spearman), Percent(a.inside),
                    Percent(a.within_2)});
  }
  return rows;
}

Rows LeftOutTable(const std::vector<LeftOutMachine>& machines) {
  Rows rows{{"machine", "factors of", "rows", "MAPE", "bias", "rank corr.", "inside low–high",
             "stacks without a teacher", "rows", "MAPE of all", "do not fit"}};
  for (const LeftOutMachine& left : machines) {
    rows.push_back({left.machine, fmt::format("{}", fmt::join(left.teachers, ", ")),
                    fmt::format("{}", left.known.count), Percent(left.known.mape), SignedPercent(left.known.bias),
                    fmt::format("{:.3f}", left.known.spearman), Percent(left.known.inside),
                    fmt::format("{}", fmt::join(left.unknown_stacks, ", ")),
                    fmt::format("{}", left.all.count - left.known.count), Percent(left.all.mape),
                    fmt::format("{}", left.refused)});
  }
  return rows;
}

std::string LoadOf(const PublishedRow& row) {
  std::string text = row.batch > 0 ? fmt::format("batch {}", row.batch) : "";
  if (row.prompt_tokens > 0)
    text += fmt::format("{}{} + {}", text.empty() ? "" : ", ", row.prompt_tokens, row.output_tokens);
  return text;
}

Rows RowTable(const std::vector<CheckedRow>& checked) {
  Rows rows{{"machine", "stack", "model", "formats", "load", "metric", "published", "estimated", "low–high", "ratio",
             "note"}};
  for (const auto& [row, comparison, reason] : checked) {
    const std::string machine = row->devices > 1 ? fmt::format("{} × {}", row->devices, row->machine) : row->machine;
    rows.push_back({machine, row->stack, row->shape, row->recipe, LoadOf(*row), row->metric,
                    FormatNumber(comparison.published), FormatNumber(comparison.estimate.typical),
                    fmt::format("{}–{}", FormatNumber(comparison.estimate.low), FormatNumber(comparison.estimate.high)),
                    fmt::format("{:.2f}", comparison.Ratio()), reason});
  }
  return rows;
}

// "8 of 9 rows without a known fault lie within a factor of 2."
std::string ShareWithin(const std::vector<CheckedRow>& checked, double factor) {
  int rows = 0, within = 0;
  for (const CheckedRow& one : checked) {
    if (!one.row->caution.empty()) continue;
    ++rows;
    const double ratio = one.comparison.Ratio();
    within += ratio <= factor && ratio >= 1 / factor ? 1 : 0;
  }
  return fmt::format("{} of {} rows without a known fault lie within a factor of {}.", within, rows, factor);
}

// "4 of 4 rows lie within 25 %."
std::string WithinShare(const std::vector<CheckedRow>& checked, double share) {
  const auto within = std::count_if(checked.begin(), checked.end(), [&](const CheckedRow& one) {
    return std::abs(one.comparison.Ratio() - 1) <= share;
  });
  return fmt::format("{} of {} rows lie within {:.0f} %.", within, checked.size(), 100 * share);
}

Rows TrainingTable(const std::vector<TrainingCheck>& checks) {
  Rows rows{{"machine", "system", "model", "tokens", "published", "estimated", "low–high", "ratio", "taken", "note"}};
  for (const TrainingCheck& check : checks) {
    const PublishedRow& row = *check.row;
    const Range& range = check.comparison.estimate;
    rows.push_back({row.devices > 1 ? fmt::format("{} × {}", row.devices, row.machine) : row.machine, row.system,
                    row.shape, row.prompt_tokens > 0 ? fmt::format("{}", row.prompt_tokens) : "",
                    fmt::format("{} {}", FormatNumber(row.value), row.unit), FormatNumber(range.typical),
                    fmt::format("{}–{}", FormatNumber(range.low), FormatNumber(range.high)),
                    fmt::format("{:.2f}", check.comparison.Ratio()), check.taken, check.reason});
  }
  return rows;
}

// Bullets of what is known about rows that lie far off.
constexpr std::string_view kWhyFar =
    "- Llama-2-70B and Llama-3-70B on four A100 of 40 GB: weights leave 3 GB a device, so that some hundred MB more or "
    "less decide how many requests are held; the engines of TensorRT-LLM differed from row to row in what they took.\n"
    "- Mistral-7B under vLLM on one and two H100 falls behind models of its shape from batch 32 on; the same model "
    "under "
    "TensorRT-LLM does not.\n"
    "- One MI250 at batch 64, models with grouped queries: a row at batch 64 is slower than at 32 from 512 tokens on. "
    "On "
    "the MI300X products of more than 16 rows run at a twentieth of the data sheet; the factors say so for every row.\n"
    "- DeepSpeed-MII was measured on the A100 alone: left out, nothing is known of the stack but what is assumed of "
    "the "
    "class.\n"
    "- MI250 and MI300X teach each other little: one stack reaches 0.3 of the matrix rate, the other 0.06.\n"
    "- Llama-2-7B in a pipeline of TensorRT-LLM was slower at batches above 1 than on one device; with Llama-3-8B, "
    "Mixtral, and at batch 1 the estimate is within 25 %.\n"
    "- The Max 1550 appears under two labels. Runs on one \"PVC\" have some 16 s that do not grow with the work; they "
    "are "
    "flagged as a slow start.";

std::vector<Section> SectionsOf(const Validation& validation) {
  std::vector<Section> sections;
  std::string classes;
  for (const auto& [name, mape] : validation.class_mape) {
    classes += fmt::format("{}{} {}", classes.empty() ? "" : ", ", name, Percent(mape));
  }
  sections.push_back(
      {"The inference study, by machine",
       fmt::format(
           "Throughput of LLM-Inference-Bench (arXiv 2411.00136) as it is published, prompt and output tokens a "
           "second: dense models of 7 to 72 billion parameters in 16 bits, batches 1 to 64, 128 to 2,048 tokens in "
           "and as many out, one device to eight, vLLM, TensorRT-LLM and DeepSpeed-MII. Rows with a known fault "
           "are left out and stand below. These rows fix the factors of their machine and stack, so that this is how "
           "well "
           "the form fits; how well it foretells stands under \"Machines left out\". Mean of the "
           "machines' MAPE: {}.",
           classes),
       AccuracyTable("machine", validation.machines)});
  sections.push_back(
      {"With flagged rows kept",
       "The same with every row that is flagged as a dip, a slow start, an outlier or a repetition: what "
       "a reader sees who does not look at the flags. The factors are those of the fits without them.",
       AccuracyTable("machine", validation.machines_kept)});
  sections.push_back({"By machine and stack", "", AccuracyTable("machine, stack", validation.machine_stacks)});
  sections.push_back({"By model", "", AccuracyTable("model", validation.models)});
  sections.push_back(
      {"Machines left out",
       "Each machine as if nobody had measured it: its data sheet, and for every stack the geometric mean of "
       "the factors of its class's other machines. A stack that only this machine has gets what is assumed "
       "of the class.",
       LeftOutTable(validation.left_out)});
  sections.push_back({"The farthest rows", std::string(kWhyFar), RowTable(validation.worst)});
  sections.push_back(
      {"All other rows",
       "Everything else published that the estimator can be asked: other metrics, formats, parallelism and "
       "methods, other works, and rows with a known fault (\"flagged\"). Of these only the study's times "
       "to first token and its larger batches took part in the fits.",
       AccuracyTable("rows", validation.beside)});
  sections.push_back(
      {"The survey, row by row",
       fmt::format(
           "Rows of arXiv 2410.04466 whose model and bits are known. Where a row says no lengths, {} "
           "tokens in and out are taken. The factors of these machines' classes are assumed, not fitted; such rows "
           "were in view when they were set. {}",
           kUnsaidTokens, ShareWithin(validation.survey, 2)),
       RowTable(validation.survey)});
  sections.push_back({"GPUs of the NorthPole paper",
                      "Table I of the HPEC 2024 paper. No fit used these rows; they were in view when the weight of "
                      "its prior was set. " +
                          WithinShare(validation.northpole, 0.25),
                      RowTable(validation.northpole)});
  sections.push_back(
      {"Training on accelerators",
       "Published rates of whole systems. \"Taken\" is what the documents do not say: batch, recomputation "
       "and lengths were chosen with the ratios in view, and no factor is fitted on training, so these "
       "rows show an order of magnitude.",
       TrainingTable(validation.training)});
  sections.push_back(
      {"Training on GPUs",
       fmt::format("GenSLM at 2,048 tokens, 4 to 4,096 A100 (bioRxiv 2022.10.10.511571). Models of 25 and 250 "
                   "million parameters wait for their framework's host, which these closed forms do not "
                   "know of. {} rows do not fit as the estimator lays them out.",
                   validation.training_refused.size()),
       AccuracyTable("model, machine", validation.training_gpus)});
  Rows reasons{{"rows", "reason"}};
  int sum = 0;
  for (const auto& [reason, count] : validation.unmodelled) {
    reasons.push_back({fmt::format("{}", count), reason});
    sum += count;
  }
  sections.push_back({"Rows that are not compared",
                      fmt::format("{} of {} published rows about inference.", sum, validation.rows),
                      std::move(reasons)});
  return sections;
}

std::string MarkdownTable(const Rows& rows) {
  std::string text;
  for (size_t i = 0; i < rows.size(); ++i) {
    text += fmt::format("| {} |\n", fmt::join(rows[i], " | "));
    if (i > 0) continue;
    for (size_t column = 0; column < rows[i].size(); ++column) text += "| --- ";
    text += "|\n";
  }
  return text;
}

Json ToJson(const Accuracy& a) {
  Json json;
  json.Set("rows", a.count).Set("mape", a.mape).Set("bias", a.bias).Set("worst", a.worst);
  json.Set("rank_correlation", a.spearman).Set("inside", a.inside).Set("within_2", a.within_2);
  return json;
}

Json ToJson(const std::vector<NamedAccuracy>& groups) {
  Json json(Json::Object{});
  for (const NamedAccuracy& group : groups) json.Set(group.name, ToJson(group.accuracy));
  return json;
}

Json ToJson(const std::vector<CheckedRow>& checked) {
  Json::Array rows;
  for (const auto& [row, comparison, reason] : checked) {
    Json json;
    json.Set("file", row->file).Set("line", row->line).Set("machine", row->machine).Set("devices", row->devices);
    json.Set("stack", row->stack).Set("shape", row->shape).Set("recipe", row->recipe).Set("batch", row->batch);
    json.Set("prompt_tokens", row->prompt_tokens).Set("output_tokens", row->output_tokens).Set("metric", row->metric);
    json.Set("published", comparison.published).Set("low", comparison.estimate.low);
    json.Set("estimated", comparison.estimate.typical).Set("high", comparison.estimate.high);
    json.Set("reason", reason);
    rows.push_back(std::move(json));
  }
  return rows;
}

}  // namespace

std::string ValidationText(const Validation& validation) {
  std::string text;
  for (const Section& section : SectionsOf(validation)) {
    text += fmt::format("{}{}\n", text.empty() ? "" : "\n", section.title);
    if (section.table.size() > 1) text += RenderTable(section.table);
  }
  return text;
}

std::string ValidationMarkdown(const Validation& validation) {
  std::string text =
      "# How far estimates are from what was published\n\n"
      "Written by `lodestone validate --markdown docs/accuracy.md`; a test holds it equal to the command's output.\n"
      "MAPE is the mean of |estimate ÷ published − 1|, bias the mean of the same without the bars, worst the farthest "
      "row;\n"
      "times are compared as rates. Low and high come from the spread of the factors (`lodestone validate "
      "--calibrate`).\n";
  for (const Section& section : SectionsOf(validation)) {
    text += fmt::format("\n## {}\n", section.title);
    if (!section.text.empty()) text += fmt::format("\n{}\n", section.text);
    if (section.table.size() > 1) text += "\n" + MarkdownTable(section.table);
  }
  return text;
}

Json ValidationJson(const Validation& validation) {
  Json json;
  json.Set("machines", ToJson(validation.machines)).Set("machine_stacks", ToJson(validation.machine_stacks));
  json.Set("models", ToJson(validation.models)).Set("machines_with_flagged", ToJson(validation.machines_kept));
  Json classes(Json::Object{});
  for (const auto& [name, mape] : validation.class_mape) classes.Set(name, mape);
  json.Set("class_mape", std::move(classes));
  Json::Array left_out;
  for (const LeftOutMachine& left : validation.left_out) {
    Json one;
    one.Set("machine", left.machine);
    Json::Array teachers(left.teachers.begin(), left.teachers.end());
    Json::Array unknown(left.unknown_stacks.begin(), left.unknown_stacks.end());
    one.Set("teachers", std::move(teachers)).Set("unknown_stacks", std::move(unknown));
    one.Set("known_stacks", ToJson(left.known)).Set("all", ToJson(left.all));
    left_out.push_back(std::move(one));
  }
  json.Set("left_out", std::move(left_out)).Set("worst", ToJson(validation.worst));
  json.Set("beside", ToJson(validation.beside)).Set("survey", ToJson(validation.survey));
  json.Set("northpole", ToJson(validation.northpole));
  Json::Array training;
  for (const TrainingCheck& check : validation.training) {
    Json one;
    one.Set("machine", check.row->machine).Set("devices", check.row->devices).Set("shape", check.row->shape);
    one.Set("sequence", check.row->prompt_tokens).Set("unit", check.row->unit);
    one.Set("published", check.comparison.published).Set("low", check.comparison.estimate.low);
    one.Set("estimated", check.comparison.estimate.typical).Set("high", check.comparison.estimate.high);
    one.Set("taken", check.taken).Set("reason", check.reason);
    training.push_back(std::move(one));
  }
  json.Set("training", std::move(training)).Set("training_gpus", ToJson(validation.training_gpus));
  json.Set("training_refused", Json::Array(validation.training_refused.begin(), validation.training_refused.end()));
  Json reasons(Json::Object{});
  for (const auto& [reason, count] : validation.unmodelled) reasons.Set(reason, count);
  json.Set("unmodelled", std::move(reasons)).Set("rows", validation.rows);
  return json;
}

}  // namespace lodestone
