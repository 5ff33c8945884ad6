// A normalizer, pre-tokenizer, post-processor or decoder of tokenizer.json: one object with a "type", or a "Sequence"
// of them, which may nest. Reading flattens it to the steps in their order.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace lodestone {

// Where a value stands: the file's name and the dotted key, for messages.
struct JsonPlace {
  std::string file, path;
};

// Reads one step of the given type; the keys that it does not ask for are refused afterwards.
using StepReader = std::function<Status(ObjectReader& reader, std::string_view type)>;

// `json` may be null (no steps). `list_key` holds the members of a Sequence. More than 64 steps are refused.
Status ReadSteps(const Json* json, const JsonPlace& place, std::string_view list_key, const StepReader& read);

// The refusal of a step whose type is none of `known`.
Status UnknownStep(ObjectReader& reader, std::string_view type, std::string_view known);

// A string of exactly one character.
Result<std::string> ReadCharacter(ObjectReader& reader, std::string_view key);

}  // namespace lodestone
