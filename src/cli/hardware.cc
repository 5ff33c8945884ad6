#include "hardware/hardware.h"

#include <fmt/format.h>

#include "appliance/machine.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "host/cpu.h"
#include "host/energy.h"
#include "kernels/dispatch.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

double CardMemory(const ApplianceSpec& spec) {
  return spec.card.chip.cores.value * spec.card.chip.core_memory_bytes.value;
}

Json ToJson(const Figure& figure) {
  Json json;
  json.Set("value", figure.value).Set("source", ToString(figure.source)).Set("note", figure.note);
  json.Set("low", figure.low ? Json(*figure.low) : Json(nullptr));
  json.Set("high", figure.high ? Json(*figure.high) : Json(nullptr));
  return json;
}

Json ToJson(const ApplianceSpec& spec) {
  Json figures;
  for (const NamedFigure& named : FiguresOf(spec)) figures.Set(named.name, ToJson(named.figure));
  Json json;
  json.Set("name", spec.name).Set("description", spec.description).Set("cards", spec.cards);
  json.Set("cards_per_server", spec.cards_per_server).Set("cards_per_switch", spec.cards_per_switch);
  json.Set("card", spec.card.name).Set("figures", std::move(figures));
  return json;
}

// ", 32 to 128", ", at most 55", or nothing.
std::string RangeOf(const Figure& figure) {
  if (figure.low && figure.high) return fmt::format(", {} to {}", PlainNumber(*figure.low), PlainNumber(*figure.high));
  if (figure.low) return fmt::format(", at least {}", PlainNumber(*figure.low));
  return figure.high ? fmt::format(", at most {}", PlainNumber(*figure.high)) : "";
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
        .summary = "The appliances that can be simulated, and this host.",
        .details =
            "Every figure carries its source: data sheet, paper, derived (with the arithmetic), measured, or "
            "assumed (with the reason and the range).",
        .options = {{"--json", "", "The same as JSON.", &json_}},
        .operand = "NAME",
        .operand_help = "An appliance of the list or a TOML file: every figure with its source; or 'cpu': this host.",
        .operand_target = &name_,
        .examples = {{"the list, and this host", "lodestone hardware"},
                     {"every figure of the 16-card server", "lodestone hardware northpole-16"}}};
  }

  Status Run() override {
    if (!name_) return ShowAll();
    LODESTONE_ASSIGN_OR_RETURN(const std::optional<ApplianceSpec> spec, OpenAppliance(*name_));
    if (!spec) {
      json_ ? PrintJson(HostJson()) : Print(HostText());
    } else {
      json_ ? PrintJson(ToJson(*spec)) : ShowFigures(*spec);
    }
    return {};
  }

 private:
  Status ShowAll() const {
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<ApplianceSpec> appliances, CatalogAppliances());
    if (json_) {
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
    Print("\n'lodestone hardware NAME' shows every figure with its source.\n\nThis host, --appliance cpu\n\n");
    Print(HostText());
    return {};
  }

  static void ShowFigures(const ApplianceSpec& spec) {
    Print(fmt::format("{}: {} of {}, {} a server, {} a PCIe switch\n{}\n", spec.name, Counted(spec.cards, "card"),
                      spec.card.name, spec.cards_per_server, spec.cards_per_switch, Wrap(spec.description, kWidth, 0)));
    for (const NamedFigure& named : FiguresOf(spec)) {
      const Figure& figure = named.figure;
      Print(fmt::format("\n  {} = {} ({}{})\n", named.name, PlainNumber(figure.value), ToString(figure.source),
                        RangeOf(figure)));
      if (!figure.note.empty()) Print(Wrap("      " + figure.note, kWidth, 6) + "\n");
    }
  }

  std::optional<std::string> name_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeHardware() { return std::make_unique<HardwareCommand>(); }

}  // namespace lodestone::cli
