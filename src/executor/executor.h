// Computes a stage of the program: holds its weights and KV bytes, walks the operator list.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/weight_source.h"
#include "program/program.h"
#include "program/work.h"

namespace lodestone {

// One token of one sequence in a pass.
struct Row {
  uint32_t sequence = 0;  // row of the page table
  int32_t position = 0;
  int32_t token = 0;
  bool wants_logits = false;
};

// K and V of a whole page, copied to another one: a sequence that parts from another one takes its last page along.
struct PageCopy {
  int32_t from = 0, to = 0;
};

// One batch of rows, prefill chunks and decode tokens mixed, that travels through all stages. Rows of one sequence are
// in order of position. Without rows a pass is simulated only, and `load` alone says what it is.
struct Pass {
  uint64_t id = 0;
  Load load;
  std::span<const Row> rows;
  std::span<const int32_t> page_table;  // [sequences][pages_per_sequence]; page p holds positions 64 p … 64 p + 63
  int pages_per_sequence = 0;
  std::span<const PageCopy> page_copies = {};  // made in this order in every layer before the first row runs
};
// The load of a pass with rows.
Load LoadOf(std::span<const Row> rows);

// Row-major activations: the residual stream between stages, logits after the last.
struct Tensor {
  int rows = 0, width = 0;
  std::vector<float> data;
};

class Executor {
 public:
  virtual ~Executor() = default;

  // Once: packs the weights of `stages` and reserves `pages` KV pages for each.
  virtual Status Configure(std::span<const Stage> stages, const WeightSource& weights, int pages) = 0;

  // A stage's program is cut into sections at its collectives. Runs section `section` of stage `stage`: `in` is the
  // residual stream for section 0 (empty if the stage embeds), afterwards the gathered register; the result is the
  // residual stream, the logits of the rows that want them, or this rank's part of the register to gather. Rows,
  // positions, tokens and pages out of range are refused. Sections of one pass run in order, one pass at a time.
  virtual Result<Tensor> Run(int stage, int section, const Pass& pass, Tensor in) = 0;
  virtual int Sections(int stage) const = 0;

  virtual std::string Describe() const = 0;   // "CPU (avx512, 2 threads)"
  virtual int64_t ResidentBytes() const = 0;  // weights and KV as held
};

class ThreadPool;
class StepRecorder;

// `threads` outlives the executor. The instruction set is LODESTONE_ISA's or the best.
Result<std::unique_ptr<Executor>> MakeCpuExecutor(ThreadPool& threads);
// The same, for calibration: static quantisers work dynamically, need no step sizes, and tell `recorder` (which
// outlives the executor) the largest magnitude they met.
Result<std::unique_ptr<Executor>> MakeCalibratingExecutor(ThreadPool& threads, StepRecorder& recorder);

}  // namespace lodestone
