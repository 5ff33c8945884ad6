// Runs a small model through executors in whatever way a test wants: cut, sharded, chunked, batched.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <vector>

#include "executor/executor.h"
#include "host/thread_pool.h"
#include "program/program.h"

namespace lodestone::testing {

// Ranks of one stage, each on an executor of its own.
struct Step {
  std::vector<std::unique_ptr<Executor>> ranks;
};

class Runner {
 public:
  struct Options {
    std::vector<int> cuts;  // parts between which stages are cut; empty: one stage
    int of = 1;             // ranks of every stage
    bool fuse = false;
    int threads = 1;
    int pages = 64;
  };

  Runner(const ModelConfig& config, const Recipe& recipe, const WeightSource& weights, Options options)
      : threads_(options.threads) {
    Program program = *Describe(config, recipe);
    if (options.fuse) program = Fuse(std::move(program));
    std::vector<int> bounds = {0};
    for (int cut : options.cuts) bounds.push_back(cut);
    bounds.push_back(PartCount(program));
    for (size_t i = 0; i + 1 < bounds.size(); ++i) {
      Step step;
      for (int rank = 0; rank < options.of; ++rank) {
        const auto stage = MakeStage(program, bounds[i], bounds[i + 1], rank, options.of);
        EXPECT_TRUE(stage.ok()) << (stage.ok() ? "" : stage.error().message);
        auto executor = MakeCpuExecutor(threads_);
        EXPECT_TRUE(executor.ok());
        const Status status = (*executor)->Configure(std::span(&*stage, 1), weights, options.pages);
        EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
        step.ranks.push_back(*std::move(executor));
      }
      steps_.push_back(std::move(step));
    }
  }

  // Logits of the rows that want them, [rows][vocab] row after row.
  std::vector<float> Run(const Pass& pass) {
    Tensor stream;
    for (Step& step : steps_) {
      std::vector<Tensor> out;
      for (int section = 0; section < step.ranks[0]->Sections(0); ++section) {
        out.clear();
        for (auto& rank : step.ranks) {
          auto result = rank->Run(0, section, pass, stream);
          EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
          if (!result.ok()) return {};
          out.push_back(*std::move(result));
        }
        const bool last = section + 1 == step.ranks[0]->Sections(0);
        const bool logits = last && &step == &steps_.back();
        stream = last && !logits ? out[0] : Gather(out);
      }
    }
    return stream.data;
  }

  // A page table of `sequences` sequences that takes pages in an order of its own.
  static std::vector<int32_t> Pages(int sequences, int pages_per_sequence) {
    std::vector<int32_t> table(static_cast<size_t>(sequences * pages_per_sequence));
    std::iota(table.rbegin(), table.rend(), 0);
    return table;
  }

 private:
  static Tensor Gather(const std::vector<Tensor>& parts) {
    Tensor whole{.rows = parts[0].rows, .width = 0, .data = {}};
    for (const Tensor& part : parts) whole.width += part.width;
    for (int r = 0; r < whole.rows; ++r) {
      for (const Tensor& part : parts) {
        const auto begin = part.data.begin() + static_cast<std::ptrdiff_t>(r) * part.width;
        whole.data.insert(whole.data.end(), begin, begin + part.width);
      }
    }
    return whole;
  }

  ThreadPool threads_;
  std::vector<Step> steps_;
};

// One sequence of `tokens`, logits of every row wanted.
inline std::vector<Row> RowsOf(const std::vector<int32_t>& tokens, uint32_t sequence = 0) {
  std::vector<Row> rows;
  for (size_t i = 0; i < tokens.size(); ++i) {
    rows.push_back(
        {.sequence = sequence, .position = static_cast<int32_t>(i), .token = tokens[i], .wants_logits = true});
  }
  return rows;
}

inline std::vector<int32_t> SomeTokens(int count, int vocab, uint32_t seed) {
  std::vector<int32_t> tokens;
  uint32_t state = seed * 2654435761u + 1;
  for (int i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    tokens.push_back(static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(vocab)));
  }
  return tokens;
}

}  // namespace lodestone::testing
