// Reads the text case of a study.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "base/catalog.h"
#include "base/nearest.h"
#include "base/quote.h"
#include "lab/study/plan.h"

namespace lodestone {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;
constexpr const char* kKind = "study";

Result<std::string> ReadText(ObjectReader& reader, std::string_view key, size_t max_bytes) {
  std::string text = reader.RequireString(key);
  const bool control = std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 32 || c == 127; });
  if (text.empty() || control || text.size() > max_bytes) {
    reader.Fail(key,
                fmt::format("found {}, expected a text of one line and at most {} bytes", Quoted(text), max_bytes));
    return reader.status().error();
  }
  return text;
}

// "study" of a file of the catalogue; empty where it is no study.
std::string StudyOf(const Json& toml) {
  const Json *kind = toml.Find("kind"), *study = toml.Find("study");
  if (kind == nullptr || kind->as_string() == nullptr || *kind->as_string() != kKind) return "";
  return study != nullptr && study->as_string() != nullptr ? *study->as_string() : "";
}

}  // namespace

Result<StudyPlan> ParseStudyPlan(const Json& toml, const std::string& file, StudyKind kind) {
  ObjectReader reader(toml, file);
  const std::string file_kind = reader.RequireString("kind");
  if (file_kind != kKind) reader.Fail("kind", fmt::format("found {}, expected '{}'", Quoted(file_kind), kKind));
  const std::string study = reader.RequireString("study");
  if (study != ToString(kind)) {
    reader.Fail("study",
                fmt::format("found {}, expected '{}', which this command runs", Quoted(study), ToString(kind)));
  }
  LODESTONE_RETURN_IF_ERROR(reader.status());
  StudySweep sweep = StudySweep::kNone;
  if (reader.Has("sweep")) {
    const Result<StudySweep> parsed = ParseStudySweep(reader.RequireString("sweep"));
    if (!parsed.ok()) reader.Fail("sweep", parsed.error().message);
    LODESTONE_RETURN_IF_ERROR(reader.status());
    sweep = *parsed;
  }
  Result<StudyPlan> plan = DefaultStudyPlan(kind, sweep);
  if (!plan.ok()) {
    reader.Fail("sweep", plan.error().message, plan.error().code);
    return reader.status().error();
  }
  LODESTONE_ASSIGN_OR_RETURN(plan->name, ReadText(reader, "name", 100));
  LODESTONE_ASSIGN_OR_RETURN(plan->description, ReadText(reader, "description", 4000));
  for (const StudySetting& setting : StudySettings()) {
    if (!HasSetting(kind, setting)) continue;
    const Json* value = reader.Optional(setting.name);
    if (value == nullptr) continue;
    const Json::Array* list = value->as_array();
    const Status set = SetStudySetting(*plan, setting, list != nullptr ? std::span(*list) : std::span(value, 1));
    if (!set.ok()) reader.Fail(setting.name, set.error().message);
  }
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  return plan;
}

Result<StudyPlan> LoadStudyPlan(const std::string& name_or_path, StudyKind kind) {
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".toml")) {
    LODESTONE_ASSIGN_OR_RETURN(const Json toml, ReadTomlFile(name_or_path, kMaxFileBytes));
    return ParseStudyPlan(toml, name_or_path, kind);
  }
  std::vector<std::string> names;
  for (const CatalogFile& file : CatalogFilesIn("experiments")) {
    const std::string path = fmt::format("catalog/{}", file.path);
    LODESTONE_ASSIGN_OR_RETURN(const Json toml, ParseToml(file.contents, path));
    if (StudyOf(toml) != ToString(kind)) continue;
    if (file.stem() == name_or_path) return ParseStudyPlan(toml, path, kind);
    names.emplace_back(file.stem());
  }
  const std::optional<std::string> nearest = Nearest(name_or_path, names);
  return NotFound(fmt::format("there is no case {} of 'bench {}'; the catalogue has {}{}", Quoted(name_or_path),
                              ToString(kind), fmt::join(names, ", "),
                              nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
}

}  // namespace lodestone
