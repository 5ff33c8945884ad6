// Problems and completions of any bytes are read or refused; what is read is whole.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lab/code/humaneval.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto problems = ParseCodeProblems(text, "problems.jsonl");
  if (!problems.ok()) {
    LODESTONE_CHECK(problems.error().message.find("problems.jsonl") != std::string::npos);
    return 0;
  }
  LODESTONE_CHECK(!problems->empty());
  for (const CodeProblem& problem : *problems) LODESTONE_CHECK(!problem.entry_point.empty());
  const auto samples = ParseCompletions(text, "completions.jsonl", *problems);
  if (!samples.ok()) return 0;
  for (const CodeSample& sample : *samples) LODESTONE_CHECK(sample.problem < problems->size() && sample.sample >= 0);
  return 0;
}
