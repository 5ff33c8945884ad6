// The prompts of a run: one a user, read from a file or given on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/config.h"
#include "text/tokenizer.h"

namespace lodestone::cli {

// One prompt a line; an empty line is an empty prompt, and the end of the last line begins none. Where `name` ends in
// .json: an array of strings. Refused: no prompt at all, JSON of another form.
Result<std::vector<std::string>> ParsePrompts(std::string_view contents, const std::string& name);
Result<std::vector<std::string>> ReadPrompts(const std::string& path);

// Ids of a prompt, special tokens of the tokenizer included. An empty prompt is the model's begin-of-text token;
// refused where the model has none.
Result<std::vector<int32_t>> EncodePrompt(const Tokenizer& tokenizer, const ModelConfig& config,
                                          const std::string& prompt);

}  // namespace lodestone::cli
