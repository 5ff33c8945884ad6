#include "hardware/hardware.h"

#include <fmt/format.h>

#include "appliance/machine.h"
#include "base/quote.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/hardware_figures.h"
#include "cli/hardware_machines.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "hardware/hardware_catalog.h"
#include "host/cpu.h"
#include "host/energy.h"
#include "kernels/dispatch.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

double CardMemory(const ApplianceSpec& spec) {
  return spec.card.chip.cores.value * spec.card.chip.core_memory_bytes.value;
}

Json ToJson(const ApplianceSpec& spec) {
  Json figures;
  for (const NamedFigure& named : FiguresOf(spec)) figures.Set(named.name, cli::ToJson(named));
  Json json;
  json.Set("name", spec.name).Set("description", spec.description).Set("cards", spec.cards);
  json.Set("cards_per_server", spec.cards_per_server).Set("cards_per_switch", spec.cards_per_switch);
  json.Set("card", spec.card.name).Set("figures", std::move(figures));
  return json;
}

Json OptionalBytes(const std::optional<int64_t>& bytes) { return bytes ? Json(*bytes) : Json(nullptr); }

std::string ShowBytes(const std::optional<int64_t>& bytes) { return bytes ? FormatBytes(*bytes) : "unknown"; }

// Why energy of this host can or cannot be measured.
std::string EnergyLine() {
  const Result<EnergyMeter> meter = EnergyMeter::Open();
  return meter.ok() ? "a counter of the processor package" : meter.error().message;
}

Json HostJson() {
  const HostInfo host = DescribeHost();
  Json isas;
  for (const kernels::Candidate& candidate : kernels::Candidates()) {
    isas.Set(candidate.table->isa, candidate.declined.empty() ? "runs here" : candidate.declined);
  }
  Json json;
  json.Set("cpu", host.cpu_name).Set("os", host.os).Set("threads", host.threads);
  json.Set("cores", host.cores).Set("memory_nodes", host.nodes);
  json.Set("huge_pages", host.huge_pages.empty() ? Json(nullptr) : Json(host.huge_pages));
  json.Set("memory_bytes", host.memory_bytes).Set("l1d_bytes", OptionalBytes(host.l1d_bytes));
  json.Set("l2_bytes", OptionalBytes(host.l2_bytes)).Set("l3_bytes", OptionalBytes(host.l3_bytes));
  json.Set("instruction_sets", std::move(isas)).Set("energy", EnergyLine());
  return json;
}

std::string HostText() {
  const HostInfo host = DescribeHost();
  std::vector<std::vector<std::string>> rows{
      {"cpu", fmt::format("{}, {} on {} of {}", host.cpu_name, Counted(host.threads, "thread"),
                          Counted(host.cores, "core"), Counted(host.nodes, "memory node"))}};
  rows.push_back({"system", host.os});
  rows.push_back({"memory", FormatBytes(host.memory_bytes)});
  rows.push_back({"caches", fmt::format("L1d {}, L2 {}, L3 {}", ShowBytes(host.l1d_bytes), ShowBytes(host.l2_bytes),
                                        ShowBytes(host.l3_bytes))});
  rows.push_back({"huge pages", host.huge_pages.empty() ? "unknown" : host.huge_pages});
  rows.push_back({"energy", EnergyLine()});
  for (const kernels::Candidate& candidate : kernels::Candidates()) {
    rows.push_back({candidate.table->isa, candidate.declined.empty() ? "runs here" : candidate.declined});
  }
  return RenderTable(rows);
}

class HardwareCommand final : public Command {
 public:
  CommandLine Line() override {
    return {
        .name = "hardware",
        .summary = "The machines that can be simulated or estimated, and this host.",
        .details =
            "Alone: the appliances that can be simulated, and this host. Every figure carries its source: data sheet, "
            "paper, derived (with the arithmetic), measured, or assumed (with the reason and the range).",
        .options = {{.name = "--format",
                     .value = "F",
                     .help = "text, json, or csv (list) (default text).",
                     .target = &format_},
                    {.name = "--stack",
                     .value = "S",
                     .help = "show: the efficiency factors under this software.",
                     .target = &stack_},
                    {"--json", "", "The same as --format json.", &json_}},
        .operand = "list | NAME | show NAME | check FILE",
        .operand_help =
            "list: every machine, a line each. NAME: every figure of an appliance or a machine of the list, or of a "
            "TOML file, with its source; 'cpu': this host. show: the same, seen as a machine: ridge points and "
            "efficiency factors. check: reads a file of your own and says what is wrong or missing in it.",
        .operands_target = &words_,
        .examples = {{"the appliances, and this host", "lodestone hardware"},
                     {"every machine that can be estimated", "lodestone hardware list"},
                     {"every figure of the 16-card server", "lodestone hardware northpole-16"},
                     {"a GPU, and what it reaches under vLLM", "lodestone hardware show h100-sxm --stack vllm"},
                     {"a file made from a data sheet", "lodestone hardware check my-accelerator.toml"}}};
  }

  Status Run() override {
    LODESTONE_ASSIGN_OR_RETURN(const HardwareFormat format, Format());
    if (words_.empty()) return ShowAll(format);
    const std::string& verb = words_.front();
    const bool takes_name = verb == "show" || verb == "check";
    if (const size_t expected = takes_name ? 2 : 1; words_.size() != expected) {
      return Unsupported(takes_name && words_.size() < expected
                             ? fmt::format("hardware {}: found nothing behind it, expected a {}", verb,
                                           verb == "show" ? "name or a file" : "file")
                             : fmt::format("hardware {}: found {} too many", verb, Quoted(words_[expected])));
    }
    if (verb == "list") return ListMachines(format);
    if (verb == "show" && words_[1] != "cpu") return ShowMachine(words_[1], stack_, format);
    if (verb == "check") return CheckMachine(words_[1], format);
    const std::string& name = words_.back();
    if (name != "cpu" && !IsAppliance(name)) return ShowMachine(name, stack_, format);
    if (format == HardwareFormat::kCsv) return Unsupported("--format csv is for 'hardware list'");
    LODESTONE_ASSIGN_OR_RETURN(const std::optional<ApplianceSpec> spec, OpenAppliance(name));
    const bool json = format == HardwareFormat::kJson;
    if (!spec) {
      json ? PrintJson(HostJson()) : Print(HostText());
    } else {
      json ? PrintJson(ToJson(*spec)) : ShowFigures(*spec);
    }
    return {};
  }

 private:
  Result<HardwareFormat> Format() const {
    if (json_ || format_ == "json") return HardwareFormat::kJson;
    if (format_ == "csv") return HardwareFormat::kCsv;
    if (format_ == "text") return HardwareFormat::kText;
    return Invalid(fmt::format("--format: {} is none of text, json, csv", Quoted(format_)));
  }

  // A file that cannot be read as one is a machine's, whose reader says what is wrong.
  static bool IsAppliance(const std::string& name) {
    if (IsHardwarePath(name)) return LoadAppliance(name).ok();
    return KindOfHardware(name) == "appliance";
  }

  static Status ShowAll(HardwareFormat format) {
    if (format == HardwareFormat::kCsv) return Unsupported("--format csv is for 'hardware list'");
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<ApplianceSpec> appliances, CatalogAppliances());
    if (format == HardwareFormat::kJson) {
      Json::Array list;
      for (const ApplianceSpec& spec : appliances) list.push_back(ToJson(spec));
      Json json;
      json.Set("appliances", std::move(list)).Set("host", HostJson());
      PrintJson(json);
      return {};
    }
    std::vector<std::vector<std::string>> rows{{"appliance", "cards", "memory a card", "power a card"}};
    for (const ApplianceSpec& spec : appliances) {
      rows.push_back({spec.name, fmt::format("{}", spec.cards), FormatBytes(static_cast<int64_t>(CardMemory(spec))),
                      fmt::format("{:g} W", spec.card.power_w.value)});
    }
    Print(RenderTable(rows) + "\n");
    for (const ApplianceSpec& spec : appliances) {
      Print(Wrap(fmt::format("  {}: {}", spec.name, spec.description), kWidth, 4) + "\n");
    }
    Print(fmt::format(
        "\n'lodestone hardware NAME' shows every figure with its source; 'lodestone hardware list' names the\n"
        "{} machines that can be estimated.\n\nThis host, --appliance cpu\n\n",
        HardwareNames("machine").size() + appliances.size()));
    Print(HostText());
    return {};
  }

  static void ShowFigures(const ApplianceSpec& spec) {
    Print(fmt::format("{}: {} of {}, {} a server, {} a PCIe switch\n{}\n", spec.name, Counted(spec.cards, "card"),
                      spec.card.name, spec.cards_per_server, spec.cards_per_switch, Wrap(spec.description, kWidth, 0)));
    for (const NamedFigure& named : FiguresOf(spec)) Print("\n" + ShowFigure(named, ""));
  }

  std::vector<std::string> words_;
  std::string format_ = "text", stack_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeHardware() { return std::make_unique<HardwareCommand>(); }

}  // namespace lodestone::cli
