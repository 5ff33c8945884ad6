#include "lab/sweep.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "host/thread_pool.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

// The points that no other beats: what a reader of a terminal can take in.
std::string FrontTable(const SweepResult& result) {
  std::vector<std::vector<std::string>> table{{}};
  for (const SweepSetting& axis : result.sweep.axes) table[0].push_back(axis.name);
  for (const char* title : {"tokens/s/card", "tokens/s/user", "tokens/s", "ms/token", "W/card", "bound"}) {
    table[0].emplace_back(title);
  }
  for (const size_t i : ParetoFront(result.points)) {
    const SweepPoint& p = result.points[i];
    table.emplace_back();
    for (const Json& value : p.values) {
      table.back().push_back(value.as_string() != nullptr ? *value.as_string() : FormatNumber(*value.as_number()));
    }
    for (const double value : {
             p.tokens_per_s_per_card(),
             *p.tokens_per_s_per_user(),
             p.tokens_per_s(),
             1e3 * p.run.users / p.tokens_per_s(),
         }) {
      table.back().push_back(FormatNumber(value));
    }
    table.back().push_back(p.run.power_w_per_card ? FormatNumber(*p.run.power_w_per_card) : "–");
    table.back().push_back(fmt::format("{} ({})", p.bottleneck.bound(), p.bottleneck_stage));
  }
  return RenderTable(table);
}

class SweepCommand final : public Command {
 public:
  CommandLine Line() override {
    return {
        .name = "sweep",
        .summary = "Simulates every combination of users, contexts, cards, links, … that a file lists.",
        .details =
            "The file names a model, an appliance, a workload and axes. A combination that does not fit is a line "
            "with its reason. Printed are the combinations that no other beats in tokens/s/card and tokens/s/user "
            "at once; --csv and --json give all of them. The same bytes for any number of threads.",
        .options =
            {{.name = "--csv", .value = "FILE", .help = "Write all points as CSV.", .target = &csv_, .writes = true},
             {.name = "--html",
              .value = "FILE",
              .help = "Write a page with the Pareto plot, complete in one file.",
              .target = &html_,
              .writes = true},
             {.name = "--threads",
              .value = "N",
              .help = "Threads (default: all processors).",
              .target = &threads_,
              .min = 1,
              .max = 1024},
             {.name = "--json", .value = "", .help = "Print all points as JSON.", .target = &json_}},
        .operand = "NAME|FILE",
        .operand_help = "An experiment of the catalogue or a TOML file.",
        .operand_target = &operand_,
        .examples = {{"users and contexts on the hardware of the NorthPole paper (HPEC 2024)",
                      "lodestone sweep northpole-curve --csv curve.csv --html curve.html"}}};
  }

  Status Run() override {
    if (!operand_) return Invalid("sweep needs a file, or the name of an experiment such as northpole-curve");
    LODESTONE_ASSIGN_OR_RETURN(const Sweep sweep, LoadSweep(*operand_));
    LODESTONE_ASSIGN_OR_RETURN(const int threads, ThreadsToUse(threads_));
    Progress progress("points", sweep.points());
    LODESTONE_ASSIGN_OR_RETURN(const SweepResult result, RunSweep(sweep, threads, [&] { progress.Advance(); }));
    progress.Erase();
    if (csv_) LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(*csv_, SweepCsv(result)));
    if (html_) LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(*html_, SweepPage(result)));
    if (json_) {
      PrintJson(ToJson(result));
      return {};
    }
    Print(fmt::format("{}: {} on {}, {}, simulated, one instance each\n", sweep.name, sweep.model, sweep.appliance,
                      Counted(static_cast<int64_t>(result.points.size()), "point")));
    if (!sweep.description.empty()) Print(Wrap("  " + sweep.description, kWidth, 2) + "\n");
    Print("\n" + FrontTable(result) + "\n");
    Print(
        "  Listed: points that no other beats in both of the first two rates. Bound: what limits the busiest\n"
        "  stage while it decodes, or 'chain' where even that stage waits: for micro-batches, too few to fill\n"
        "  the chain, or for links and host.\n");
    PrintRefused(result);
    for (const auto& file : {csv_, html_}) {
      if (file) Print(fmt::format("  Written: {}\n", *file));
    }
    return {};
  }

 private:
  static void PrintRefused(const SweepResult& result) {
    size_t refused = 0;
    const SweepPoint* first = nullptr;
    for (const SweepPoint& point : result.points) {
      if (!point.ok() && refused++ == 0) first = &point;
    }
    if (first == nullptr) return;
    Print(Wrap(fmt::format("  {} of {} points do not run; the first because: {}", refused, result.points.size(),
                           first->reason),
               kWidth, 2) +
          "\n");
  }

  std::optional<std::string> operand_, csv_, html_;
  std::optional<int64_t> threads_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeSweep() { return std::make_unique<SweepCommand>(); }

}  // namespace lodestone::cli
