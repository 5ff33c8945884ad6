#include <fmt/format.h>

#include <cmath>

#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "lab/self_calibration.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

class BenchPredictCommand final : public Command {
 public:
  CommandLine Line() override {
    return {
        .name = "bench predict",
        .summary = "How well estimates of this host meet what it measures.",
        .details =
            "Fits the factors of this host (what share of its limits its kernels reach, what steps cost) to rows of "
            "'bench inference', and estimates rows of other shapes with them, beside what was measured.",
        .options = {{.name = "--calibrate-on",
                     .value = "FILE",
                     .help = "Rows of 'lodestone bench inference --json' that the factors are fitted to.",
                     .target = &calibrate_,
                     .required = true},
                    {.name = "--against",
                     .value = "FILE",
                     .help = "Rows of other shapes, estimated and compared; repeatable.",
                     .target = &against_},
                    {.name = "--limits",
                     .value = "FILE",
                     .help = "This host's limits (default: where 'lodestone bench limits' stores them).",
                     .target = &limits_},
                    {.name = "--json", .value = "", .help = "The same as JSON.", .target = &json_}},
        .examples = {{"factors from one shape, and how they do on another",
                      "lodestone bench inference --model random:nano-14l --json > small.json\n"
                      "lodestone bench inference --model random:granite-3b-14l --json > large.json\n"
                      "lodestone bench predict --calibrate-on small.json --against large.json"}}};
  }

  Status Run() override {
    LODESTONE_ASSIGN_OR_RETURN(const Machine host, ThisHost(limits_));
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<HostRow> known, ReadHostRows(calibrate_));
    LODESTONE_ASSIGN_OR_RETURN(const SelfCalibration calibration, SelfCalibrate(host, known));
    std::vector<std::vector<std::string>> factors{{"factor", "value"}};
    Json factors_json;
    for (const EfficiencyField& field : EfficiencyFields()) {
      const double value = (calibration.efficiency.*field.member).value;
      factors.push_back({std::string(field.key), FormatNumber(value)});
      factors_json.Set(std::string(field.key), value);
    }
    std::vector<std::vector<std::string>> cells{{"row", "rows of", "measured", "estimated", "error"}};
    Json::Array list;
    double worst = 0;
    const auto add = [&](const std::vector<HostRow>& rows, const std::string& file, bool fitted) -> Status {
      for (const HostRow& row : rows) {
        LODESTONE_ASSIGN_OR_RETURN(const double seconds, EstimatedSeconds(host, calibration.efficiency, row));
        const double error = seconds / row.seconds - 1;
        if (!fitted) worst = std::max(worst, std::abs(error));
        cells.push_back({row.name, fitted ? "the fit" : file, FormatSeconds(row.seconds), FormatSeconds(seconds),
                         fmt::format("{:+.1f} %", error * 100)});
        Json entry;
        entry.Set("row", row.name).Set("file", file).Set("fitted", fitted).Set("measured_s", row.seconds);
        entry.Set("estimated_s", seconds).Set("error", error);
        list.push_back(std::move(entry));
      }
      return {};
    };
    LODESTONE_RETURN_IF_ERROR(add(known, calibrate_, true));
    for (const std::string& file : against_) {
      LODESTONE_ASSIGN_OR_RETURN(const std::vector<HostRow> others, ReadHostRows(file));
      LODESTONE_RETURN_IF_ERROR(add(others, file, false));
    }
    if (json_) {
      Json json;
      json.Set("factors", std::move(factors_json)).Set("fit_error", calibration.error).Set("rows", std::move(list));
      PrintJson(json);
      return {};
    }
    Print(RenderTable(factors) + "\n" + RenderTable(cells));
    Print(fmt::format("\nThe fit is off by {:.1f} % (root of the mean square)", calibration.error * 100));
    Print(against_.empty() ? ".\n" : fmt::format("; other rows by {:.1f} % at most.\n", worst * 100));
    return {};
  }

 private:
  std::string calibrate_;
  std::vector<std::string> against_;
  std::optional<std::string> limits_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeBenchPredict() { return std::make_unique<BenchPredictCommand>(); }

}  // namespace lodestone::cli
