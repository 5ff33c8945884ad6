#include <fmt/format.h>

#include "cli/command.h"
#include "cli/output.h"
#include "host/cpu.h"
#include "lab/limits.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

// "17.3 GB/s", "1.71 Top/s": decimal, as memory and processors are sold.
std::string ShowRate(double value, const std::string& unit) {
  const bool tera = value >= 1e12;
  return fmt::format("{:.3g} {}{}", value / (tera ? 1e12 : 1e9), tera ? "T" : "G", unit);
}

Json ToJson(const RateSamples& samples) {
  Json json;
  json.Set("best", samples.best).Set("median", samples.median);
  return json;
}

class BenchLimitsCommand final : public Command {
 public:
  CommandLine Line() override {
    return {.name = "bench limits",
            .summary = "Measures this host: memory at each level, and each unit that multiplies.",
            .details =
                "One thread and all threads, the best and the median of the repetitions, in less than 20 seconds. The "
                "best is the limit and is stored as a hardware file, from which 'lodestone bench inference' takes "
                "shares. Run it while nothing else runs; a median far below the best tells that something did.",
            .options = {{"--out", "FILE",
                         "The hardware file (default ${XDG_CACHE_HOME:-~/.cache}/lodestone/host.toml).", &out_},
                        {"--json", "", "The same as JSON.", &json_}},
            .examples = {{"measure and store", "lodestone bench limits"},
                         {"into a file of your own, as JSON too", "lodestone bench limits --out host.toml --json"}}};
  }

  Status Run() override {
    std::string path;
    if (out_) {
      path = *out_;
    } else {
      LODESTONE_ASSIGN_OR_RETURN(path, HostLimitsPath());
    }
    ThreadPool pool(AvailableThreads(), Pinning::kAll);
    LODESTONE_ASSIGN_OR_RETURN(const LimitsReport report, MeasureLimits(pool));
    LODESTONE_RETURN_IF_ERROR(StoreHostLimits(report.limits, path));
    json_ ? PrintJson(ToJson(report, path)) : Show(report, path);
    return {};
  }

 private:
  static Json ToJson(const LimitsReport& report, const std::string& path) {
    Json::Array rows;
    for (const LimitRow& row : report.rows) {
      Json json;
      json.Set("name", row.key).Set("unit", row.unit).Set("how", row.how);
      json.Set("one_thread", cli::ToJson(row.one)).Set("all_threads", cli::ToJson(row.all));
      rows.push_back(std::move(json));
    }
    Json json;
    json.Set("cpu", report.limits.cpu_name).Set("threads", report.limits.threads);
    json.Set("measured_at", report.limits.measured_at).Set("limits", std::move(rows)).Set("isa", report.isa);
    json.Set("share_of_int8", report.share_of_int8 ? Json(*report.share_of_int8) : Json(nullptr));
    json.Set("file", path);
    return json;
  }

  static void Show(const LimitsReport& report, const std::string& path) {
    const HostInfo host = DescribeHost();
    Print(fmt::format("{}, {} threads on {} cores, huge pages: {}\n\n", host.cpu_name, host.threads, host.cores,
                      host.huge_pages.empty() ? "unknown" : host.huge_pages));
    std::vector<std::vector<std::string>> rows{{"limit", "1 thread", "median", "all threads", "median", "how"}};
    for (const LimitRow& row : report.rows) {
      rows.push_back({row.what, ShowRate(row.one.best, row.unit), ShowRate(row.one.median, row.unit),
                      ShowRate(row.all.best, row.unit), ShowRate(row.all.median, row.unit), row.how});
    }
    Print(RenderTable(rows));
    if (report.share_of_int8) {
      Print(fmt::format("\nOur int8·int4 matmul ({}) reaches {:.0f} % of the best int8 unit.\n", report.isa,
                        *report.share_of_int8 * 100));
    }
    Print(fmt::format("Stored in {}\n", path));
  }

  std::optional<std::string> out_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeBenchLimits() { return std::make_unique<BenchLimitsCommand>(); }

}  // namespace lodestone::cli
