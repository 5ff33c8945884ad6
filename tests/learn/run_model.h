// Models that tests of learn/ quantise and run.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "executor/executor.h"
#include "host/thread_pool.h"
#include "learn/quantize_model.h"
#include "model/recipe.h"
#include "program/program.h"

namespace lodestone::testing {

// A quantised model held in memory: takes what QuantizeModel makes, and is a source that hands the very codes on.
class StoredModel final : public QuantizedSink, public WeightSource {
 public:
  Status Begin(const ModelConfig& config) override {
    config_ = config;
    return {};
  }
  Status Add(const QuantizedMatrix& m) override {
    const auto [slot, fresh] = matrices_.try_emplace(Key(m.id, m.matrix.format));
    EXPECT_TRUE(fresh) << ToString(m.id) << " came twice";
    auto copy = AllocatePacked(m.matrix);
    if (!copy.ok()) return copy.error();
    slot->second = std::make_unique<PackedMatrix>(*std::move(copy));
    std::copy_n(m.matrix.codes.data(), m.matrix.codes.size(), slot->second->codes.data());
    std::copy_n(m.matrix.scales.data(), m.matrix.scales.size(), slot->second->scales.data());
    std::copy_n(m.matrix.multipliers.data(), m.matrix.multipliers.size(), slot->second->multipliers.data());
    return {};
  }
  Status Add(const WeightId& id, std::span<const float> vector) override {
    EXPECT_TRUE(vectors_.try_emplace({id.kind, id.layer}, vector.begin(), vector.end()).second) << ToString(id);
    return {};
  }

  Status ReadRow(const WeightId& id, int64_t, std::span<float> out) const override {
    const auto found = vectors_.find({id.kind, id.layer});
    if (found == vectors_.end() || found->second.size() != out.size()) return NotFound("no " + ToString(id));
    std::copy(found->second.begin(), found->second.end(), out.begin());
    return {};
  }
  Status ReadPanels(const WeightId& id, int64_t, int begin, int end, PackedMatrix& matrix) const override {
    const PackedMatrix* stored = Find(id, matrix.format);
    if (stored == nullptr) return NotFound("no " + ToString(id) + " in " + ToString(matrix.format));
    return PackCodesOrValues(*stored, begin, end, matrix);
  }
  std::string Describe() const override { return "stored in memory"; }

  const PackedMatrix* Find(const WeightId& id, const Format& format) const {
    const auto found = matrices_.find(Key(id, format));
    return found == matrices_.end() ? nullptr : found->second.get();
  }
  const ModelConfig& config() const { return config_; }
  size_t matrices() const { return matrices_.size(); }
  size_t vectors() const { return vectors_.size(); }

 private:
  static std::pair<std::string, std::string> Key(const WeightId& id, const Format& format) {
    return {ToString(id), ToString(format)};
  }
  static Status PackCodesOrValues(const PackedMatrix& from, int begin, int end, PackedMatrix& to) {
    if (!IsInteger(from.format.code)) {
      const auto read = [&](int o, std::span<float> row) {
        UnpackRow(from, o, row);
        return Status();
      };
      return PackPanels(begin, end, read, to);
    }
    const auto read = [&](int o, QuantizedRow& row) {
      UnpackCodes(from, o, row);
      return Status();
    };
    return PackCodePanels(begin, end, read, to);
  }

  ModelConfig config_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<PackedMatrix>> matrices_;
  std::map<std::pair<WeightKind, int>, std::vector<float>> vectors_;
};

// A whole model on this host that is given tokens of one sequence.
class RunningModel {
 public:
  RunningModel(const ModelConfig& config, const std::string& recipe, const WeightSource& weights, int threads = 1)
      : threads_(threads) {
    const Program program = *lodestone::Describe(config, *ParseRecipe(recipe));
    stage_ = *MakeStage(program, 0, PartCount(program));
    executor_ = *MakeCpuExecutor(threads_);
    const Status status = executor_->Configure(std::span(&stage_, 1), weights, kPages);
    EXPECT_TRUE(status.ok()) << status.error().message;
    page_table_.resize(kPages);
    std::iota(page_table_.begin(), page_table_.end(), 0);
  }

  // Logits [tokens][vocab] of `tokens` at positions from `first` on.
  std::vector<float> Logits(std::span<const int32_t> tokens, int first = 0) {
    std::vector<Row> rows;
    for (const int32_t token : tokens) {
      rows.push_back({.position = first + static_cast<int>(rows.size()), .token = token, .wants_logits = true});
    }
    Pass pass{.id = 0, .load = LoadOf(rows), .rows = rows, .page_table = page_table_, .pages_per_sequence = kPages};
    auto out = executor_->Run(0, 0, pass, {});
    EXPECT_TRUE(out.ok()) << out.error().message;
    return std::move(out->data);
  }

 private:
  static constexpr int kPages = 8;  // 512 positions
  ThreadPool threads_;
  Stage stage_;
  std::unique_ptr<Executor> executor_;
  std::vector<int32_t> page_table_;
};

// −log p of every token under a row of logits, in nats.
inline std::vector<double> Surprises(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - largest);
  std::vector<double> surprises;
  for (const float logit : logits) surprises.push_back(std::log(sum) + largest - double{logit});
  return surprises;
}

// Mean over rows of Σ p log(p / q), in nats: what is lost by predicting with `actual` where `exact` is the truth.
inline double Divergence(std::span<const float> exact, std::span<const float> actual, size_t vocab) {
  double sum = 0;
  for (size_t at = 0; at < exact.size(); at += vocab) {
    const std::vector<double> p = Surprises(exact.subspan(at, vocab)), q = Surprises(actual.subspan(at, vocab));
    for (size_t i = 0; i < vocab; ++i) sum += std::exp(-p[i]) * (q[i] - p[i]);
  }
  return sum * static_cast<double>(vocab) / static_cast<double>(exact.size());
}

inline std::vector<int32_t> RandomTokens(int count, int vocab, uint64_t seed) {
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    tokens.push_back(static_cast<int32_t>((seed >> 33) % static_cast<uint64_t>(vocab)));
  }
  return tokens;
}

// Text that the model itself writes: tokens drawn from its own distribution.
inline std::vector<int32_t> SampleText(RunningModel& model, int32_t begin, int count, uint64_t seed) {
  std::vector<int32_t> tokens = {begin};
  while (static_cast<int>(tokens.size()) < count) {
    const std::vector<double> surprises =
        Surprises(model.Logits(std::span(tokens).last(1), static_cast<int>(tokens.size()) - 1));
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    double left = static_cast<double>(seed >> 11) * 0x1.0p-53;
    int32_t token = 0;
    while (token + 1 < static_cast<int32_t>(surprises.size()) && (left -= std::exp(-surprises[token])) > 0) ++token;
    tokens.push_back(token);
  }
  return tokens;
}

}  // namespace lodestone::testing
