// What the parts of a simulation's page share; each part is one function, which adds its sections.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lab/pass_costs.h"
#include "lab/run_view.h"
#include "lab/sensitivity.h"
#include "lab/simulation.h"
#include "report/html.h"
#include "report/measure.h"
#include "report/published.h"
#include "report/published_figures.h"

namespace lodestone {

struct PageData {
  SimulationOptions options;
  SimulatedRun run;
  std::vector<Measure> measures, ideal;  // of the run, with ranges; by rates alone
  std::optional<PublishedRun> published;
  std::vector<SimulatedPoint> points;  // other numbers of users, where the published run is compared with others
  std::optional<Sensitivity> sensitivity;
  bool repeated = true;  // false: the run is too long to be repeated for every constant
  Load decode, prefill;
  std::vector<StageCost> decode_costs, prefill_costs;              // one a stage
  std::vector<std::vector<OperatorCost>> decode_ops, prefill_ops;  // one a stage
  std::vector<StageMapping> mappings;                              // one a stage
  std::vector<size_t> kinds;                                       // the first stage of every kind
  std::vector<std::string> kind_names;                             // "layers 0–13"
  std::vector<size_t> shown;                                       // stages in drawings of all cards
  size_t slowest = 0;                                              // the stage that takes longest to decode
};

// "layer 3, card 3".
std::string StageAndCard(const PageData& data, size_t stage);
// What most drawings of cards say about those that they leave out; empty where all are shown.
std::string ShownNote(const PageData& data);

void AddHeadline(HtmlPage& page, const PageData& data, const RunView& view);
void AddPublished(HtmlPage& page, const PageData& data);
void AddPlacement(HtmlPage& page, const PageData& data);
void AddMapping(HtmlPage& page, const PageData& data);
void AddTimeline(HtmlPage& page, const PageData& data, const RunView& view);
void AddOperators(HtmlPage& page, const PageData& data);
void AddRoofline(HtmlPage& page, const PageData& data);
void AddEnergy(HtmlPage& page, const PageData& data, const RunView& view);
void AddFramebuffers(HtmlPage& page, const PageData& data, const RunView& view);
void AddSensitivity(HtmlPage& page, const PageData& data);
void AddLinks(HtmlPage& page, const PageData& data);
void AddAssumptions(HtmlPage& page, const PageData& data);

}  // namespace lodestone
