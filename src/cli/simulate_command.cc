#include <fmt/format.h>

#include "base/file.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "cli/simulate.h"
#include "lab/sensitivity.h"
#include "lab/simulation_page.h"
#include "lab/timeline_trace.h"
#include "report/published_table.h"

namespace lodestone::cli {
namespace {

std::string RenderAssumptions(const std::vector<Assumption>& assumptions) {
  std::string text = "\nWhat no source gives, and these figures rest on\n";
  for (const Assumption& assumption : assumptions) {
    text +=
        Wrap(fmt::format("  {} = {}, {}", assumption.name, PlainNumber(assumption.value), assumption.note), kWidth, 4) +
        "\n";
  }
  return text;
}

std::string Heading(const Simulation& simulation) {
  const Workload& work = simulation.record.workload;
  const std::string text = fmt::format(
      "{} · {} · on {} of {}\n{} in {}, {} and {} each, chunks of {}{}", work.model, work.recipe,
      Counted(simulation.record.target.cards, "card"), simulation.record.target.appliance, Counted(work.users, "user"),
      work.micro_batches == 1 ? "1 micro-batch" : fmt::format("{} micro-batches", work.micro_batches),
      Counted(work.prompt_tokens, "prompt token"), Counted(work.output_tokens, "generated token"), work.prefill_chunk,
      simulation.options.transfers == Transfers::kHost ? ", transfers through host memory" : "");
  return Wrap(text, kWidth, 2) + "\n\n";
}

Json ToJson(const Simulation& simulation) {
  Json json = ToJson(simulation.record);
  Json ideal;
  for (const Measure& measure : simulation.ideal) ideal.Set(measure.name, ToJson(measure));
  json.Set("ideal", std::move(ideal)).Set("energy", lodestone::ToJson(simulation.run.energy));
  if (simulation.published) {
    Json published;
    published.Set("name", simulation.published->name).Set("source", simulation.published->source);
    published.Set("evidence", simulation.published->evidence);
    json.Set("published_run", std::move(published));
  }
  json.Set("instances", simulation.run.placement.instances);
  Json::Array stages;
  const double elapsed = simulation.run.elapsed.seconds();
  for (const StageStats& stage : simulation.run.stages) {
    Json entry;
    entry.Set("stage", stage.label).Set("card", stage.card);
    entry.Set("occupancy", elapsed > 0 ? stage.busy.seconds() / elapsed : 0.0);
    entry.Set("busy_s", stage.busy.seconds()).Set("stalled_s", stage.stalls.seconds());
    entry.Set("gathering_s", stage.gathers.seconds()).Set("passes", stage.passes);
    entry.Set("bytes_in", stage.bytes_in).Set("bytes_out", stage.bytes_out);
    entry.Set("dynamic_j", (stage.energy.total() + stage.link_energy).joules());
    stages.push_back(std::move(entry));
  }
  json.Set("stages", std::move(stages));
  return json;
}

class SimulateCommand final : public Command {
 public:
  CommandLine Line() override {
    RunOptions& run = options_.run;
    constexpr auto kMax = static_cast<double>(kMaxPositionsOption);
    Option appliance =
        ApplianceOption(run, "The simulated cards: a name that 'lodestone hardware' lists, or a TOML file.");
    appliance.value = "NAME|FILE";
    appliance.required = true;
    return {
        .name = "simulate",
        .summary = "How fast a workload would run on simulated cards, without weights.",
        .details =
            "The same schedule, stages and links as a run with tokens, on a virtual clock. 'calibrated' uses constants "
            "that no source gives, listed below the figures; 'low' and 'high' have all of them at the worse and at the "
            "better end of their ranges; 'ideal' uses the chip's rates alone. Published figures stand beside where the "
            "workload is a published one.",
        .options =
            {ModelOption(run, false),
             appliance,
             RecipeOption(run),
             UsersOption(run, "Users that generate together (default 1)."),
             MicroBatchesOption(run),
             {.name = "--prompt-tokens",
              .value = "P",
              .help = "Prompt tokens of every user.",
              .target = &options_.prompt_tokens,
              .min = 1,
              .max = kMax,
              .required = true},
             {.name = "--tokens",
              .value = "T",
              .help = "Tokens that every user generates.",
              .target = &options_.tokens,
              .min = 1,
              .max = kMax,
              .required = true},
             PrefillChunkOption(run),
             {.name = "--transfers",
              .value = "direct|host",
              .help = "Tensors go from card to card, or through host memory as between ordinary PCIe devices (default "
                      "direct). 'host' shows both.",
              .target = &options_.transfers},
             PowerOption(run),
             {.name = "--ideal", .value = "", .help = "Rates alone: no fitted constants.", .target = &options_.ideal},
             {.name = "--sensitivity",
              .value = "",
              .help = "How much each constant without a source moves throughput, latency and energy.",
              .target = &sensitivity_},
             {.name = "--trace",
              .value = "FILE",
              .help = "A timeline of cards, networks, transfers and host, which Perfetto and chrome://tracing open.",
              .target = &trace_,
              .writes = true},
             {.name = "--report",
              .value = "FILE.html",
              .help = "A page that explains the run: placement, pipeline, operators, roofline, energy, sensitivity.",
              .target = &report_,
              .writes = true},
             JsonOption(run)},
        .examples = {{"the run of the NorthPole paper (HPEC 2024), beside its figures",
                      "lodestone simulate --model granite-3b-14l --appliance northpole-16 --recipe w4a4 --users 28 \\\n"
                      "    --micro-batches 14 --prompt-tokens 1024 --tokens 1024"},
                     {"what the constants without a source do to one user alone, and a page that explains the run",
                      "lodestone simulate --model granite-3b-14l --appliance northpole-16 --recipe w4a4 \\\n"
                      "    --prompt-tokens 1024 --tokens 1024 --sensitivity --report run.html"}}};
  }

  Status Run() override {
    if (report_ && options_.run.power_w) {
      return Invalid("--report shows the simulated power of the cards and knows no stated one: drop --power-w");
    }
    if (options_.ideal && sensitivity_) {
      return Invalid(
          "--ideal uses no constant without a source, so there is no --sensitivity to show: drop one of them");
    }
    LODESTONE_ASSIGN_OR_RETURN(const Simulation simulation, Simulate(options_));
    std::optional<Sensitivity> sensitivity;
    if (sensitivity_) {
      LODESTONE_ASSIGN_OR_RETURN(sensitivity, SensitivityOf(simulation.options, AvailableThreads()));
    }
    LODESTONE_RETURN_IF_ERROR(WriteFiles(simulation));
    if (options_.run.json) {
      Json json = ToJson(simulation);
      if (sensitivity) json.Set("sensitivity", lodestone::ToJson(*sensitivity));
      PrintJson(json);
      return {};
    }
    Print(Heading(simulation) + RenderSimulation(simulation));
    LODESTONE_RETURN_IF_ERROR(ShowTransfers(simulation));
    if (simulation.published) {
      const std::string table = RenderPublishedTable(*simulation.published, simulation.record.measures);
      if (!table.empty()) Print("\n" + table);
    }
    if (sensitivity) {
      Print("\nWhat each constant without a source does to the figures\n" + RenderSensitivity(*sensitivity));
    }
    Print(RenderAssumptions(simulation.record.assumed));
    for (const auto& file : {trace_, report_}) {
      if (file) Print(fmt::format("\nWritten: {}\n", *file));
    }
    return {};
  }

 private:
  Status WriteFiles(const Simulation& simulation) const {
    if (trace_) {
      std::string text;
      LODESTONE_RETURN_IF_ERROR(
          TraceBatch(simulation.options, [&](std::string_view piece) { text += piece; }).status());
      LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(*trace_, text));
    }
    if (report_) {
      LODESTONE_ASSIGN_OR_RETURN(const std::string page,
                                 SimulationPage(simulation.options, AvailableThreads(), simulation.record.environment));
      LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(*report_, page));
    }
    return {};
  }

  // What the paper's direct transfers save.
  static Status ShowTransfers(const Simulation& simulation) {
    if (simulation.options.transfers == Transfers::kDirect) return {};
    SimulationOptions direct = simulation.options;
    direct.transfers = Transfers::kDirect;
    LODESTONE_ASSIGN_OR_RETURN(const SimulatedRun other, SimulateBatch(direct));
    const Outcome host = OutcomeOf(simulation.run), card = OutcomeOf(other);
    std::vector<std::vector<std::string>> rows{{"transfers", "tokens/s", "ms a token", "tokens/J"}};
    const auto add = [&](const char* name, const Outcome& outcome) {
      rows.push_back({name, FormatNumber(outcome.tokens_per_s), FormatNumber(outcome.latency_s * 1e3),
                      FormatNumber(1 / outcome.joules_per_token)});
    };
    add("card to card", card);
    add("through host memory", host);
    Print("\n" + RenderTable(rows));
    Print(fmt::format("  Card to card is {:.2f} × as fast.\n", card.tokens_per_s / host.tokens_per_s));
    return {};
  }

  SimulateOptions options_;
  bool sensitivity_ = false;
  std::optional<std::string> trace_, report_;
};

}  // namespace

std::unique_ptr<Command> MakeSimulate() { return std::make_unique<SimulateCommand>(); }

}  // namespace lodestone::cli
