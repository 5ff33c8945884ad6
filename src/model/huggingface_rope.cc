#include <fmt/format.h>

#include "base/quote.h"
#include "model/config_check.h"
#include "model/huggingface_internal.h"

namespace lodestone {
namespace {

constexpr double kMinTheta = 1, kMaxTheta = 1e15;
constexpr double kMaxFactor = 1e6;

// The type that both spellings of the key name; "default" without either.
std::string RopeType(ObjectReader& reader) {
  const std::string older = reader.OptionalString("type", "default");
  return reader.OptionalString("rope_type", older);
}

void ReadScaling(ObjectReader& reader, Rope* rope) {
  const std::string type = RopeType(reader);
  if (type == "linear") {
    rope->linear_factor = reader.RequireNumber("factor", 1e-6, kMaxFactor);
  } else if (type == "llama3") {
    rope->llama3_factor = reader.RequireNumber("factor", 1, kMaxFactor);
    rope->low_freq_factor = reader.RequireNumber("low_freq_factor", 1e-6, kMaxFactor);
    rope->high_freq_factor = reader.RequireNumber("high_freq_factor", 1e-6, kMaxFactor);
    rope->original_positions = reader.RequireInt("original_max_position_embeddings", 1, kMaxPositions);
  } else if (type != "default") {
    reader.Fail(reader.Has("rope_type") ? "rope_type" : "type",
                fmt::format("the scaling {} is not supported; supported are default, linear and llama3", Quoted(type)),
                ErrorCode::kUnsupported);
  } else {
    // A "default" entry may repeat the context it was trained for; it scales nothing.
    reader.Ignore("original_max_position_embeddings");
  }
}

// Moves the first error of a nested reader, which names its own key, to the reader of the file.
void Adopt(ObjectReader& outer, ObjectReader& inner) {
  const Status status = inner.Finish();
  if (status.ok()) return;
  std::string message = status.error().message;
  const std::string prefix = outer.file() + ": ";
  if (message.starts_with(prefix)) message.erase(0, prefix.size());
  outer.Fail("", message, status.error().code);
}

}  // namespace

Rope ReadRope(ObjectReader& reader, std::string_view theta_key, double* partial) {
  Rope rope;
  rope.theta = reader.OptionalNumber(theta_key, 10000, kMinTheta, kMaxTheta);
  const Json* scaling = reader.Optional("rope_scaling");
  const Json* parameters = reader.Optional("rope_parameters");
  if (scaling != nullptr && parameters != nullptr) {
    reader.Fail("rope_scaling",
                "stands beside rope_parameters, which says the same in the newer way; keep one of them");
    return rope;
  }
  if (scaling != nullptr) {
    ObjectReader inner(*scaling, reader.file(), "rope_scaling");
    ReadScaling(inner, &rope);
    Adopt(reader, inner);
  }
  if (parameters != nullptr) {
    ObjectReader inner(*parameters, reader.file(), "rope_parameters");
    rope.theta = inner.OptionalNumber("rope_theta", rope.theta, kMinTheta, kMaxTheta);
    *partial = inner.OptionalNumber("partial_rotary_factor", *partial, 0, 1);
    ReadScaling(inner, &rope);
    Adopt(reader, inner);
  }
  return rope;
}

}  // namespace lodestone
