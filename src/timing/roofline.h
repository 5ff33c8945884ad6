// How long one kernel takes on a device that is known by its rates alone: the roofline (S. Williams, A. Waterman and
// D. Patterson, CACM 52(4), 2009) over matrix units, elementwise units and memory, and what starting it costs.
//
// A device reaches a share of its data sheet (hardware/efficiency.h). With rows r of a product,
//   matrix  = operations / (peak × matrix × r / (r + matrix_rows))     attention: operations / (peak × attention)
//   vector  = elementwise steps / (rate × vector)                      no rate known: by bytes alone
//   memory  = bytes / (bandwidth × memory)                             attention: bytes / (bandwidth × kv), KV counted
//                                                                      max(1, query heads a KV head / heads_per_read) ×
//   kernel  = max(matrix, vector, memory) + launch_s
// Activations of a kernel that fit the memory before the last one (a cache) move at its rate, others at the last one's.
// A collective over n devices takes collective_s × log₂ n + hops × latency + bytes that a device sends / (link rate ×
// link); a transfer collective_s + latency + bytes / (link rate × link).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "hardware/efficiency.h"
#include "hardware/machine.h"
#include "program/program.h"
#include "program/work.h"

namespace lodestone {

// What a step waits for. kStep: the scheduler, sampling, the host; kHost: the link to the host's memory.
enum class RooflineBound : uint8_t { kMatrix, kVector, kMemory, kLaunch, kLink, kHost, kStep };
std::string_view ToString(RooflineBound bound);  // "matrix", "vector", "memory", "launch", "link", "host", "step"

// The values of an Efficiency as plain numbers, fields of the same names.
struct Factors {
  double matrix = 1, matrix_rows = 0, memory = 1, kv = 1, attention = 1, vector = 1, link = 1;
  double collective_s = 0, launch_s = 0, step_s = 0, sequence_s = 0, usable_memory = 1;
  double heads_per_read = 1024, reserved_bytes = 0, run_s = 0;

  friend bool operator==(const Factors&, const Factors&) = default;
};
Factors FactorsOf(const Efficiency& efficiency);

struct FactorField {
  Figure Efficiency::*figure;
  double Factors::*value;
};
// Every factor, in the order of EfficiencyFields.
inline constexpr size_t kFactors = 15;
const std::array<FactorField, kFactors>& FactorFields();

// One device: its data sheet as plain numbers, and the share of it that it reaches. Made once an estimate; everything
// else is arithmetic.
struct DeviceRates {
  std::array<double, 16> matrix_ops_per_s{};              // by Code of the wider operand; 0: no unit
  double two_of_four_speedup = 1;                         // of products whose weights are sparse in that pattern
  double vector_ops_per_s = 0;                            // 0: not known
  double memory_bytes_per_s = 0;                          // of the level that holds weights and KV
  double cache_bytes_per_s = 0, cache_bytes = 0;          // of the level before it; 0: none that is known
  double link_bytes_per_s = 0, link_latency_s = 0;        // between devices of a server; 0: none
  double network_bytes_per_s = 0, network_latency_s = 0;  // between servers; 0: none
  double host_bytes_per_s = 0;                            // to and from the memory of the host; 0: not known
  int devices_per_server = 1;
  bool ring = false;  // devices reach their neighbours alone: a collective takes as many hops as there are devices
  Factors factors;

  // kInfeasible: a memory whose bandwidth the file does not give.
  static Result<DeviceRates> Of(const Machine& machine, const Efficiency& efficiency);
  double MatrixRate(Code code) const { return matrix_ops_per_s[static_cast<size_t>(code)]; }
};

// Which share of the data sheet a kernel reaches.
enum class KernelClass : uint8_t {
  kProduct,    // linear layers: `matrix` and `memory`
  kAttention,  // `attention` and `kv`
  kRow,        // elementwise, a row at a time: `vector` and `memory`
};
KernelClass ClassOf(const Op& op);

// What one launch does.
struct KernelWork {
  KernelClass kind = KernelClass::kRow;
  Code code = Code::kF32;    // of the matrix operations
  bool two_of_four = false;  // Sparsity::Pattern::kTwoOfFour
  double heads_per_kv = 1;   // of attention
  double rows = 0;           // of the product; of experts, those of one expert on average        // of the product
  double matrix_ops = 0, vector_ops = 0;
  double weight_bytes = 0, kv_bytes = 0, activation_bytes = 0;
  double bytes() const { return weight_bytes + kv_bytes + activation_bytes; }
};
KernelWork KernelOf(const Op& op, const Work& work, const Load& load);

struct OperatorTime {
  double seconds = 0;
  double matrix_s = 0, vector_s = 0, memory_s = 0, launch_s = 0;  // each alone; what overlaps is not added
  RooflineBound bound = RooflineBound::kMemory;
};
// `launches` without a launch: a part of another kernel. The device has a unit for the work's format (MatrixRate > 0).
OperatorTime TimeOf(const KernelWork& work, const DeviceRates& rates, bool launches = true);
OperatorTime TimeOf(const Op& op, const Work& work, const Load& load, const DeviceRates& rates, bool launches = true);

// Every device of `devices` ends with the sum of what all of them had: a reduce-scatter and an all-gather, so that each
// sends 2 (n − 1) / n of the bytes (P. Patarasuk and X. Yuan, JPDC 2009). Over m servers of d devices: scattered and
// gathered inside, reduced between, each device carrying its d-th over the network, as NCCL does:
//   2 (d − 1) / d × bytes / link + 2 (m − 1) / m × bytes / d / network
double AllReduceSeconds(double bytes, int devices, const DeviceRates& rates);
// Each of `devices` has bytes / n and ends with all: half of the above.
double AllGatherSeconds(double bytes, int devices, const DeviceRates& rates);
// Each of `devices` sends an n-th of its `bytes` to every other.
double AllToAllSeconds(double bytes, int devices, const DeviceRates& rates);
// From one device to another; `network`: of another server.
double TransferSeconds(double bytes, bool network, const DeviceRates& rates);

// kInfeasible: no link between `devices` of this machine is known.
Status CheckLinks(const Machine& machine, int devices);

}  // namespace lodestone
