#include "timing/roofline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "program/registers.h"

namespace lodestone {
namespace {

double ValueOr(const std::optional<Figure>& figure, double otherwise) { return figure ? figure->value : otherwise; }

// How a collective over `devices` is laid: `inside` devices of a server that take part, `servers` of them.
struct Laid {
  int inside = 1, servers = 1;

  Laid(int devices, const DeviceRates& rates)
      : inside(std::min(devices, rates.devices_per_server)), servers((devices + inside - 1) / inside) {}
};

// `steps`: 2 of an all-reduce (scattering, gathering), 1 of an all-gather. Every device of a server carries its part of
// the bytes to the other servers, over its own way out.
double CollectiveSeconds(int steps, double bytes, int devices, const DeviceRates& rates) {
  const Laid laid(devices, rates);
  const double share = rates.factors.link;
  double seconds = rates.factors.collective_s * std::log2(devices);
  if (laid.inside > 1) {
    const int hops = rates.ring ? laid.inside - 1 : 1;
    seconds += steps * (hops * rates.link_latency_s +
                        (1.0 * (laid.inside - 1) / laid.inside) * bytes / (rates.link_bytes_per_s * share));
  }
  if (laid.servers > 1) {
    seconds += steps * (rates.network_latency_s + (1.0 * (laid.servers - 1) / laid.servers) * bytes / laid.inside /
                                                      (rates.network_bytes_per_s * share));
  }
  return seconds;
}

}  // namespace

std::string_view ToString(RooflineBound bound) {
  switch (bound) {
    case RooflineBound::kMatrix:
      return "matrix";
    case RooflineBound::kVector:
      return "vector";
    case RooflineBound::kMemory:
      return "memory";
    case RooflineBound::kLaunch:
      return "launch";
    case RooflineBound::kLink:
      return "link";
    case RooflineBound::kHost:
      return "host";
    case RooflineBound::kStep:
      return "step";
  }
  return "?";
}

const std::array<FactorField, kFactors>& FactorFields() {
  static constexpr std::array<FactorField, kFactors> kFields = {{
      {&Efficiency::matrix, &Factors::matrix},
      {&Efficiency::matrix_rows, &Factors::matrix_rows},
      {&Efficiency::memory, &Factors::memory},
      {&Efficiency::kv, &Factors::kv},
      {&Efficiency::attention, &Factors::attention},
      {&Efficiency::vector, &Factors::vector},
      {&Efficiency::link, &Factors::link},
      {&Efficiency::collective_s, &Factors::collective_s},
      {&Efficiency::launch_s, &Factors::launch_s},
      {&Efficiency::step_s, &Factors::step_s},
      {&Efficiency::sequence_s, &Factors::sequence_s},
      {&Efficiency::usable_memory, &Factors::usable_memory},
      {&Efficiency::heads_per_read, &Factors::heads_per_read},
      {&Efficiency::reserved_bytes, &Factors::reserved_bytes},
      {&Efficiency::run_s, &Factors::run_s},
  }};
  return kFields;
}

Factors FactorsOf(const Efficiency& efficiency) {
  Factors factors;
  for (const FactorField& field : FactorFields()) factors.*field.value = (efficiency.*field.figure).value;
  return factors;
}

Result<DeviceRates> DeviceRates::Of(const Machine& machine, const Efficiency& efficiency) {
  DeviceRates rates;
  rates.factors = FactorsOf(efficiency);
  for (size_t code = 0; code < rates.matrix_ops_per_s.size(); ++code) {
    if (BitsOf(static_cast<Code>(code)) == 0) break;
    if (const auto rate = machine.RateFor(static_cast<Code>(code))) rates.matrix_ops_per_s[code] = rate->ops_per_s;
  }
  rates.two_of_four_speedup = ValueOr(machine.sparse_speedup, 1);
  rates.vector_ops_per_s = ValueOr(machine.vector_ops_per_s, 0);
  const MemoryLevel& memory = machine.main_memory();
  if (!memory.bytes_per_s) {
    return Infeasible(
        fmt::format("{}: {} does not say how fast its memory '{}' is read, and an estimate needs it: give bytes_per_s",
                    machine.name, machine.file, memory.name));
  }
  rates.memory_bytes_per_s = memory.bytes_per_s->value;
  if (machine.memory.size() > 1) {
    const MemoryLevel& cache = machine.memory[machine.memory.size() - 2];
    if (cache.bytes_per_s && cache.capacity_bytes) {
      rates.cache_bytes_per_s = cache.bytes_per_s->value;
      rates.cache_bytes = cache.capacity_bytes->value;
    }
  }
  rates.host_bytes_per_s = ValueOr(machine.host_link_bytes_per_s, 0);
  // Devices without a link of their own meet over the host's root.
  rates.link_bytes_per_s = ValueOr(machine.link_bytes_per_s, rates.host_bytes_per_s);
  rates.link_latency_s = ValueOr(machine.link_latency_s, 0);
  rates.network_bytes_per_s = ValueOr(machine.network_bytes_per_s, 0);
  rates.network_latency_s = ValueOr(machine.network_latency_s, 0);
  rates.devices_per_server = machine.devices_per_server;
  rates.ring = machine.topology == Topology::kRing || machine.topology == Topology::kHost;
  return rates;
}

KernelClass ClassOf(const Op& op) {
  if (std::holds_alternative<Attend>(op)) return KernelClass::kAttention;
  return IsRowOperator(op) || std::holds_alternative<Embed>(op) || std::holds_alternative<Collective>(op)
             ? KernelClass::kRow
             : KernelClass::kProduct;
}

KernelWork KernelOf(const Op& op, const Work& work, const Load& load) {
  KernelWork kernel;
  kernel.kind = ClassOf(op);
  kernel.code = work.matrix_code;
  kernel.rows = load.rows;
  if (const auto* linear = std::get_if<Linear>(&op)) {
    if (linear->last_rows_only) kernel.rows = load.logit_rows;
    kernel.two_of_four = linear->sparsity.pattern == Sparsity::Pattern::kTwoOfFour;
  }
  if (const auto* experts = std::get_if<Experts>(&op)) {
    kernel.rows = std::max(1.0, kernel.rows * experts->per_token / experts->experts);
    kernel.two_of_four = experts->sparsity.pattern == Sparsity::Pattern::kTwoOfFour;
  }
  // Rows of one sequence share what they read; decoding has none to share with.
  if (const auto* attend = std::get_if<Attend>(&op); attend != nullptr && load.rows == load.sequences) {
    kernel.heads_per_kv = 1.0 * attend->heads / attend->kv_heads;
  }
  kernel.matrix_ops = static_cast<double>(work.matrix_ops);
  kernel.vector_ops = static_cast<double>(work.vector_ops);
  kernel.weight_bytes = static_cast<double>(work.weight_bytes());
  kernel.kv_bytes = static_cast<double>(work.kv_bytes());
  kernel.activation_bytes = static_cast<double>(work.activation_read_bytes + work.activation_write_bytes);
  return kernel;
}

OperatorTime TimeOf(const KernelWork& work, const DeviceRates& rates, bool launches) {
  const Factors& factors = rates.factors;
  const bool attention = work.kind == KernelClass::kAttention;
  OperatorTime time;
  if (work.matrix_ops > 0) {
    const double share = attention ? factors.attention : factors.matrix * work.rows / (work.rows + factors.matrix_rows);
    const double peak = rates.MatrixRate(work.code) * (work.two_of_four ? rates.two_of_four_speedup : 1);
    time.matrix_s = work.matrix_ops / (peak * share);
  }
  if (rates.vector_ops_per_s > 0) time.vector_s = work.vector_ops / (rates.vector_ops_per_s * factors.vector);
  const bool cached = work.activation_bytes <= rates.cache_bytes && rates.cache_bytes > 0;
  double bytes = work.weight_bytes + work.kv_bytes + (cached ? 0 : work.activation_bytes);
  if (attention && work.heads_per_kv > factors.heads_per_read) {
    bytes += work.kv_bytes * (work.heads_per_kv / factors.heads_per_read - 1);
  }
  time.memory_s = bytes / (rates.memory_bytes_per_s * (attention ? factors.kv : factors.memory));
  if (cached) time.memory_s += work.activation_bytes / (rates.cache_bytes_per_s * factors.memory);
  time.launch_s = launches ? factors.launch_s : 0;
  double busy = time.memory_s;
  if (time.matrix_s > busy) {
    busy = time.matrix_s;
    time.bound = RooflineBound::kMatrix;
  }
  if (time.vector_s > busy) {
    busy = time.vector_s;
    time.bound = RooflineBound::kVector;
  }
  if (time.launch_s > busy) time.bound = RooflineBound::kLaunch;
  time.seconds = busy + time.launch_s;
  return time;
}

OperatorTime TimeOf(const Op& op, const Work& work, const Load& load, const DeviceRates& rates, bool launches) {
  return TimeOf(KernelOf(op, work, load), rates, launches);
}

double AllReduceSeconds(double bytes, int devices, const DeviceRates& rates) {
  return devices > 1 ? CollectiveSeconds(2, bytes, devices, rates) : 0;
}

double AllGatherSeconds(double bytes, int devices, const DeviceRates& rates) {
  return devices > 1 ? CollectiveSeconds(1, bytes, devices, rates) : 0;
}

double AllToAllSeconds(double bytes, int devices, const DeviceRates& rates) {
  if (devices <= 1) return 0;
  const Laid laid(devices, rates);
  double seconds = rates.factors.collective_s * std::log2(devices);
  if (laid.inside > 1) {
    seconds +=
        rates.link_latency_s + bytes * (laid.inside - 1) / devices / (rates.link_bytes_per_s * rates.factors.link);
  }
  if (laid.servers > 1) {
    seconds += rates.network_latency_s +
               bytes * (devices - laid.inside) / devices / (rates.network_bytes_per_s * rates.factors.link);
  }
  return seconds;
}

double TransferSeconds(double bytes, bool network, const DeviceRates& rates) {
  const double rate = network ? rates.network_bytes_per_s : rates.link_bytes_per_s;
  const double latency = network ? rates.network_latency_s : rates.link_latency_s;
  return rates.factors.collective_s + latency + bytes / (rate * rates.factors.link);
}

Status CheckLinks(const Machine& machine, int devices) {
  if (devices <= 1) return {};
  if (devices > machine.devices_per_server && !machine.network_bytes_per_s) {
    return Infeasible(
        fmt::format("{} devices of {}: a server has {}, and {} names no network between servers (network.bytes_per_s)",
                    devices, machine.name, machine.devices_per_server, machine.file));
  }
  if (!machine.link_bytes_per_s && !machine.host_link_bytes_per_s && machine.devices_per_server > 1) {
    return Infeasible(fmt::format("{} devices of {}: {} names no link between them (server.link_bytes_per_s)", devices,
                                  machine.name, machine.file));
  }
  return {};
}

}  // namespace lodestone
