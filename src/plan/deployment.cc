#include "plan/deployment.h"

#include <fmt/format.h>

namespace lodestone {

std::string_view ToString(EstimateLevel level) {
  switch (level) {
    case EstimateLevel::kIdeal:
      return "ideal";
    case EstimateLevel::kCalibrated:
      return "calibrated";
    case EstimateLevel::kSelfCalibrated:
      return "self-calibrated";
  }
  return "?";
}

std::string ToString(const Parallelism& parallelism) {
  std::string text;
  const auto add = [&](const char* name, int degree) {
    if (degree != 1) text += fmt::format("{}{}{}", text.empty() ? "" : " ", name, degree);
  };
  add("tp", parallelism.tensor);
  add("pp", parallelism.pipeline);
  add("dp", parallelism.data);
  add("ep", parallelism.expert);
  return text.empty() ? "1" : text;
}

}  // namespace lodestone
