// From a plan to the runs that it stands for.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lab/study/plan.h"
#include "model/recipe.h"

namespace lodestone {
namespace {

// The dense run first, then every pattern with every level; 2:4 has its own.
std::vector<SparsitySettings> SparsitiesOf(const StudyPlan& plan) {
  std::vector<SparsitySettings> all;
  const int side = static_cast<int>(plan.tile.front());
  const auto add = [&](SparsityPattern pattern, double level) {
    const bool known = std::any_of(all.begin(), all.end(),
                                   [&](const SparsitySettings& s) { return s.pattern == pattern && s.level == level; });
    if (!known) all.push_back({.pattern = pattern, .level = level, .block_rows = side, .block_columns = side});
  };
  const bool dense = std::find(plan.levels.begin(), plan.levels.end(), 0.0) != plan.levels.end();
  if (dense || plan.levels.empty() || plan.patterns.empty()) add(SparsityPattern::kNone, 0);
  for (const std::string& name : plan.patterns) {
    const SparsityPattern pattern = *ParseSparsityPattern(name);  // checked when it was set
    if (pattern == SparsityPattern::kNone) add(pattern, 0);
    for (const double level : plan.levels) {
      if (level == 0 || pattern == SparsityPattern::kNone) continue;
      add(pattern, pattern == SparsityPattern::k2of4 ? 0.5 : level);
    }
  }
  return all;
}

// Settings that would do nothing: whoever gave them expects something else.
Status CheckUsed(const StudyPlan& plan) {
  const bool pruned = std::any_of(plan.patterns.begin(), plan.patterns.end(), [](const std::string& name) {
    return *ParseSparsityPattern(name) != SparsityPattern::kNone;
  });
  const bool sparse = std::any_of(plan.levels.begin(), plan.levels.end(), [](double level) { return level > 0; });
  if (sparse && !pruned) return Invalid("sparsity says how much, and no pattern is set: unstructured, 2:4 or tiles");
  if (pruned && plan.levels.empty()) return Invalid("a pattern is set, and no sparsity: how much of each matrix");
  if (plan.sweep != StudySweep::kRanks && !(plan.ranks.empty() && plan.scaling.empty())) {
    return Invalid("ranks and scaling are settings of the ranks sweep; without it, mpirun starts the ranks");
  }
  return {};
}

// Every case with every value, the value varying faster.
template <typename T, typename Set>
Status Expand(std::vector<StudyCase>& cases, const std::vector<T>& values, const Set& set) {
  if (cases.size() * values.size() > static_cast<size_t>(kMaxStudyCases)) {
    return Invalid(fmt::format("these lists make more than {} runs", kMaxStudyCases));
  }
  std::vector<StudyCase> expanded;
  for (const StudyCase& one : cases) {
    for (const T& value : values) LODESTONE_RETURN_IF_ERROR(set(expanded.emplace_back(one), value));
  }
  cases = std::move(expanded);
  return {};
}

Status SetBlock(StudyCase& one, int64_t hidden, int64_t sequence) {
  one.model = kBlockModel;
  one.sequence = sequence;
  LODESTONE_ASSIGN_OR_RETURN(one.config, BlockConfig(hidden, sequence));
  return {};
}

// With room for so many positions.
Status SetSequence(StudyCase& one, int64_t sequence) {
  one.sequence = sequence;
  if (sequence > one.config.max_positions) {
    one.note = fmt::format("{} widened from {} to {} positions", one.model, one.config.max_positions, sequence);
    one.config.max_positions = sequence;
  }
  return {};
}

Status SetTokens(StudyCase& one, int64_t tokens) {
  if (tokens % one.sequence != 0) {
    return Invalid(fmt::format("tokens_per_step {} is not a multiple of sequence {}", tokens, one.sequence));
  }
  one.batch = tokens / one.sequence;
  return {};
}

}  // namespace

bool StudyCase::integer() const {
  const Result<Recipe> parsed = ParseRecipe(recipe);
  return parsed.ok() && IsInteger(parsed->activations.code);
}

Result<ModelConfig> BlockConfig(int64_t hidden, int64_t sequence) {
  constexpr int kHead = 64;
  if (hidden < kHead || hidden % kHead != 0) {
    return Invalid(fmt::format("hidden {} is not a multiple of a head's {} dimensions", hidden, kHead));
  }
  ModelConfig c;
  c.name = fmt::format("block-{}", hidden);
  c.architecture = Architecture::kGpt2;
  c.layers = 1;
  c.hidden = static_cast<int>(hidden);
  c.ffn = 4 * c.hidden;
  c.heads = c.kv_heads = c.hidden / kHead;
  c.head_dim = kHead;
  c.vocab = kBlockVocab;
  c.max_positions = sequence;
  c.norm = NormKind::kLayer;
  c.activation = ActivationKind::kGeluTanh;
  c.gated_mlp = false;
  c.position = PositionKind::kLearned;
  c.qkv_bias = c.attention_output_bias = c.mlp_bias = true;
  c.tied_embeddings = true;
  c.attention_scale = 1 / std::sqrt(static_cast<double>(kHead));
  return c;
}

Result<std::vector<StudyCase>> CasesOf(const StudyPlan& plan) {
  LODESTONE_RETURN_IF_ERROR(CheckUsed(plan));
  std::vector<StudyCase> cases(1);
  const auto assign = [](auto member) {
    return [member](StudyCase& one, const auto& value) {
      one.*member = value;
      return Status();
    };
  };
  const std::vector<int64_t> once{1};
  if (plan.kind == StudyKind::kBlock) {
    LODESTONE_RETURN_IF_ERROR(Expand(cases, plan.recipes, assign(&StudyCase::recipe)));
    std::vector<std::pair<int64_t, int64_t>> shapes;
    for (const int64_t hidden : plan.hidden) {
      for (const int64_t sequence : plan.sequences) shapes.emplace_back(hidden, sequence);
    }
    LODESTONE_RETURN_IF_ERROR(Expand(
        cases, shapes, [](StudyCase& one, const auto& shape) { return SetBlock(one, shape.first, shape.second); }));
  } else {
    const auto set_model = [](StudyCase& one, const std::string& model) -> Status {
      one.model = model;
      LODESTONE_ASSIGN_OR_RETURN(one.config, LoadModelConfig(model));
      return {};
    };
    LODESTONE_RETURN_IF_ERROR(Expand(cases, plan.models, set_model));
    LODESTONE_RETURN_IF_ERROR(Expand(cases, plan.recipes, assign(&StudyCase::recipe)));
    LODESTONE_RETURN_IF_ERROR(Expand(cases, plan.sequences, SetSequence));
  }
  if (plan.tokens_per_step.front() > 0) {
    LODESTONE_RETURN_IF_ERROR(Expand(cases, plan.tokens_per_step, SetTokens));
  } else {
    LODESTONE_RETURN_IF_ERROR(Expand(cases, plan.batches, assign(&StudyCase::batch)));
  }
  const std::vector<int64_t>& gas = plan.accumulations.empty() ? once : plan.accumulations;
  LODESTONE_RETURN_IF_ERROR(Expand(cases, gas, assign(&StudyCase::accumulation)));
  LODESTONE_RETURN_IF_ERROR(Expand(cases, plan.recompute, [](StudyCase& one, int64_t value) {
    one.recompute = value != 0;
    return Status();
  }));
  LODESTONE_RETURN_IF_ERROR(Expand(cases, SparsitiesOf(plan), assign(&StudyCase::sparsity)));
  for (const StudyCase& one : cases) {
    if (one.batch * one.sequence <= kMaxStudyTokens) continue;
    return Invalid(fmt::format("batch {} × sequence {} are {} tokens a micro-batch, expected at most {}", one.batch,
                               one.sequence, one.batch * one.sequence, kMaxStudyTokens));
  }
  return cases;
}

}  // namespace lodestone
