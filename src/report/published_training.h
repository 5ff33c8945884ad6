// Training rates that others published, as series over numbers of devices, built from the rows of metric
// "training_throughput" in catalog/published/; and what their documents leave unknown.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "report/published.h"
#include "report/published_rows.h"
#include "report/published_sources.h"

namespace lodestone {

struct PublishedTraining {
  struct Point {
    int64_t devices = 0;
    double rate = 0;  // of the whole system
  };

  std::string system, device;
  std::string source;    // its title
  std::string model;     // a shape of the catalogue
  int64_t sequence = 0;  // 0: not printed
  std::string note;      // how the run differs, what is inferred or suspect; empty where there is nothing to say
  bool tokens = false;   // rates are tokens/s, otherwise samples/s
  FigureKind evidence = FigureKind::kQuoted;
  std::vector<Point> points;  // at least one, by ascending devices

  // (rate of N ÷ rate of the first point) ÷ (N ÷ its devices): the study's scaling efficiency.
  double Efficiency(size_t point) const;
  // None where rates are tokens/s, or the other way round, and the sequence is not printed.
  std::optional<double> SamplesPerSecond(size_t point) const;
  std::optional<double> TokensPerSecond(size_t point) const;
};

struct PublishedTrainingFile {
  std::vector<PublishedTraining> series;
  std::vector<PublishedUnknown> unavailable;
};

// Rows of one system, device, model, sequence and unit that follow each other are a series; rows of other metrics are
// passed over. `source` is the key, the note gathers the notes and cautions of its rows. Refused with file and line:
// devices that are not said or do not ascend within a series.
Result<std::vector<PublishedTraining>> TrainingSeriesOf(std::span<const PublishedRow> rows);
// All of the catalogue.
Result<PublishedTrainingFile> CatalogPublishedTraining();

}  // namespace lodestone
