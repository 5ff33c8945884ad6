#include "text/components.h"

#include <fmt/format.h>

#include "base/quote.h"
#include "text/utf8.h"

namespace lodestone {
namespace {

constexpr int kMaxSteps = 64;

Status ReadStepsInto(const Json& json, const JsonPlace& place, std::string_view list_key, const StepReader& read,
                     int& steps) {
  ObjectReader reader(json, place.file, place.path);
  const std::string type = reader.RequireString("type");
  LODESTONE_RETURN_IF_ERROR(reader.status());
  if (type != "Sequence") {
    if (++steps > kMaxSteps) reader.Fail("type", fmt::format("more than {} steps", kMaxSteps));
    LODESTONE_RETURN_IF_ERROR(reader.status());
    LODESTONE_RETURN_IF_ERROR(read(reader, type));
    return reader.Finish();
  }
  const Json* list = reader.Require(list_key);
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  if (list->as_array() == nullptr) {
    reader.Fail(list_key, fmt::format("found {}, expected an array", list->TypeName()));
    return reader.status();
  }
  size_t index = 0;
  for (const Json& member : *list->as_array()) {
    const JsonPlace inner{place.file, fmt::format("{}[{}]", reader.PathOf(list_key), index++)};
    LODESTONE_RETURN_IF_ERROR(ReadStepsInto(member, inner, list_key, read, steps));
  }
  return {};
}

}  // namespace

Status ReadSteps(const Json* json, const JsonPlace& place, std::string_view list_key, const StepReader& read) {
  if (json == nullptr || json->is_null()) return {};
  int steps = 0;
  return ReadStepsInto(*json, place, list_key, read, steps);
}

Status UnknownStep(ObjectReader& reader, std::string_view type, std::string_view known) {
  reader.Fail("type", fmt::format("{} is not supported; supported are {}", Quoted(type), known),
              ErrorCode::kUnsupported);
  return reader.status();
}

Result<std::string> ReadCharacter(ObjectReader& reader, std::string_view key) {
  std::string text = reader.RequireString(key);
  if (CountCharacters(text) != 1) reader.Fail(key, fmt::format("found {}, expected one character", Quoted(text)));
  LODESTONE_RETURN_IF_ERROR(reader.status());
  return text;
}

}  // namespace lodestone
