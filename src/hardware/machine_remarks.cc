// What a careful reader asks of a machine's file: what is missing, and what cannot be.
#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "hardware/machine.h"

namespace lodestone {
namespace {

struct Band {
  double low = 0, high = 0;
};

// Operations a byte at the ridge of what has been built. Devices that compute inside or beside their memory balance at
// a few operations a byte; those with memory behind pins at tens to hundreds.
Band RidgeBand(const Machine& machine) {
  const std::string& name = machine.efficiency_class;
  if (name == "asic-sram" || name == "wafer" || name == "pim") return {0.1, 200};
  return {1, 4000};
}

// Operations a joule at the limit of power, of 16 bits or, where a device has no such rate, of 8: from a small board's
// processor to the newest accelerators, dense.
constexpr Band kOperationsAJoule{1e9, 1e13};

class Remarks {
 public:
  explicit Remarks(const Machine& machine) : machine_(machine) {}

  std::vector<std::string> All() && {
    Powers();
    Peaks();
    Memories();
    Balance();
    Links();
    Origins();
    return std::move(lines_);
  }

 private:
  // A remark where both are given and the first is above the second.
  void Above(std::string_view what, const std::optional<Figure>& figure, std::string_view other_what,
             const std::optional<Figure>& other, std::string_view question) {
    if (figure && other && figure->value > other->value) {
      lines_.push_back(
          fmt::format("{} = {:g} is above {} = {:g}: {}", what, figure->value, other_what, other->value, question));
    }
  }

  void Powers() {
    Above("idle_w", machine_.idle_w, "typical_w", machine_.typical_w, "does the typical figure leave something out?");
    Above("idle_w", machine_.idle_w, "limit_w", machine_.limit_w, "are they of the same board?");
    Above("typical_w", machine_.typical_w, "limit_w", machine_.limit_w, "are they of the same board?");
  }

  void Peaks() {
    const auto narrower = [this](RateFormat narrow, RateFormat wide) {
      Above(ToString(wide), machine_.Peak(wide), ToString(narrow), machine_.Peak(narrow),
            "a narrower format is seldom slower; is one of them a sparse rate?");
      const std::optional<Figure>&a = machine_.Peak(narrow), &b = machine_.Peak(wide);
      const double most = machine_.platform == Platform::kFpga ? 40 : 4.2;  // an FPGA has no unit for f16
      if (a && b && a->value > most * b->value) {
        lines_.push_back(
            fmt::format("{} = {:g} is more than four times {} = {:g}: is it a sparse rate? Rates are dense",
                        ToString(narrow), a->value, ToString(wide), b->value));
      }
    };
    narrower(RateFormat::kFp8, RateFormat::kBf16);
    narrower(RateFormat::kInt8, RateFormat::kBf16);
    narrower(RateFormat::kInt8, RateFormat::kF16);
    narrower(RateFormat::kInt4, RateFormat::kInt8);
    if (machine_.sparse_speedup && machine_.sparse_speedup->value > 2) {
      lines_.push_back(
          fmt::format("sparse_speedup = {:g}: a 2:4 pattern at most doubles a rate", machine_.sparse_speedup->value));
    }
  }

  void Memories() {
    for (size_t i = 0; i + 1 < machine_.memory.size(); ++i) {
      const MemoryLevel &near = machine_.memory[i], &far = machine_.memory[i + 1];
      Above(fmt::format("memory.{}.bytes_per_s", far.name), far.bytes_per_s,
            fmt::format("memory.{}.bytes_per_s", near.name), near.bytes_per_s, "are the levels listed nearest first?");
      Above(fmt::format("memory.{}.capacity_bytes", near.name), near.capacity_bytes,
            fmt::format("memory.{}.capacity_bytes", far.name), far.capacity_bytes,
            "are the levels listed nearest first?");
    }
    Above("memory.host", machine_.host_link_bytes_per_s, "the bandwidth of the main memory",
          machine_.main_memory().bytes_per_s, "is the link to the host really the faster one?");
  }

  void Balance() {
    const std::optional<Machine::Rate> wide = machine_.RateFor(Code::kBf16), narrow = machine_.RateFor(Code::kInt8);
    const std::optional<Machine::Rate>& rate = wide ? wide : narrow;
    if (!rate) return;
    const Band band = RidgeBand(machine_);
    const std::optional<double> ridge = RidgePoint(machine_, wide ? Code::kBf16 : Code::kInt8);
    if (ridge && (*ridge < band.low || *ridge > band.high)) {
      lines_.push_back(
          fmt::format("the ridge point of {} is {:.3g} operations a byte; devices of class {} lie between {:g} "
                      "and {:g}: is a unit slipped?",
                      ToString(rate->format), *ridge, machine_.efficiency_class, band.low, band.high));
    }
    const std::optional<Figure>& power = machine_.limit_w ? machine_.limit_w : machine_.typical_w;
    if (!power) return;
    const double per_joule = rate->ops_per_s / power->value;
    if (per_joule < kOperationsAJoule.low || per_joule > kOperationsAJoule.high) {
      lines_.push_back(
          fmt::format("{:.3g} {} operations a joule lies outside {:g} to {:g}: milliwatts, or a rate of "
                      "another number of devices?",
                      per_joule, ToString(rate->format), kOperationsAJoule.low, kOperationsAJoule.high));
    }
  }

  void Links() {
    if (machine_.devices_per_server > 1 && machine_.topology == Topology::kNone) {
      lines_.push_back(fmt::format("server.devices = {} and topology = \"none\": how are they joined?",
                                   machine_.devices_per_server));
    }
    if (machine_.devices_per_server == 1 && machine_.link_bytes_per_s) {
      lines_.push_back("server.link_bytes_per_s joins one device to none: how many are there in a server?");
    }
    Above("server.link_bytes_per_s", machine_.link_bytes_per_s, "the bandwidth of the main memory",
          machine_.main_memory().bytes_per_s, "bits for bytes, or both directions, or all devices together?");
  }

  void Origins() {
    const std::vector<NamedFigure> figures = FiguresOf(machine_);
    const auto unsourced = std::count_if(figures.begin(), figures.end(),
                                         [](const NamedFigure& named) { return RestsOnNoSource(named.figure); });
    if (2 * static_cast<size_t>(unsourced) > figures.size()) {
      lines_.push_back(
          fmt::format("{} of {} figures are assumed: name the document that gives them", unsourced, figures.size()));
    }
  }

  const Machine& machine_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> RemarksOn(const Machine& machine) { return Remarks(machine).All(); }

std::vector<EstimateNeeds> NeedsOf(const Machine& machine) {
  const MemoryLevel& memory = machine.main_memory();
  std::vector<EstimateNeeds> needs;
  const auto add = [&needs](std::string estimate) -> std::vector<std::string>& {
    return needs.emplace_back(EstimateNeeds{std::move(estimate), {}}).missing;
  };
  const auto require = [](std::vector<std::string>& missing, bool has, const char* key) {
    if (!has) missing.emplace_back(key);
  };
  std::vector<std::string>& one = add("tokens/s of one device");
  require(one, memory.bytes_per_s.has_value(), "bytes_per_s of the last [[memory]]");
  require(one, machine.vector_ops_per_s.has_value(), "vector_ops_per_s");
  require(add("whether a model fits"), memory.capacity_bytes.has_value(), "capacity_bytes of the last [[memory]]");
  require(add("floating-point recipes and training"), machine.RateFor(Code::kBf16).has_value(),
          "bf16, f16 or f32 in [peak_ops_per_s]");
  std::vector<std::string>& server = add("several devices of a server");
  require(server, machine.devices_per_server > 1, "server.devices above 1");
  require(server, machine.link_bytes_per_s.has_value(), "server.link_bytes_per_s");
  std::vector<std::string>& servers = add("several servers");
  require(servers, machine.network_bytes_per_s.has_value(), "network.bytes_per_s");
  std::vector<std::string>& offload = add("weights or KV offloaded to a host");
  require(offload, machine.host_link_bytes_per_s.has_value(), "host.link_bytes_per_s");
  require(offload, machine.host_memory_bytes.has_value(), "host.memory_bytes");
  require(add("tokens/J"), machine.typical_w || machine.limit_w, "typical_w or limit_w");
  require(add("the space metric"), machine.transistors.has_value(), "transistors");
  require(add("$ a million tokens"), machine.price_usd_per_hour.has_value(), "price_usd_per_hour");
  return needs;
}

}  // namespace lodestone
