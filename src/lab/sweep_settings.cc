#include "lab/sweep_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/nearest.h"
#include "base/quote.h"

namespace lodestone {
namespace {

struct WholeSetting {
  const char* name;
  int64_t most;
  void (*apply)(int64_t value, SweepDraft& draft);
};

// Half of a context is prompt; of an odd one the longer half is generated.
void SetContext(int64_t context, SweepDraft& draft) {
  draft.options.prompt_tokens = context / 2;
  draft.options.output_tokens = context - context / 2;
}

constexpr WholeSetting kWhole[] = {
    {"users", kMaxPlacedUsers, [](int64_t n, SweepDraft& draft) { draft.options.users = static_cast<int>(n); }},
    {"micro_batches", kMaxPlacedUsers, [](int64_t n, SweepDraft& draft) { draft.micro_batches = static_cast<int>(n); }},
    {"prefill_chunk", kMaxPlacedRows,
     [](int64_t n, SweepDraft& draft) { draft.options.prefill_chunk = static_cast<int>(n); }},
    {"cards", kMaxPlacedCards, [](int64_t n, SweepDraft& draft) { draft.options.spec.cards = static_cast<int>(n); }},
    {"prompt_tokens", kMaxPlacedContext, [](int64_t n, SweepDraft& draft) { draft.options.prompt_tokens = n; }},
    {"output_tokens", kMaxPlacedContext, [](int64_t n, SweepDraft& draft) { draft.options.output_tokens = n; }},
    {"context", kMaxPlacedContext, SetContext}};

struct WordSetting {
  const char* name;
  Status (*apply)(const std::string& word, SweepDraft& draft);
};

Status Expected(const std::string& word, const char* choices) {
  return Invalid(fmt::format("found {}, expected {}", Quoted(word), choices));
}

constexpr WordSetting kWords[] = {{"recipe",
                                   [](const std::string& word, SweepDraft& draft) -> Status {
                                     LODESTONE_ASSIGN_OR_RETURN(draft.options.recipe, ParseRecipe(word));
                                     return {};
                                   }},
                                  {"transfers",
                                   [](const std::string& word, SweepDraft& draft) -> Status {
                                     if (word != "direct" && word != "host")
                                       return Expected(word, "'direct' or 'host'");
                                     draft.options.transfers = word == "host" ? Transfers::kHost : Transfers::kDirect;
                                     return {};
                                   }},
                                  {"fidelity", [](const std::string& word, SweepDraft& draft) -> Status {
                                     if (word != "calibrated" && word != "ideal")
                                       return Expected(word, "'calibrated' or 'ideal'");
                                     draft.options.fidelity =
                                         word == "ideal" ? Fidelity::kIdeal : Fidelity::kCalibrated;
                                     return {};
                                   }}};

template <typename Setting, size_t kCount>
const Setting* Find(const Setting (&settings)[kCount], const std::string& name) {
  const auto found = std::find_if(std::begin(settings), std::end(settings),
                                  [&](const Setting& setting) { return name == setting.name; });
  return found == std::end(settings) ? nullptr : found;
}

// An appliance with every figure that one can have, to check names and ranges before the real one is read. Its chip is
// so large that no figure contradicts the others: whether one does is for the real chip to say.
ApplianceSpec AnyAppliance() {
  constexpr double kLarge = std::numeric_limits<double>::infinity();
  ApplianceSpec spec;
  ChipSpec& chip = spec.card.chip;
  chip.array_rows.value = 1;
  for (Figure* figure :
       {&chip.cores, &chip.int8_ops_per_core_cycle, &chip.int4_ops_per_core_cycle, &chip.int2_ops_per_core_cycle}) {
    figure->value = kLarge;
  }
  spec.network_bytes_per_s = spec.network_latency_s = spec.price_usd = Figure{};
  return spec;
}

Status UnknownSetting(const std::string& name) {
  std::vector<std::string> names;
  for (const WholeSetting& setting : kWhole) names.emplace_back(setting.name);
  for (const WordSetting& setting : kWords) names.emplace_back(setting.name);
  const std::string settings = fmt::format("{}", fmt::join(names, ", "));
  for (const NamedFigure& named : FiguresOf(AnyAppliance())) names.push_back(named.name);
  const std::optional<std::string> nearest = Nearest(name, names);
  return Invalid(fmt::format("unknown setting{}; expected {}, or a figure of the appliance such as card.chip.clock_hz",
                             nearest ? fmt::format(" (did you mean '{}'?)", *nearest) : "", settings));
}

Status CheckFigure(const std::string& name, const Json& value) {
  const std::optional<double> number = value.as_number();
  ApplianceSpec any = AnyAppliance();
  const Status status = SetFigure(any, name, number.value_or(0));
  if (!status.ok() && status.error().code == ErrorCode::kNotFound) return UnknownSetting(name);
  if (!number) return Invalid(fmt::format("found {}, expected a number", value.TypeName()));
  return status;
}

}  // namespace

bool IsWholeSetting(const std::string& name) { return Find(kWhole, name) != nullptr; }

Status CheckSetting(const std::string& name, const Json& value) {
  if (const WholeSetting* whole = Find(kWhole, name)) {
    const int64_t* number = value.as_int();
    if (number == nullptr) return Invalid(fmt::format("found {}, expected a whole number", value.TypeName()));
    const int64_t least = name == "context" ? 2 : 1;
    if (*number >= least && *number <= whole->most) return {};
    return Invalid(fmt::format("found {}, expected {} to {}", *number, least, whole->most));
  }
  if (const WordSetting* word = Find(kWords, name)) {
    if (value.as_string() == nullptr) return Invalid(fmt::format("found {}, expected a string", value.TypeName()));
    SweepDraft draft;
    return word->apply(*value.as_string(), draft);
  }
  return CheckFigure(name, value);
}

Status ApplySetting(const std::string& name, const Json& value, SweepDraft& draft) {
  if (const WholeSetting* whole = Find(kWhole, name)) {
    whole->apply(*value.as_int(), draft);
    return {};
  }
  if (const WordSetting* word = Find(kWords, name)) return word->apply(*value.as_string(), draft);
  return SetFigure(draft.options.spec, name, *value.as_number());
}

}  // namespace lodestone
