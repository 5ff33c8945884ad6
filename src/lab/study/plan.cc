#include "lab/study/plan.h"

#include <fmt/format.h>

#include "base/quote.h"
#include "model/recipe.h"

namespace lodestone {
namespace {

constexpr double kMaxCount = 1 << 24;

constexpr StudySetting kSettings[] = {
    {"model", "NAME,...", "Shapes of the catalogue or FILE.toml.", &StudyPlan::models},
    {"hidden", "H,...", "Widths of the block, multiples of a head's 64.", &StudyPlan::hidden, 64, 1 << 17},
    {"recipe", "R,...", "Number formats: f32 and bf16; a block's forward also w8a8, w4a8, w4a4.", &StudyPlan::recipes},
    {"sequence", "S,...", "Positions of a sequence.", &StudyPlan::sequences, 1, kMaxCount},
    {"batch", "B,...", "Sequences of a micro-batch, on each rank.", &StudyPlan::batches, 1, 1 << 20},
    {"tokens_per_step", "T", "Constant tokens of a micro-batch: the batch becomes T / S (0: as --batch says).",
     &StudyPlan::tokens_per_step, 0, kMaxCount, false},
    {"gas", "G,...", "Gradient accumulation: micro-batches a step.", &StudyPlan::accumulations, 1, 1 << 16},
    {"recompute", "0|1,...", "Keep the residual stream alone and compute the rest again in the backward.",
     &StudyPlan::recompute, 0, 1},
    {"pattern", "P,...", "Sparsity patterns: none, unstructured, 2:4, tiles.", &StudyPlan::patterns},
    {"sparsity", "S,...", "Shares of zeros in every masked matrix; 2:4 has 0.5 alone.", &StudyPlan::levels, 0, 0.999},
    {"tile", "N", "Side of a tile block, a multiple of 16.", &StudyPlan::tile, 16, 4096, false},
    {"ranks", "N,...", "Ranks over MPI, each with its own processors.", &StudyPlan::ranks, 1, 4096},
    {"scaling", "W,...", "weak: every rank has the batch; strong: the ranks share it.", &StudyPlan::scaling},
    {"warmup", "N", "Steps before the clock starts.", &StudyPlan::warmup, 0, 1e6, false},
    {"repetitions", "N", "Steps that are timed.", &StudyPlan::repetitions, 1, 1e6, false},
    {"seed", "N", "Of weights and data.", &StudyPlan::seed, 0, 1e15, false},
};

constexpr StudySweep kSweeps[] = {StudySweep::kNone, StudySweep::kSequence, StudySweep::kRanks, StudySweep::kSparsity,
                                  StudySweep::kGas};

Status CheckWord(const StudySetting& setting, const std::string& word) {
  if (setting.name == "recipe") return ParseRecipe(word).status();
  if (setting.name == "pattern") return ParseSparsityPattern(word).status();
  if (setting.name == "scaling" && word != "weak" && word != "strong") {
    return Invalid(fmt::format("found {}, expected 'weak' or 'strong'", Quoted(word)));
  }
  return word.empty() ? Invalid("found an empty text, expected a name") : Status();
}

Error WrongValue(const Json& value, const std::string& expected) {
  const std::string found = value.as_string() != nullptr ? *value.as_string() : value.Dump(-1);
  return Invalid(fmt::format("found {}, expected {}", Quoted(found), expected));
}

Status ReadValue(const StudySetting& setting, const Json& value, std::string& out) {
  if (value.as_string() == nullptr) return WrongValue(value, "a text");
  out = *value.as_string();
  return CheckWord(setting, out);
}

Status ReadValue(const StudySetting& setting, const Json& value, int64_t& out) {
  const int64_t* number = value.as_int();
  if (number == nullptr || static_cast<double>(*number) < setting.min || static_cast<double>(*number) > setting.max) {
    return WrongValue(value, fmt::format("a whole number from {:.0f} to {:.0f}", setting.min, setting.max));
  }
  out = *number;
  return {};
}

Status ReadValue(const StudySetting& setting, const Json& value, double& out) {
  const std::optional<double> number = value.as_number();
  if (!number || !(*number >= setting.min && *number <= setting.max)) {
    return WrongValue(value, fmt::format("a number from {} to {}", setting.min, setting.max));
  }
  out = *number;
  return {};
}

}  // namespace

std::string_view ToString(StudyKind kind) {
  switch (kind) {
    case StudyKind::kBlock:
      return "block";
    case StudyKind::kGpt2:
      return "gpt2";
    case StudyKind::kGenslm:
      return "genslm";
  }
  return "";
}

std::string_view ToString(StudySweep sweep) {
  switch (sweep) {
    case StudySweep::kNone:
      return "";
    case StudySweep::kSequence:
      return "sequence";
    case StudySweep::kRanks:
      return "ranks";
    case StudySweep::kSparsity:
      return "sparsity";
    case StudySweep::kGas:
      return "gas";
  }
  return "";
}

Result<StudySweep> ParseStudySweep(std::string_view text) {
  for (const StudySweep sweep : kSweeps) {
    if (sweep != StudySweep::kNone && text == ToString(sweep)) return sweep;
  }
  return Invalid(fmt::format("there is no sweep {}; there are sequence, ranks, sparsity, gas", Quoted(text)));
}

std::span<const StudySetting> StudySettings() { return kSettings; }

bool HasSetting(StudyKind kind, const StudySetting& setting) {
  const auto is = [&](auto... names) { return ((setting.name == names) || ...); };
  return kind == StudyKind::kBlock ? !is("model", "gas", "ranks", "scaling") : !is("hidden");
}

Status SetStudySetting(StudyPlan& plan, const StudySetting& setting, std::span<const Json> values) {
  if (values.empty() || values.size() > static_cast<size_t>(kMaxStudyCases)) {
    return Invalid(fmt::format("found {} values, expected 1 to {}", values.size(), kMaxStudyCases));
  }
  if (!setting.list && values.size() > 1) {
    return Invalid(fmt::format("found {} values, expected one", values.size()));
  }
  return std::visit(
      [&](auto member) -> Status {
        auto& list = plan.*member;
        auto read = list;
        read.resize(values.size());
        for (size_t i = 0; i < values.size(); ++i) {
          LODESTONE_RETURN_IF_ERROR(ReadValue(setting, values[i], read[i]));
        }
        list = std::move(read);
        return {};
      },
      setting.target);
}

Result<StudyPlan> DefaultStudyPlan(StudyKind kind, StudySweep sweep) {
  StudyPlan plan{.kind = kind, .sweep = sweep};
  plan.recipes = {"f32", "bf16"};
  plan.batches = {1};
  plan.recompute = {0};
  const bool block = kind == StudyKind::kBlock;
  if (block) {
    if (sweep == StudySweep::kRanks || sweep == StudySweep::kGas) {
      return Unsupported(
          fmt::format("a block has no {} sweep: it is one forward and backward without an optimizer; "
                      "there are sequence and sparsity",
                      ToString(sweep)));
    }
    plan.hidden = {1600};
    plan.sequences = {1024};
    plan.repetitions = {5};
    if (sweep == StudySweep::kNone) plan.recipes = {"f32", "bf16", "w8a8", "w4a8", "w4a4"};
  } else {
    plan.models = {kind == StudyKind::kGpt2 ? "gpt2" : "genslm-25m"};
    plan.sequences = kind == StudyKind::kGpt2 ? std::vector<int64_t>{256} : std::vector<int64_t>{2048, 10240};
    if (kind == StudyKind::kGpt2) plan.batches = {4};
    plan.accumulations = {1};
  }
  switch (sweep) {
    case StudySweep::kNone:
      break;
    case StudySweep::kSequence:
      plan.recipes = {"bf16"};
      plan.sequences = {1024, 2048, 5120, 10240};
      plan.tokens_per_step = {10240};
      break;
    case StudySweep::kRanks:
      plan.recipes = {"bf16"};
      plan.sequences.resize(1);
      plan.ranks = {1, 2};
      plan.scaling = {"weak", "strong"};
      break;
    case StudySweep::kSparsity:
      plan.recipes = {"f32"};
      plan.sequences.resize(1);
      plan.patterns = {"unstructured", "2:4", "tiles"};
      plan.levels = {0, 0.5, 0.75, 0.9};
      break;
    case StudySweep::kGas:
      plan.recipes = {"bf16"};
      plan.sequences.resize(1);
      plan.accumulations = {1, 2, 4, 8};
      break;
  }
  return plan;
}

}  // namespace lodestone
