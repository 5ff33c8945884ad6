#include "plan/methods.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/nearest.h"
#include "base/quote.h"

namespace lodestone {
namespace {

constexpr int kMaxProposed = 64;
constexpr int64_t kMaxBudget = int64_t{1} << 30;
constexpr int kMaxLayers = 4096;

std::vector<std::string_view> Split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (size_t end = 0; end != text.npos; text.remove_prefix(std::min(end + 1, text.size()))) {
    end = text.find(at);
    parts.push_back(text.substr(0, end));
  }
  return parts;
}

template <typename T>
std::optional<T> NumberOf(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// One word: a name, what stands behind '=', and readers of its parts that name both in their refusals.
struct Word {
  std::string_view name, value;

  Error Refused(std::string_view found, std::string_view expected) const {
    return Invalid(fmt::format("method {}: found {}, expected {}", name, Quoted(found), expected));
  }
  // In [0, 1), above 0 where `positive`.
  Result<double> Share(std::string_view text, bool positive) const {
    const std::optional<double> share = NumberOf<double>(text);
    if (share && *share >= 0 && *share < 1 && (*share > 0 || !positive)) return *share;
    return Refused(text, positive ? "a share between 0 and 1" : "a share from 0 up to, not including, 1");
  }
  Result<int64_t> Count(std::string_view text, int64_t max) const {
    const std::optional<int64_t> count = NumberOf<int64_t>(text);
    if (count && *count >= 1 && *count <= max) return *count;
    return Refused(text, fmt::format("a whole number from 1 to {}", max));
  }
};

Status ReadWeightSparsity(const Word& word, Methods& methods) {
  Sparsity sparsity;
  if (word.value == "2:4") {
    sparsity = {Sparsity::Pattern::kTwoOfFour, 0.5};
  } else {
    constexpr std::string_view kTiles = "tiles:";
    const bool tiles = word.value.starts_with(kTiles);
    sparsity.pattern = tiles ? Sparsity::Pattern::kTiles : Sparsity::Pattern::kUnstructured;
    const Result<double> level = word.Share(tiles ? word.value.substr(kTiles.size()) : word.value, true);
    if (!level.ok()) return word.Refused(word.value, "2:4, a share of zeros such as 0.5, or tiles:0.5");
    sparsity.level = *level;
  }
  methods.weight_sparsity = sparsity;
  return {};
}

Status ReadActivationSparsity(const Word& word, Methods& methods) {
  LODESTONE_ASSIGN_OR_RETURN(methods.activation_sparsity, word.Share(word.value, true));
  return {};
}

Status ReadKvBudget(const Word& word, Methods& methods) {
  LODESTONE_ASSIGN_OR_RETURN(methods.kv_budget, word.Count(word.value, kMaxBudget));
  return {};
}

Status ReadEarlyExit(const Word& word, Methods& methods) {
  LODESTONE_ASSIGN_OR_RETURN(methods.early_exit, word.Share(word.value, true));
  return {};
}

// DRAFT:tokens=N:acceptance=A, in any order behind the draft.
Status ReadSpeculation(const Word& word, bool own_layers, Methods& methods) {
  const std::vector<std::string_view> parts = Split(word.value, ':');
  Methods::Speculation speculation;
  bool accepted = false;
  if (own_layers) {
    LODESTONE_ASSIGN_OR_RETURN(const int64_t layers, word.Count(parts[0], kMaxLayers));
    speculation.draft_layers = static_cast<int>(layers);
  } else if (parts[0].empty()) {
    return word.Refused(word.value, "a draft model before the first colon");
  } else {
    speculation.draft = std::string(parts[0]);
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    const size_t equals = std::min(parts[i].find('='), parts[i].size());
    const std::string_view key = parts[i].substr(0, equals);
    const std::string_view value = parts[i].substr(std::min(equals + 1, parts[i].size()));
    if (key == "tokens" && speculation.tokens == 0) {
      LODESTONE_ASSIGN_OR_RETURN(const int64_t tokens, word.Count(value, kMaxProposed));
      speculation.tokens = static_cast<int>(tokens);
    } else if (key == "acceptance" && !accepted) {
      LODESTONE_ASSIGN_OR_RETURN(speculation.acceptance, word.Share(value, false));
      accepted = true;
    } else {
      return word.Refused(parts[i], "tokens=N and acceptance=A, once each");
    }
  }
  if (speculation.tokens == 0 || !accepted) {
    return word.Refused(word.value, own_layers ? "LAYERS:tokens=N:acceptance=A" : "MODEL:tokens=N:acceptance=A");
  }
  if (methods.speculation) {
    return Unsupported("methods speculative and self-speculation are not modelled together: one draft proposes");
  }
  methods.speculation = std::move(speculation);
  return {};
}

Status ReadSpeculative(const Word& word, Methods& methods) { return ReadSpeculation(word, false, methods); }
Status ReadSelfSpeculation(const Word& word, Methods& methods) { return ReadSpeculation(word, true, methods); }

Status ReadOffload(const Word& word, Methods& methods) {
  using What = Methods::Offload::What;
  constexpr std::string_view kExpected = "layers:N@host, layers:N@MACHINE, experts@host or attention@MACHINE";
  const size_t at = word.value.find('@');
  if (at == word.value.npos || at + 1 == word.value.size()) return word.Refused(word.value, kExpected);
  const std::string_view what = word.value.substr(0, at), where = word.value.substr(at + 1);
  constexpr std::string_view kLayers = "layers:";
  Methods::Offload offload;
  if (where != "host") offload.machine = std::string(where);
  if (what.starts_with(kLayers)) {
    LODESTONE_ASSIGN_OR_RETURN(const int64_t layers, word.Count(what.substr(kLayers.size()), kMaxLayers));
    offload.layers = static_cast<int>(layers);
  } else if (what == "experts" && where == "host") {
    offload.what = What::kExperts;
  } else if (what == "attention" && where != "host") {
    offload.what = What::kAttention;
  } else {
    return word.Refused(word.value, kExpected);
  }
  methods.offload = std::move(offload);
  return {};
}

Status ReadUnfused(const Word& /*word*/, Methods& methods) {
  methods.unfused = true;
  return {};
}

Status ReadMaterialisedSoftmax(const Word& /*word*/, Methods& methods) {
  methods.materialised_softmax = true;
  return {};
}

struct Method {
  std::string_view name;
  bool has_value;
  Status (*read)(const Word& word, Methods& methods);
};
constexpr Method kMethods[] = {
    {"weight-sparsity", true, ReadWeightSparsity},
    {"activation-sparsity", true, ReadActivationSparsity},
    {"kv-budget", true, ReadKvBudget},
    {"speculative", true, ReadSpeculative},
    {"self-speculation", true, ReadSelfSpeculation},
    {"early-exit", true, ReadEarlyExit},
    {"unfused", false, ReadUnfused},
    {"materialised-softmax", false, ReadMaterialisedSoftmax},
    {"offload", true, ReadOffload},
};

Error UnknownMethod(std::string_view name) {
  std::vector<std::string> names;
  for (const Method& method : kMethods) names.emplace_back(method.name);
  const auto nearest = Nearest(name, names);
  return Invalid(fmt::format("method {} is not known{} Methods are {}", Quoted(name),
                             nearest ? fmt::format("; did you mean '{}'?", *nearest) : ".", fmt::join(names, ", ")));
}

Status ReadWord(std::string_view text, std::vector<std::string_view>& seen, Methods& methods) {
  const size_t equals = text.find('=');
  Word word{.name = text.substr(0, equals), .value = {}};
  const auto method = std::find_if(std::begin(kMethods), std::end(kMethods),
                                   [&](const Method& candidate) { return candidate.name == word.name; });
  if (method == std::end(kMethods)) return UnknownMethod(word.name);
  if (std::find(seen.begin(), seen.end(), method->name) != seen.end()) {
    return Invalid(fmt::format("method {} is given twice", method->name));
  }
  seen.push_back(method->name);
  if (equals != text.npos) word.value = text.substr(equals + 1);
  if ((equals != text.npos) != method->has_value) {
    return Invalid(fmt::format("method {}: {}", method->name,
                               method->has_value ? "expected a value behind '='" : "takes no value"));
  }
  return method->read(word, methods);
}

// Pairs whose effects on each other are not known.
Status CheckTogether(const Methods& methods) {
  const auto refuse = [](std::string_view a, std::string_view b, std::string_view why) -> Status {
    return Unsupported(fmt::format("methods {} and {} are not modelled together: {}", a, b, why));
  };
  const std::string_view speculation =
      methods.speculation && methods.speculation->draft.empty() ? "self-speculation" : "speculative";
  if (methods.speculation && methods.early_exit) {
    return refuse(speculation, "early-exit", "tokens of a round would leave at different layers");
  }
  if (methods.speculation && methods.offload) {
    return refuse(speculation, "offload", "where the draft lies is not said");
  }
  if (methods.early_exit && methods.offload) {
    return refuse("early-exit", "offload", "which of the layers lie elsewhere is not said");
  }
  if (methods.weight_sparsity && methods.activation_sparsity) {
    return refuse("weight-sparsity", "activation-sparsity", "how far their zeros coincide is not known");
  }
  return {};
}

Status Sparsify(const Sparsity& sparsity, Program& program) {
  const auto check = [&](int k) -> Status {
    if (sparsity.pattern != Sparsity::Pattern::kTwoOfFour || k % 4 == 0) return {};
    return Unsupported(fmt::format("method weight-sparsity=2:4: rows of {} weights are no multiple of four", k));
  };
  for (Segment& segment : program.segments) {
    if (segment.first_layer < 0) continue;  // embedding and output layer stay dense, as in the works that prune
    for (Op& op : segment.ops) {
      if (auto* linear = std::get_if<Linear>(&op)) {
        LODESTONE_RETURN_IF_ERROR(check(linear->k));
        linear->sparsity = sparsity;
      } else if (auto* experts = std::get_if<Experts>(&op)) {
        LODESTONE_RETURN_IF_ERROR(check(experts->n));
        LODESTONE_RETURN_IF_ERROR(check(experts->ffn));
        experts->sparsity = sparsity;
      }
    }
  }
  return {};
}

Status IdleRows(double share, Program& program) {
  for (Segment& segment : program.segments) {
    const bool gated = std::any_of(segment.ops.begin(), segment.ops.end(), [](const Op& op) {
      const auto* gate = std::get_if<Gate>(&op);
      return gate != nullptr && gate->up;
    });
    for (Op& op : segment.ops) {
      if (std::holds_alternative<Experts>(op)) {
        return Unsupported("method activation-sparsity: within experts it is not modelled");
      }
      auto* linear = std::get_if<Linear>(&op);
      if (linear == nullptr) continue;
      const WeightKind kind = linear->weight.kind;
      if (kind == WeightKind::kDown || (gated && kind == WeightKind::kUp)) linear->idle = share;
    }
  }
  return {};
}

template <typename T>
bool Has(const Program& program) {
  for (const Segment& segment : program.segments) {
    for (const Op& op : segment.ops) {
      if (std::holds_alternative<T>(op)) return true;
    }
  }
  return false;
}

int LayersOf(const Program& program) {
  int layers = 0;
  for (const Segment& segment : program.segments) layers += segment.first_layer < 0 ? 0 : segment.repeat;
  return layers;
}

Status CheckLayers(const Methods& methods, const Program& program) {
  const int layers = LayersOf(program);
  const int drafted = methods.speculation ? methods.speculation->draft_layers : 0;
  if (drafted >= layers && drafted > 0) {
    return Invalid(fmt::format("method self-speculation: a draft of {} layers, and the model has {}", drafted, layers));
  }
  if (!methods.offload) return {};
  if (methods.offload->layers > layers) {
    return Invalid(fmt::format("method offload: {} layers, and the model has {}", methods.offload->layers, layers));
  }
  if (methods.offload->what == Methods::Offload::What::kExperts && !Has<Experts>(program)) {
    return Unsupported("method offload=experts@host: the model has no experts");
  }
  return {};
}

}  // namespace

double Methods::Speculation::TokensARound() const { return (1 - std::pow(acceptance, tokens + 1)) / (1 - acceptance); }

bool Methods::any() const {
  return weight_sparsity || activation_sparsity || kv_budget || speculation || early_exit || unfused ||
         materialised_softmax || offload;
}

Result<Methods> ParseMethods(const std::vector<std::string>& words) {
  Methods methods;
  std::vector<std::string_view> seen;
  for (const std::string& word : words) {
    for (const std::string_view text : Split(word, ' ')) {
      if (text.empty()) continue;
      LODESTONE_RETURN_IF_ERROR(ReadWord(text, seen, methods));
      if (!methods.text.empty()) methods.text += ' ';
      methods.text += text;
    }
  }
  LODESTONE_RETURN_IF_ERROR(CheckTogether(methods));
  return methods;
}

Result<Program> Apply(const Methods& methods, Program program) {
  LODESTONE_RETURN_IF_ERROR(CheckLayers(methods, program));
  if (methods.weight_sparsity) LODESTONE_RETURN_IF_ERROR(Sparsify(*methods.weight_sparsity, program));
  if (methods.activation_sparsity) LODESTONE_RETURN_IF_ERROR(IdleRows(*methods.activation_sparsity, program));
  for (Segment& segment : program.segments) {
    if (methods.early_exit && segment.first_layer >= 0) {
      const auto run = std::max<int64_t>(1, std::llround(*methods.early_exit * segment.repeat));
      segment.exited = segment.repeat - static_cast<int>(run);
    }
    if (methods.unfused) segment.fusion.assign(segment.ops.size(), 0);
    for (Op& op : segment.ops) {
      if (auto* attend = std::get_if<Attend>(&op)) attend->materialised = methods.materialised_softmax;
    }
  }
  return program;
}

Load Apply(const Methods& methods, Load load) {
  if (!methods.kv_budget) return load;
  const int64_t budget = *methods.kv_budget;
  load.context_max = std::min(load.context_max, budget);
  load.context_sum = std::min(load.context_sum, load.rows * budget);
  load.kv_tokens_read = std::min(load.kv_tokens_read, load.sequences * budget);
  return load;
}

}  // namespace lodestone
