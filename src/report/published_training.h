// Training rates that others published, read from catalog/published/: series over numbers of devices, and what their
// documents leave unknown.
//
//   kind = "training"
//   title = "GenSLM scaling"            source = "…"
//
//   [[series]]
//   system = "Polaris"                  device = "A100"
//   model = "genslm-25m"                sequence = 2048          # 0: not printed
//   devices = [4, 8]                    rates = [99.69, 196.89]
//   unit = "samples/s"                  # or "tokens/s"
//   evidence = "quoted"                 # as FigureKind
//   note = "…"                          # may be left out
//
//   [[unavailable]]
//   model = "gpt2-xl"                   what = "throughput of a device"
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "report/published.h"

namespace lodestone {

struct PublishedTraining {
  struct Point {
    int64_t devices = 0;
    double rate = 0;  // of the whole system
  };

  std::string system, device, source;
  std::string model;     // a shape of the catalogue
  int64_t sequence = 0;  // 0: not printed
  std::string note;      // how the run differs or what is inferred; empty where there is nothing to say
  bool tokens = false;   // rates are tokens/s, otherwise samples/s
  FigureKind evidence = FigureKind::kQuoted;
  std::vector<Point> points;  // at least one, by ascending devices

  // (rate of N ÷ rate of the first point) ÷ (N ÷ its devices): the study's scaling efficiency.
  double Efficiency(size_t point) const;
  // None where rates are tokens/s, or the other way round, and the sequence is not printed.
  std::optional<double> SamplesPerSecond(size_t point) const;
  std::optional<double> TokensPerSecond(size_t point) const;
};

// Looked for in the sources and not found.
struct PublishedUnknown {
  std::string model, what;
};

struct PublishedTrainingFile {
  std::vector<PublishedTraining> series;
  std::vector<PublishedUnknown> unavailable;
};

inline constexpr std::string_view kTrainingKind = "training";

// Refused with file and line: unknown keys, values out of range, lists of different lengths or not ascending.
Result<PublishedTrainingFile> ParsePublishedTraining(const Json& toml, const std::string& file);
// All files of that kind in one.
Result<PublishedTrainingFile> CatalogPublishedTraining();

}  // namespace lodestone
