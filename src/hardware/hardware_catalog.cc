#include "hardware/hardware_catalog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <functional>
#include <map>
#include <system_error>

#include "base/catalog.h"
#include "base/nearest.h"
#include "base/quote.h"
#include "hardware/hardware.h"

namespace lodestone {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;

std::string FileName(const CatalogFile& file) { return fmt::format("catalog/{}", file.path); }

Result<HardwareFile> Parse(const CatalogFile& file) {
  HardwareFile parsed{Json(), FileName(file)};
  LODESTONE_ASSIGN_OR_RETURN(parsed.json, ParseToml(file.contents, parsed.file));
  return parsed;
}

std::string WithArticle(std::string_view kind) {
  if (kind == "assumptions") return "a file of assumptions";
  if (kind == "efficiency") return "a file of efficiency factors";
  return fmt::format("{} {}", kind == "appliance" ? "an" : "a", kind);
}

// The kind of every file, by its name. Read once, as the catalogue has dozens of files.
const std::map<std::string, std::string, std::less<>>& Kinds() {
  static const auto kinds = [] {
    std::map<std::string, std::string, std::less<>> kinds_of;
    for (const CatalogFile& file : CatalogFilesIn("hardware")) {
      const Result<HardwareFile> parsed = Parse(file);
      if (parsed.ok()) kinds_of.emplace(file.stem(), KindOf(parsed->json));
    }
    return kinds_of;
  }();
  return kinds;
}

}  // namespace

std::string KindOf(const Json& toml) {
  const Json* kind = toml.Find("kind");
  const std::string* text = kind == nullptr ? nullptr : kind->as_string();
  return text == nullptr ? std::string() : *text;
}

std::string KindOfHardware(std::string_view name) {
  const auto found = Kinds().find(name);
  return found == Kinds().end() ? std::string() : found->second;
}

bool IsHardwarePath(std::string_view text) {
  return text.find('/') != std::string_view::npos || text.ends_with(".toml");
}

std::vector<std::string> HardwareNames(std::string_view kind) {
  std::vector<std::string> names;
  for (const auto& [name, its_kind] : Kinds()) {
    if (its_kind == kind) names.push_back(name);
  }
  return names;
}

Result<HardwareFile> FindHardwareFile(std::string_view kind, std::string_view name) {
  std::string reason = fmt::format("the catalogue has no {} {}", kind, Quoted(name));
  for (const CatalogFile& file : CatalogFilesIn("hardware")) {
    if (file.stem() != name) continue;
    LODESTONE_ASSIGN_OR_RETURN(HardwareFile parsed, Parse(file));
    const std::string found = KindOf(parsed.json);
    if (found == kind) return parsed;
    reason = fmt::format("{} is {}, not {}", Quoted(name), WithArticle(found), WithArticle(kind));
  }
  const std::vector<std::string> names = HardwareNames(kind);
  const std::optional<std::string> nearest = Nearest(name, names);
  return NotFound(fmt::format("{}; expected {}{}", reason,
                              names.empty() ? "none, as it has none" : fmt::format("one of {}", fmt::join(names, ", ")),
                              nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
}

Result<ApplianceSpec> LoadAppliance(const std::string& name_or_path) {
  if (IsHardwarePath(name_or_path)) {
    std::error_code ignored;
    if (!std::filesystem::exists(name_or_path, ignored)) {
      return NotFound(fmt::format("no appliance file {}: it does not exist; the catalogue has {}", Quoted(name_or_path),
                                  fmt::join(HardwareNames("appliance"), ", ")));
    }
    LODESTONE_ASSIGN_OR_RETURN(const Json json, ReadTomlFile(name_or_path, kMaxFileBytes));
    return ParseAppliance(json, name_or_path);
  }
  Result<HardwareFile> found = FindHardwareFile("appliance", name_or_path);
  if (!found.ok()) {
    return Error{found.error().code,
                 found.error().message + "; a file of your own is named by its path, such as ./my-appliance.toml"};
  }
  return ParseAppliance(found->json, found->file);
}

Result<std::vector<ApplianceSpec>> CatalogAppliances() {
  std::vector<ApplianceSpec> specs;
  for (const std::string& name : HardwareNames("appliance")) {
    LODESTONE_ASSIGN_OR_RETURN(ApplianceSpec spec, LoadAppliance(name));
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace lodestone
