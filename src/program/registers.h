// Which registers an operator reads and writes, and how many bytes a row of each takes.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <span>

#include "program/program.h"

namespace lodestone {

struct RegisterUse {
  Reg reg = Reg::kStream;
  int64_t bytes_per_row = 0;  // codes and scales; floating point counts 4 a value, as the executors hold it
};

// At most two of each: Gate reads two, StoreKv reads two.
struct RegisterUses {
  std::array<RegisterUse, 2> read_storage, write_storage;
  int reads_count = 0, writes_count = 0;

  std::span<const RegisterUse> reads() const { return {read_storage.data(), static_cast<size_t>(reads_count)}; }
  std::span<const RegisterUse> writes() const { return {write_storage.data(), static_cast<size_t>(writes_count)}; }
};
RegisterUses UsesOf(const Op& op);

using RegSet = std::bitset<static_cast<size_t>(Reg::kCount)>;

// For each operator of a layer: the registers, without the residual stream, that a later operator reads.
std::vector<RegSet> LiveAfter(std::span<const Op> ops);

// Operators that treat each row by itself with no weight matrix, so that several of them can run as one pass over a
// row.
bool IsRowOperator(const Op& op);

}  // namespace lodestone
