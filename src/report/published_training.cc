#include "report/published_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace lodestone {
namespace {

std::optional<double> Converted(const PublishedTraining& series, size_t point, bool to_tokens) {
  const double rate = series.points[point].rate;
  if (series.tokens == to_tokens) return rate;
  if (series.sequence == 0) return std::nullopt;
  const auto length = static_cast<double>(series.sequence);
  return to_tokens ? rate * length : rate / length;
}

bool SameSeries(const PublishedRow& a, const PublishedRow& b) {
  const auto key = [](const PublishedRow& r) {
    return std::tie(r.source, r.system, r.device, r.shape, r.prompt_tokens, r.unit, r.kind);
  };
  return key(a) == key(b);
}

void AddNote(PublishedTraining& series, const std::string& note) {
  if (!note.empty()) series.note += (series.note.empty() ? "" : "; ") + note;
}

}  // namespace

double PublishedTraining::Efficiency(size_t point) const {
  const Point &first = points.front(), &here = points[point];
  return (here.rate / first.rate) / (static_cast<double>(here.devices) / static_cast<double>(first.devices));
}

std::optional<double> PublishedTraining::SamplesPerSecond(size_t point) const { return Converted(*this, point, false); }
std::optional<double> PublishedTraining::TokensPerSecond(size_t point) const { return Converted(*this, point, true); }

Result<std::vector<PublishedTraining>> TrainingSeriesOf(std::span<const PublishedRow> rows) {
  std::vector<PublishedTraining> all;
  const PublishedRow* before = nullptr;
  for (const PublishedRow& row : rows) {
    if (row.metric != "training_throughput") continue;
    const bool first = before == nullptr || !SameSeries(*before, row);
    if (row.devices <= (first ? 0 : before->devices)) {
      return Invalid(fmt::format("{}:{}: column 'devices': found {}, expected the devices of a series to ascend from 1",
                                 row.file, row.line, row.devices));
    }
    if (first) {
      all.push_back({.system = row.system,
                     .device = row.device,
                     .source = row.source,
                     .model = row.shape,
                     .sequence = row.prompt_tokens,
                     .note = "",
                     .tokens = row.unit == "tokens/s",
                     .evidence = row.kind,
                     .points = {}});
    }
    AddNote(all.back(), row.note);
    if (!row.caution.empty()) AddNote(all.back(), fmt::format("{} devices: {}", row.devices, row.caution));
    all.back().points.push_back({row.devices, row.value});
    before = &row;
  }
  return all;
}

Result<PublishedTrainingFile> CatalogPublishedTraining() {
  LODESTONE_ASSIGN_OR_RETURN(const std::span<const PublishedRow> rows, CatalogPublishedRows());
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<PublishedSource> sources, CatalogPublishedSources());
  PublishedTrainingFile all;
  LODESTONE_ASSIGN_OR_RETURN(all.series, TrainingSeriesOf(rows));
  LODESTONE_ASSIGN_OR_RETURN(all.unavailable, CatalogPublishedUnknowns());
  for (PublishedTraining& series : all.series) {
    const auto found =
        std::find_if(sources.begin(), sources.end(), [&](const auto& source) { return source.key == series.source; });
    if (found != sources.end()) series.source = found->title;
  }
  return all;
}

}  // namespace lodestone
