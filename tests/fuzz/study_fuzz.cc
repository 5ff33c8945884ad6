// The text case of a study, of any bytes, is read or refused; what is read makes a bounded number of runs or is
// refused.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "lab/study/plan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Json> toml = ParseToml(text, "case.toml");
  if (!toml.ok()) return 0;
  for (const StudyKind kind : {StudyKind::kBlock, StudyKind::kGpt2, StudyKind::kGenslm}) {
    Result<StudyPlan> plan = ParseStudyPlan(*toml, "case.toml", kind);
    if (!plan.ok()) {
      LODESTONE_CHECK(plan.error().message.starts_with("case.toml"));
      continue;
    }
    LODESTONE_CHECK(!plan->sequences.empty() && !plan->recipes.empty() && !plan->tile.empty());
    plan->models = {"gpt2"};  // names of files are not for a fuzzer
    const Result<std::vector<StudyCase>> cases = CasesOf(*plan);
    LODESTONE_CHECK(!cases.ok() || (!cases->empty() && cases->size() <= static_cast<size_t>(kMaxStudyCases)));
  }
  return 0;
}
