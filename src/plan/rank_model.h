// One rank's part of a model on equal devices of another machine, as the kernels that such machines launch.
//
// Tensor parallelism here is that of Megatron-LM (M. Shoeybi et al., arXiv 1909.08053), which only estimates know: the
// projections into attention and MLP are split by columns, those out of them by inputs, so that each device ends with a
// partial sum and every layer has two all-reduces. (Our own appliances gather instead: program/program.h.) KV heads
// fewer than ranks are held by several ranks. Experts are split like an MLP, or whole experts lie on a rank each
// (expert parallelism): ranks of one copy of the model have all its rows, and only add; where experts are spread over
// several copies, their rows travel by an all-to-all before and after.
#pragma once

#include <string>
#include <vector>

#include "plan/deployment.h"
#include "program/program.h"
#include "program/work.h"
#include "timing/roofline.h"

namespace lodestone {

// Operators that one launch runs: fused row operators; products of the same input; a conversion between floating
// formats belongs to the kernel before it.
struct Kernel {
  std::string name;                        // "qkv", "attention", "norm"
  size_t segment = 0, begin = 0, end = 0;  // operators of the rank's program
  int prompt_runs = 1, runs = 1;           // of a pass over prompts; of a decoding step, on average (early exit)
  bool in_layer = false;                   // not before or behind the layers
  bool logits = false;                     // computed for rows whose logits are wanted
  bool experts = false;
  bool partial_sums = false;            // an all-reduce follows
  bool launches = true;                 // else a part of the next layer's first kernel
  double activation_bytes_per_row = 0;  // floating registers in the format of the residual stream
};

struct RankModel {
  Program program;
  std::vector<Kernel> kernels;  // in program order
  Residency residency;          // of all layers on one rank, embedding tables included in code_bytes
  Residency layer, ends;        // one layer; the rest; buffers as floating registers of the stream's format
  int layers = 0;               // resident
  int layers_run = 0;           // of a decoding step, on average
  int reduces_per_layer = 0;
  double rows_to_experts = 1;           // rows that experts see ÷ rows of a copy: those of other copies come, too
  double all_to_all_bytes_per_row = 0;  // of each of the two exchanges around the experts of a layer; 0: none
  double stream_bytes_per_row = 0;      // what an all-reduce or a transfer between stages carries
  double logit_bytes_per_row = 0;       // of all ranks together
};

// kInvalid: ranks that do not divide heads or widths, with the numbers.
Result<RankModel> RankModelOf(const ModelConfig& config, const Recipe& recipe, const Parallelism& parallelism,
                              const Methods& methods);

// What one run of the kernel does.
KernelWork WorkOf(const RankModel& model, const Kernel& kernel, const Load& load);

}  // namespace lodestone
