// Reads the file of a sweep.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/quote.h"
#include "lab/experiment_file.h"
#include "lab/sweep.h"
#include "lab/sweep_settings.h"

namespace lodestone {
namespace {

constexpr size_t kMaxTextBytes = 4000;
constexpr const char* kKind = "sweep";

// Saturates above the bound, which is all that anybody asks.
int64_t Product(const std::vector<SweepSetting>& axes) {
  double product = 1;
  for (const SweepSetting& axis : axes) product *= static_cast<double>(axis.values.size());
  return static_cast<int64_t>(std::min(product, 1e18));
}

std::string ReadName(ObjectReader& reader, std::string_view key, size_t max_bytes) {
  std::string text = reader.RequireString(key);
  const bool control = std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 32 || c == 127; });
  if (text.empty() || control || text.size() > max_bytes) {
    reader.Fail(key,
                fmt::format("found {}, expected a text of one line and at most {} bytes", Quoted(text), max_bytes));
  }
  return text;
}

// {from, to, step}: both ends included where the step meets them.
Result<std::vector<Json>> ReadRange(ObjectReader& table, const std::string& name, const Json& json) {
  ObjectReader reader(json, table.file(), table.PathOf(name));
  constexpr double kMost = 1e18;
  const double from = reader.RequireNumber("from", -kMost, kMost), to = reader.RequireNumber("to", -kMost, kMost);
  const double step = reader.OptionalNumber("step", 1, 1e-18, kMost);
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  const bool whole = IsWholeSetting(name);
  const double steps = std::floor((to - from) / step * (1 + 1e-12));
  if (whole && (from != std::floor(from) || to != std::floor(to) || step != std::floor(step))) {
    table.Fail(name, "found a range with a fraction, expected whole numbers");
  } else if (!(steps >= 0 && steps < static_cast<double>(kMaxSweepPoints))) {
    table.Fail(name, fmt::format("found a range from {} to {} in steps of {}, expected 1 to {} values", from, to, step,
                                 kMaxSweepPoints));
  }
  LODESTONE_RETURN_IF_ERROR(table.status());
  std::vector<Json> values;
  for (int64_t i = 0; i <= static_cast<int64_t>(steps); ++i) {
    const double value = from + static_cast<double>(i) * step;
    values.push_back(whole ? Json(static_cast<int64_t>(value)) : Json(value));
  }
  return values;
}

Result<std::vector<Json>> ReadAxis(ObjectReader& table, const std::string& name, const Json& json) {
  if (json.as_object() != nullptr && json.Find("from") != nullptr) return ReadRange(table, name, json);
  if (json.as_object() != nullptr) {
    table.Fail(name,
               "found a table without 'from', expected a list or {from = …, to = …, step = …}; the dotted name of a "
               "figure stands in quotes, \"card.chip.clock_hz\" = [4e8]");
    return table.status().error();
  }
  const Json::Array* list = json.as_array();
  if (list != nullptr && !list->empty() && list->size() <= static_cast<size_t>(kMaxSweepPoints)) return *list;
  table.Fail(name, fmt::format("found {}, expected a list of 1 to {} values, or {{from = …, to = …, step = …}}",
                               list == nullptr ? std::string(json.TypeName()) : fmt::format("{} values", list->size()),
                               kMaxSweepPoints));
  return table.status().error();
}

// The settings of one of the two tables; `path` is its key.
Result<std::vector<SweepSetting>> ReadSettings(ObjectReader& parent, const char* path, bool lists) {
  std::vector<SweepSetting> settings;
  const Json* json = lists ? parent.Require(path) : parent.Optional(path);
  if (json == nullptr) return settings;
  const Json::Object* object = json->as_object();
  if (object == nullptr) {
    parent.Fail(path, fmt::format("found {}, expected a table", json->TypeName()));
    return settings;
  }
  ObjectReader reader(*json, parent.file(), path);
  for (const auto& [name, value] : *object) {
    SweepSetting setting{name, {}, value.line};
    if (lists) {
      LODESTONE_ASSIGN_OR_RETURN(setting.values, ReadAxis(reader, name, value));
    } else {
      setting.values.push_back(value);
    }
    for (const Json& one : setting.values) {
      if (const Status status = CheckSetting(name, one); !status.ok()) {
        reader.Fail(name, status.error().message);
        break;
      }
    }
    LODESTONE_RETURN_IF_ERROR(reader.status());
    settings.push_back(std::move(setting));
    if (Product(settings) > kMaxSweepPoints) break;  // refused below, before more is kept
  }
  return settings;
}

const SweepSetting* Find(const Sweep& sweep, std::string_view name) {
  for (const auto* settings : {&sweep.workload, &sweep.axes}) {
    for (const SweepSetting& setting : *settings) {
      if (setting.name == name) return &setting;
    }
  }
  return nullptr;
}

Error At(const Sweep& sweep, const SweepSetting& setting, const std::string& message) {
  return Invalid(fmt::format("{}:{}: key '{}': {}", sweep.file, setting.line, setting.name, message));
}

// What no single value shows.
Status CheckTogether(const Sweep& sweep) {
  if (sweep.points() > kMaxSweepPoints) {
    std::vector<std::string> factors;
    for (const SweepSetting& axis : sweep.axes) factors.push_back(fmt::format("{} {}", axis.values.size(), axis.name));
    return Invalid(fmt::format("{}: key 'axes': {} are {} points, expected at most {}", sweep.file,
                               fmt::join(factors, " × "), sweep.points(), kMaxSweepPoints));
  }
  for (const SweepSetting& axis : sweep.axes) {
    const bool twice = std::any_of(sweep.workload.begin(), sweep.workload.end(),
                                   [&](const SweepSetting& setting) { return setting.name == axis.name; });
    if (twice) return At(sweep, axis, "stands in [workload] too, expected it once");
  }
  const SweepSetting* context = Find(sweep, "context");
  for (const char* name : {"prompt_tokens", "output_tokens"}) {
    const SweepSetting* half = Find(sweep, name);
    if (context != nullptr && half != nullptr) {
      return At(sweep, *half, "stands beside context, expected either context or prompt_tokens and output_tokens");
    }
    if (context == nullptr && half == nullptr) {
      return Invalid(fmt::format("{}: neither context nor {} is given, expected one of them in [workload] or [axes]",
                                 sweep.file, name));
    }
  }
  if (sweep.axes.empty()) return Invalid(fmt::format("{}: [axes] is empty, expected at least one axis", sweep.file));
  return {};
}

}  // namespace

int64_t Sweep::points() const { return Product(axes); }

Result<Sweep> ParseSweep(const Json& toml, const std::string& file) {
  ObjectReader reader(toml, file);
  const std::string kind = reader.RequireString("kind");
  if (kind != kKind) reader.Fail("kind", fmt::format("found {}, expected '{}'", Quoted(kind), kKind));
  Sweep sweep;
  sweep.file = file;
  sweep.name = ReadName(reader, "name", 100);
  sweep.description = reader.Has("description") ? ReadName(reader, "description", kMaxTextBytes) : "";
  sweep.model = ReadName(reader, "model", kMaxTextBytes);
  sweep.appliance = ReadName(reader, "appliance", kMaxTextBytes);
  LODESTONE_ASSIGN_OR_RETURN(sweep.workload, ReadSettings(reader, "workload", false));
  LODESTONE_ASSIGN_OR_RETURN(sweep.axes, ReadSettings(reader, "axes", true));
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  LODESTONE_RETURN_IF_ERROR(CheckTogether(sweep));
  return sweep;
}

Result<Sweep> LoadSweep(const std::string& name_or_path) {
  LODESTONE_ASSIGN_OR_RETURN(const ExperimentFile found, FindExperiment(kKind, "sweep", name_or_path));
  return ParseSweep(found.json, found.file);
}

}  // namespace lodestone
