#include "report/published_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/catalog.h"
#include "base/quote.h"

namespace lodestone {
namespace {

constexpr int64_t kMaxCount = 1'000'000'000;
constexpr double kMaxRate = 1e15;

Result<std::vector<PublishedTraining::Point>> ReadPoints(ObjectReader& reader) {
  const Json* devices_json = reader.Require("devices");
  const Json* rates_json = reader.Require("rates");
  LODESTONE_RETURN_IF_ERROR(reader.status());
  const Json::Array *devices = devices_json->as_array(), *rates = rates_json->as_array();
  if (devices == nullptr || rates == nullptr || devices->empty() || devices->size() != rates->size()) {
    reader.Fail("rates", "expected devices and rates to be two lists of the same length, at least one value each");
    return reader.status().error();
  }
  std::vector<PublishedTraining::Point> points;
  for (size_t i = 0; i < devices->size(); ++i) {
    const int64_t* count = (*devices)[i].as_int();
    const std::optional<double> rate = (*rates)[i].as_number();
    if (count == nullptr || *count < (points.empty() ? 1 : points.back().devices + 1) || *count > kMaxCount) {
      reader.Fail("devices", "expected ascending whole numbers from 1");
    } else if (!rate || !(*rate > 0 && *rate < kMaxRate)) {
      reader.Fail("rates", "expected positive numbers");
    }
    LODESTONE_RETURN_IF_ERROR(reader.status());
    points.push_back({*count, *rate});
  }
  return points;
}

Result<PublishedTraining> ReadSeries(const Json& entry, const std::string& file, const std::string& path) {
  ObjectReader reader(entry, file, path);
  PublishedTraining series;
  series.system = reader.RequireString("system");
  series.device = reader.RequireString("device");
  series.model = reader.RequireString("model");
  series.sequence = reader.RequireInt("sequence", 0, kMaxCount);
  series.note = reader.OptionalString("note", "");
  const std::string unit = reader.RequireString("unit");
  if (unit != "samples/s" && unit != "tokens/s") {
    reader.Fail("unit", fmt::format("found {}, expected 'samples/s' or 'tokens/s'", Quoted(unit)));
  }
  series.tokens = unit == "tokens/s";
  const std::string evidence = reader.RequireString("evidence");
  const std::optional<FigureKind> kind = ParseFigureKind(evidence);
  if (!kind) {
    reader.Fail("evidence", fmt::format("found {}, expected 'quoted', 'derived' or 'elsewhere'", Quoted(evidence)));
  }
  LODESTONE_ASSIGN_OR_RETURN(series.points, ReadPoints(reader));
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  series.evidence = *kind;
  return series;
}

Result<PublishedUnknown> ReadUnknown(const Json& entry, const std::string& file, const std::string& path) {
  ObjectReader reader(entry, file, path);
  PublishedUnknown unknown{.model = reader.RequireString("model"), .what = reader.RequireString("what")};
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  return unknown;
}

// Reads each table of the array `key`, which may be absent.
template <typename T, typename Read>
Status ReadTables(ObjectReader& reader, const char* key, const Read& read, std::vector<T>& all) {
  const Json* json = reader.Optional(key);
  if (json == nullptr) return {};
  const Json::Array* tables = json->as_array();
  if (tables == nullptr) {
    reader.Fail(key, fmt::format("found {}, expected tables [[{}]]", json->TypeName(), key));
    return reader.status();
  }
  for (size_t i = 0; i < tables->size(); ++i) {
    LODESTONE_ASSIGN_OR_RETURN(T one, read((*tables)[i], reader.file(), fmt::format("{}[{}]", key, i)));
    all.push_back(std::move(one));
  }
  return {};
}

std::optional<double> Converted(const PublishedTraining& series, size_t point, bool to_tokens) {
  const double rate = series.points[point].rate;
  if (series.tokens == to_tokens) return rate;
  if (series.sequence == 0) return std::nullopt;
  const auto length = static_cast<double>(series.sequence);
  return to_tokens ? rate * length : rate / length;
}

}  // namespace

double PublishedTraining::Efficiency(size_t point) const {
  const Point &first = points.front(), &here = points[point];
  return (here.rate / first.rate) / (static_cast<double>(here.devices) / static_cast<double>(first.devices));
}

std::optional<double> PublishedTraining::SamplesPerSecond(size_t point) const { return Converted(*this, point, false); }
std::optional<double> PublishedTraining::TokensPerSecond(size_t point) const { return Converted(*this, point, true); }

Result<PublishedTrainingFile> ParsePublishedTraining(const Json& toml, const std::string& file) {
  ObjectReader reader(toml, file);
  const std::string kind = reader.RequireString("kind");
  if (kind != kTrainingKind) {
    reader.Fail("kind", fmt::format("found {}, expected '{}'", Quoted(kind), kTrainingKind));
  }
  reader.RequireString("title");
  const std::string source = reader.RequireString("source");
  PublishedTrainingFile all;
  LODESTONE_RETURN_IF_ERROR(ReadTables(reader, "series", ReadSeries, all.series));
  LODESTONE_RETURN_IF_ERROR(ReadTables(reader, "unavailable", ReadUnknown, all.unavailable));
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  for (PublishedTraining& series : all.series) series.source = source;
  return all;
}

Result<PublishedTrainingFile> CatalogPublishedTraining() {
  PublishedTrainingFile all;
  for (const CatalogFile& file : CatalogFilesIn("published")) {
    const std::string name = fmt::format("catalog/{}", file.path);
    LODESTONE_ASSIGN_OR_RETURN(const Json toml, ParseToml(file.contents, name));
    const Json* kind = toml.Find("kind");
    if (kind == nullptr || kind->as_string() == nullptr || *kind->as_string() != kTrainingKind) continue;
    LODESTONE_ASSIGN_OR_RETURN(PublishedTrainingFile one, ParsePublishedTraining(toml, name));
    std::move(one.series.begin(), one.series.end(), std::back_inserter(all.series));
    std::move(one.unavailable.begin(), one.unavailable.end(), std::back_inserter(all.unavailable));
  }
  return all;
}

}  // namespace lodestone
