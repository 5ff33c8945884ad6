#include "lab/sensitivity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "lab/work_list.h"
#include "report/run_record.h"

namespace lodestone {
namespace {

bool HasRange(const NamedFigure& named) {
  return RestsOnNoSource(named.figure) && named.figure.low && named.figure.high;
}

// A constant that moves throughput by less than this over its whole range cannot be read off a published throughput.
constexpr double kVisible = 1e-3;

struct Column {
  const char *title, *key;
  double Outcome::*member;
};
constexpr Column kColumns[] = {{"tokens/s, %", "tokens_per_s", &Outcome::tokens_per_s},
                               {"latency, %", "latency_s", &Outcome::latency_s},
                               {"prompt, %", "prompt_s", &Outcome::prompt_s},
                               {"decode, %", "gen_s", &Outcome::gen_s},
                               {"J/token, %", "joules_per_token", &Outcome::joules_per_token}};

double Change(const Outcome& end, const Outcome& typical, double Outcome::*member) {
  return typical.*member > 0 ? end.*member / (typical.*member) - 1 : 0;
}

double Effect(const SensitivityRow& row, const Outcome& typical, double Outcome::*member) {
  double effect = 0;
  for (const SensitivityEnd* end : {&row.low, &row.high}) {
    if (end->outcome) effect = std::max(effect, std::abs(Change(*end->outcome, typical, member)));
  }
  return effect;
}

// The same machine for every run; where it is not given, that which the typical figures lead to.
Result<SimulationOptions> WithPlacement(SimulationOptions options) {
  LODESTONE_ASSIGN_OR_RETURN(options.placement, PlacementOf(options));
  return options;
}

SensitivityEnd RunAt(SimulationOptions options, const std::string& name, double value) {
  SensitivityEnd end{.value = value, .outcome = {}, .reason = {}};
  if (const Status status = SetFigure(options.spec, name, value); !status.ok()) {
    end.reason = status.error().message;
    return end;
  }
  if (const Result<SimulatedRun> run = SimulateBatch(options); run.ok()) {
    end.outcome = OutcomeOf(*run);
  } else {
    end.reason = run.error().message;
  }
  return end;
}

std::string Percent(double change) { return std::abs(change) < 5e-4 ? "0" : fmt::format("{:+.1f}", change * 100); }

// "+12.8 / -5.2": percent at the low and at the high end.
std::string Cell(const SensitivityRow& row, const Outcome& typical, double Outcome::*member) {
  const auto end = [&](const SensitivityEnd& at) {
    return at.outcome ? Percent(Change(*at.outcome, typical, member)) : std::string("refused");
  };
  const std::string low = end(row.low), high = end(row.high);
  return low == "0" && high == "0" ? "–" : fmt::format("{} / {}", low, high);
}

// "operator_start_cycles" of "card.chip.operator_start_cycles".
std::string ShortName(const std::string& name) { return name.substr(name.rfind('.') + 1); }

Json EndJson(const SensitivityEnd& end) {
  Json json;
  json.Set("value", end.value);
  for (const Column& column : kColumns) {
    json.Set(column.key, end.outcome ? Json((*end.outcome).*column.member) : Json(nullptr));
  }
  json.Set("reason", end.reason.empty() ? Json(nullptr) : Json(end.reason));
  return json;
}

}  // namespace

Outcome OutcomeOf(const SimulatedRun& run) {
  const double seconds = run.elapsed.seconds();
  return {.tokens_per_s = run.run.tokens_generated / seconds,
          .latency_s = seconds * run.run.users / run.run.tokens_generated,
          .prompt_s = run.run.prompt_time_s,
          .gen_s = run.run.token_gen_time_s,
          .joules_per_token = run.energy.total_j() / run.run.tokens_generated};
}

Result<Sensitivity> SensitivityOf(const SimulationOptions& given, int threads) {
  LODESTONE_ASSIGN_OR_RETURN(const SimulationOptions options, WithPlacement(given));
  LODESTONE_ASSIGN_OR_RETURN(const SimulatedRun typical, SimulateBatch(options));
  Sensitivity sensitivity;
  sensitivity.typical = OutcomeOf(typical);
  for (NamedFigure& named : FiguresOf(options.spec)) {
    if (HasRange(named)) sensitivity.rows.push_back({.figure = std::move(named), .low = {}, .high = {}});
  }
  std::vector<SensitivityRow>& rows = sensitivity.rows;
  ForEach(rows.size() * 2, threads, [&](size_t i) {
    SensitivityRow& row = rows[i / 2];
    const Figure& figure = row.figure.figure;
    (i % 2 == 0 ? row.low : row.high) = RunAt(options, row.figure.name, i % 2 == 0 ? *figure.low : *figure.high);
  });
  for (SensitivityRow& row : rows) {
    for (const Column& column : kColumns) {
      row.effect = std::max(row.effect, Effect(row, sensitivity.typical, column.member));
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const SensitivityRow& a, const SensitivityRow& b) { return a.effect > b.effect; });
  return sensitivity;
}

std::string RenderSensitivity(const Sensitivity& sensitivity) {
  std::vector<std::vector<std::string>> table{{"constant", "low … high", "% tokens/s", "% prompt time", "% J/token"}};
  std::string invisible;
  size_t unseen = 0;
  const std::vector<SensitivityRow>& rows = sensitivity.rows;
  for (const SensitivityRow& row : rows) {
    const Figure& figure = row.figure.figure;
    table.push_back({ShortName(row.figure.name), fmt::format("{:g} … {:g}", *figure.low, *figure.high)});
    for (const auto member : {&Outcome::tokens_per_s, &Outcome::prompt_s, &Outcome::joules_per_token}) {
      table.back().push_back(Cell(row, sensitivity.typical, member));
    }
    const bool refused = !row.low.outcome || !row.high.outcome;  // it bounds what runs at all
    if (refused || Effect(row, sensitivity.typical, &Outcome::tokens_per_s) >= kVisible) continue;
    const std::string name = ShortName(row.figure.name);
    const size_t line = invisible.size() - (invisible.rfind('\n') + 1);  // npos + 1 is 0
    if (unseen++ > 0) invisible += line + name.size() > 90 ? ",\n  " : ", ";
    invisible += name;
  }
  std::string text = RenderTable(table);
  text += "  Change of the run in %, with this constant at its low / at its high end, the others as they are.\n";
  if (unseen < rows.size()) {
    text +=
        "  A published throughput of this run can fix one of the constants that move it, given the others;\n"
        "  prompt and decode time apart would tell apart those that move the two differently.\n";
  }
  if (unseen > 0) {
    text += fmt::format("  It cannot fix those that move it by less than {:g} %:\n  {}.\n", kVisible * 100, invisible);
  }
  return text;
}

Json ToJson(const Sensitivity& sensitivity) {
  Json json, typical;
  for (const Column& column : kColumns) typical.Set(column.key, sensitivity.typical.*column.member);
  Json::Array rows;
  for (const SensitivityRow& row : sensitivity.rows) {
    Json entry;
    entry.Set("figure", row.figure.name).Set("value", row.figure.figure.value).Set("effect", row.effect);
    entry.Set("low", EndJson(row.low)).Set("high", EndJson(row.high));
    rows.push_back(std::move(entry));
  }
  json.Set("typical", std::move(typical)).Set("figures", std::move(rows));
  return json;
}

Result<Envelope> EnvelopeOf(const SimulationOptions& given, int threads) {
  LODESTONE_ASSIGN_OR_RETURN(const SimulationOptions typical, WithPlacement(given));
  std::array<SimulationOptions, 2> ends{typical, typical};
  for (const NamedFigure& named : FiguresOf(typical.spec)) {
    if (!HasRange(named) || named.better == Better::kNeither) continue;
    const bool high = named.better == Better::kHigh;
    const Figure& figure = named.figure;
    LODESTONE_RETURN_IF_ERROR(SetFigure(ends[0].spec, named.name, high ? *figure.low : *figure.high));
    LODESTONE_RETURN_IF_ERROR(SetFigure(ends[1].spec, named.name, high ? *figure.high : *figure.low));
  }
  std::array<std::optional<Result<SimulatedRun>>, 2> runs;
  ForEach(2, threads, [&](size_t i) { runs[i] = SimulateBatch(ends[i]); });
  Envelope envelope;
  LODESTONE_ASSIGN_OR_RETURN(envelope.worse, *std::move(runs[0]));
  LODESTONE_ASSIGN_OR_RETURN(envelope.better, *std::move(runs[1]));
  return envelope;
}

void AddRanges(const Envelope& envelope, std::vector<Measure>& measures) {
  const std::array<std::vector<Measure>, 2> ends{MeasuresOf(envelope.worse.run), MeasuresOf(envelope.better.run)};
  for (Measure& measure : measures) {
    if (!measure.value) continue;
    double low = *measure.value, high = low;
    for (const std::vector<Measure>& end : ends) {
      for (const Measure& other : end) {
        if (other.name != measure.name || !other.value) continue;
        low = std::min(low, *other.value);
        high = std::max(high, *other.value);
      }
    }
    if (low == high) continue;
    measure.low = low;
    measure.high = high;
  }
}

}  // namespace lodestone
