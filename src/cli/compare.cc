#include "lab/compare/compare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "appliance/machine.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "cli/version.h"

namespace lodestone::cli {
namespace {

class CompareCommand final : public Command {
 public:
  CommandLine Line() override {
    return {
        .name = "compare",
        .summary = "One workload on many targets: measured, simulated, estimated and published.",
        .details =
            "The file names a model, a recipe, batches and lengths, and targets: this host, simulated appliances, "
            "machines of the catalogue by their data sheets, and filters of published figures. A target that cannot "
            "be done is a row with its reason. The page sorts, filters, and says of every mark where it comes from.",
        .options = {{.name = "--report",
                     .value = "FILE",
                     .help = "Write a page with plots and tables, complete in one file.",
                     .target = &report_},
                    {.name = "--csv", .value = "FILE", .help = "Write all rows as CSV.", .target = &csv_},
                    {.name = "--threads",
                     .value = "N",
                     .help = "Threads (default: all processors).",
                     .target = &threads_,
                     .min = 1,
                     .max = 1024},
                    {.name = "--json", .value = "", .help = "Print all rows as JSON.", .target = &json_}},
        .operand = "NAME|FILE",
        .operand_help = "A comparison of the catalogue or a TOML file.",
        .operand_target = &operand_,
        .examples = {{"a 7B model on every machine of the catalogue, beside the points of the survey",
                      "lodestone compare compare-survey --report survey.html"},
                     {"Table I of the NorthPole paper: simulated, estimated and published",
                      "lodestone compare compare-northpole --report northpole.html --csv northpole.csv"}}};
  }

  Status Run() override {
    if (!operand_) return Invalid("compare needs a file, or the name of a comparison such as compare-survey");
    LODESTONE_ASSIGN_OR_RETURN(const Comparison comparison, LoadComparison(*operand_));
    LODESTONE_ASSIGN_OR_RETURN(const int threads, ThreadsToUse(threads_));
    LODESTONE_ASSIGN_OR_RETURN(const ComparisonResult result, RunComparison(comparison, threads));
    if (csv_) LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(*csv_, CompareCsv(result)));
    if (report_) LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(*report_, ComparePage(result, Environment())));
    if (json_) {
      PrintJson(ToJson(result));
      return {};
    }
    const CompareWorkload& workload = comparison.workload;
    Print(fmt::format("{}: {} in {}, {} prompt and {} generated tokens a request, batches of {}\n", comparison.name,
                      workload.model, workload.recipe, workload.prompt_tokens, workload.output_tokens,
                      fmt::join(workload.batches, ", ")));
    if (!comparison.description.empty()) Print(Wrap("  " + comparison.description, kWidth, 2) + "\n");
    Print("\n" + CompareTable(result));
    for (const auto& file : {report_, csv_}) {
      if (file) Print(fmt::format("  Written: {}\n", *file));
    }
    return {};
  }

 private:
  std::optional<std::string> operand_, report_, csv_;
  std::optional<int64_t> threads_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeCompare() { return std::make_unique<CompareCommand>(); }

}  // namespace lodestone::cli
