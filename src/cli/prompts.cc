#include "cli/prompts.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/json.h"
#include "base/quote.h"
#include "base/units.h"

namespace lodestone::cli {
namespace {

constexpr size_t kMaxPromptFile = 64 * static_cast<size_t>(kMiB);

Result<std::vector<std::string>> ParseJsonPrompts(std::string_view contents, const std::string& name) {
  LODESTONE_ASSIGN_OR_RETURN(const Json json, ParseJson(contents, name));
  const Json::Array* entries = json.as_array();
  if (!entries) return Invalid(fmt::format("{}: found {}, expected an array of strings", name, json.TypeName()));
  std::vector<std::string> prompts;
  for (const Json& entry : *entries) {
    const std::string* prompt = entry.as_string();
    if (!prompt) {
      return Invalid(fmt::format("{}: entry {} is {}, expected a string", name, prompts.size(), entry.TypeName()));
    }
    prompts.push_back(*prompt);
  }
  return prompts;
}

std::vector<std::string> ParseLines(std::string_view contents) {
  std::vector<std::string> prompts;
  while (!contents.empty()) {
    const size_t end = contents.find('\n');
    std::string_view line = contents.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    prompts.emplace_back(line);
    contents.remove_prefix(end == std::string_view::npos ? contents.size() : end + 1);
  }
  return prompts;
}

}  // namespace

Result<std::vector<std::string>> ParsePrompts(std::string_view contents, const std::string& name) {
  std::vector<std::string> prompts;
  if (name.ends_with(".json")) {
    LODESTONE_ASSIGN_OR_RETURN(prompts, ParseJsonPrompts(contents, name));
  } else {
    prompts = ParseLines(contents);
  }
  if (prompts.empty()) return Invalid(fmt::format("{}: holds no prompt", name));
  return prompts;
}

Result<std::vector<std::string>> ReadPrompts(const std::string& path) {
  LODESTONE_ASSIGN_OR_RETURN(const std::string contents, ReadFile(path, kMaxPromptFile));
  return ParsePrompts(contents, path);
}

Result<std::vector<int32_t>> EncodePrompt(const Tokenizer& tokenizer, const ModelConfig& config,
                                          const std::string& prompt) {
  Result<std::vector<int32_t>> ids = tokenizer.Encode(prompt, {});
  if (!ids.ok()) return Error{ids.error().code, fmt::format("prompt {}: {}", Quoted(prompt), ids.error().message)};
  if (!ids->empty()) return ids;
  if (!prompt.empty()) {
    return Invalid(fmt::format("prompt {}: the tokenizer makes no token of it; give another prompt", Quoted(prompt)));
  }
  if (!config.bos_id) {
    return Invalid(fmt::format(
        "the prompt is empty and '{}' has no begin-of-text token to start from; give --prompt a text", config.name));
  }
  return std::vector<int32_t>{*config.bos_id};
}

}  // namespace lodestone::cli
