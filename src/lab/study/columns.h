// Which figures of a study stand in its table, on the terminal and on the page. Private to this folder.
#pragma once

#include <string>
#include <vector>

#include "lab/study/rows.h"

namespace lodestone {

struct StudyColumn {
  std::string heading, unit;
  std::string (*text)(const StudyFigures& row);
};

// What tells the rows apart: settings that differ between them. Those that do not are in CommonSettings.
std::vector<StudyColumn> CaseColumns(const StudyReport& report);
std::vector<StudyColumn> MeasureColumns(const StudyReport& report);
// "gpt2, bf16, sequence 256, batch 4, 2 threads".
std::string CommonSettings(const StudyReport& report);

// Why runs were refused, what differs from a shape's name, what disturbed the host and why shares are absent, each
// once.
std::vector<std::string> RemarksOf(const StudyReport& report);

// One line of the published table.
struct PublishedLine {
  std::string system, devices, samples, tokens, tflops, efficiency, note;
};
// The first and the last point of a series, or its only one.
std::vector<PublishedLine> LinesOf(const PublishedTraining& series);

inline constexpr const char* kNoFigure = "–";

}  // namespace lodestone
