#include "lab/study/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/split_mix.h"
#include "host/cpu.h"
#include "lab/study/stopwatch.h"
#include "learn/training_cost.h"
#include "model/weight_source.h"
#include "program/program.h"

namespace lodestone {
namespace {

constexpr int64_t kPieceBytes = 4 << 20;
// A schedule that no benchmark outlasts: the rate stays as it is.
constexpr int64_t kSteps = 1 << 20;

}  // namespace

std::vector<int32_t> SeededTokens(uint64_t seed, uint64_t index, int64_t length, int vocab) {
  // A power of two below the vocabulary, then an id between it and the next: each octave of ids is equally likely.
  const auto octaves = static_cast<uint64_t>(std::bit_width(static_cast<uint32_t>(vocab)));
  const uint64_t stream = Mix(Mix(seed) ^ index);
  std::vector<int32_t> ids(static_cast<size_t>(length));
  for (size_t i = 0; i < ids.size(); ++i) {
    const uint64_t random = Mix(stream + i);
    const uint64_t base = uint64_t{1} << (random % octaves);
    const uint64_t id = base - 1 + (random >> 32) % base;
    ids[i] = static_cast<int32_t>(id % static_cast<uint64_t>(vocab));
  }
  return ids;
}

Result<std::unique_ptr<TrainingSession>> TrainingSession::Make(const StudyCase& test, uint64_t seed,
                                                               ThreadPool& threads, Reducer& reducer) {
  LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, ParseRecipe(test.recipe));
  LODESTONE_ASSIGN_OR_RETURN(const Program program, Describe(test.config, recipe));
  LODESTONE_RETURN_IF_ERROR(CheckTrainingMemory(
      fmt::format("{} at {} × {}", test.model, test.batch, test.sequence),
      MemoryOfTraining(test.config, program, test.batch * test.sequence, test.recompute), DescribeHost().memory_bytes));
  std::unique_ptr<TrainingSession> session(new TrainingSession(test, seed, threads, reducer));
  LODESTONE_ASSIGN_OR_RETURN(session->parameters_, Parameters::Make(test.config, recipe));
  LODESTONE_RETURN_IF_ERROR(session->parameters_->Load(*RandomWeights(test.config, seed)));
  LODESTONE_ASSIGN_OR_RETURN(session->masks_, SparsityMasks::Make(*session->parameters_, test.sparsity));
  session->masks_.Apply(*session->parameters_, session->parameters_->all_values());
  DifferentiatorOptions options{.recompute = test.recompute, .block_mask = {}};
  if (test.sparsity.pattern == SparsityPattern::kTileBlocks) {
    options.block_mask = [masks = &session->masks_](const WeightId& id) { return masks->Blocks(id); };
  }
  LODESTONE_ASSIGN_OR_RETURN(
      session->differentiator_,
      Differentiator::Make(session->test_.config, recipe, *session->parameters_, threads, std::move(options)));
  return session;
}

Batch TrainingSession::BatchAt(int64_t ahead) {
  const int64_t length = test_.sequence, first = (step_ * test_.accumulation + ahead) * test_.batch;
  ids_.clear();
  targets_.clear();
  for (int64_t b = 0; b < test_.batch; ++b) {
    const auto index = static_cast<uint64_t>((first + b) * reducer_.ranks() + reducer_.rank());
    const std::vector<int32_t> ids = SeededTokens(seed_, index, length + 1, test_.config.vocab);
    ids_.insert(ids_.end(), ids.begin(), ids.end() - 1);
    targets_.insert(targets_.end(), ids.begin() + 1, ids.end());
  }
  return {.sequences = static_cast<int>(test_.batch),
          .length = static_cast<int>(length),
          .tokens = ids_,
          .targets = targets_};
}

GradientsReady TrainingSession::Sender() {
  const std::span<float> all = parameters_->all_gradients();
  sent_ = static_cast<int64_t>(all.size());
  send_status_ = {};
  return [this, all](int64_t begin) {
    const int64_t floats = sent_ - begin;
    if (!send_status_.ok() || floats == 0 || (begin > 0 && floats * int64_t{sizeof(float)} < kPieceBytes)) return;
    send_status_ = reducer_.Begin(all.subspan(static_cast<size_t>(begin), static_cast<size_t>(floats)));
    sent_ = begin;
  };
}

Result<TrainingSession::Timed> TrainingSession::Forward() {
  const Batch batch = BatchAt(0);
  const Stopwatch watch;
  LODESTONE_ASSIGN_OR_RETURN(const Loss loss, differentiator_->Evaluate(batch));
  return Timed{.seconds = watch.Seconds(), .cpu_seconds = watch.CpuSeconds(), .loss = loss};
}

Result<TrainingSession::Timed> TrainingSession::ForwardBackward() {
  const Batch batch = BatchAt(0);
  parameters_->ZeroGradients();
  const float scale = 1 / static_cast<float>(test_.sequence * test_.batch);
  const Stopwatch watch;
  LODESTONE_ASSIGN_OR_RETURN(const Loss loss, differentiator_->Accumulate(batch, scale, {}));
  return Timed{.seconds = watch.Seconds(), .cpu_seconds = watch.CpuSeconds(), .loss = loss};
}

Result<TrainingSession::Timed> TrainingSession::Step() {
  if (!optimizer_) {
    LODESTONE_ASSIGN_OR_RETURN(optimizer_, AdamW::Make(*parameters_, {.cosine = false}));
  }
  // The loss is the mean over all tokens of the step, on all ranks.
  const float scale = 1 / static_cast<float>(test_.tokens_per_step() * reducer_.ranks());
  Timed timed;
  const Stopwatch whole;
  parameters_->ZeroGradients();
  for (int64_t g = 0; g < test_.accumulation; ++g) {
    const bool last = g + 1 == test_.accumulation;
    const Batch batch = BatchAt(g);
    const GradientsReady ready = last && reducer_.ranks() > 1 ? Sender() : GradientsReady();
    LODESTONE_ASSIGN_OR_RETURN(const Loss loss, differentiator_->Accumulate(batch, scale, ready));
    timed.loss.nats += loss.nats;
    timed.loss.tokens += loss.tokens;
  }
  if (reducer_.ranks() > 1) {
    const Stopwatch waiting;
    LODESTONE_RETURN_IF_ERROR(send_status_);
    if (sent_ > 0) {
      LODESTONE_RETURN_IF_ERROR(reducer_.Begin(parameters_->all_gradients().first(static_cast<size_t>(sent_))));
    }
    LODESTONE_RETURN_IF_ERROR(reducer_.Finish());
    timed.reduce_seconds = waiting.Seconds();
    const double mine[] = {timed.loss.nats, static_cast<double>(timed.loss.tokens)};
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<double> sums, reducer_.Sum(mine));
    timed.loss = {.nats = sums[0], .tokens = static_cast<int64_t>(sums[1])};
  }
  const Stopwatch update;
  if (test_.sparsity.pattern != SparsityPattern::kTileBlocks) {  // dropped blocks have no gradient
    masks_.Apply(*parameters_, parameters_->all_gradients());
  }
  LODESTONE_RETURN_IF_ERROR(optimizer_->Step(*parameters_, step_, kSteps, 1, threads_).status());
  timed.optimizer_seconds = update.Seconds();
  timed.seconds = whole.Seconds();
  timed.cpu_seconds = whole.CpuSeconds();
  ++step_;
  return timed;
}

}  // namespace lodestone
