#include "learn/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace lodestone {
namespace {

// Gradients are summed over the ranks in pieces of at least this much: large enough that a message's latency is small
// beside its bytes, small enough that the first is under way long before the backward pass ends.
constexpr int64_t kSendFloats = int64_t{1} << 20;  // 4 MiB
constexpr size_t kMostIntervals = 100'000;

// Pieces begin where parameters do, so that a piece is final as soon as its first parameter is.
std::vector<int64_t> PiecesOf(const Parameters& parameters) {
  std::vector<int64_t> begins;
  auto end = static_cast<int64_t>(parameters.all_values().size());
  const std::span<const Parameter> list = parameters.list();
  for (size_t i = list.size(); i-- > 0;) {
    if (end - list[i].offset < kSendFloats) continue;
    begins.push_back(list[i].offset);
    end = list[i].offset;
  }
  if (begins.empty() || begins.back() != 0) begins.push_back(0);
  return begins;
}

}  // namespace

Trainer::Trainer(const TrainerParts& parts, const TrainerOptions& options, AdamW optimizer)
    : parts_(parts), options_(options), optimizer_(std::move(optimizer)), pieces_(PiecesOf(*parts.parameters)) {}

Result<std::unique_ptr<Trainer>> Trainer::Make(const TrainerParts& parts, const TrainerOptions& options) {
  const int ranks = parts.reducer->ranks();
  if (options.sequences_a_step % ranks != 0) {
    return Invalid(
        fmt::format("{} sequences a step (micro_batch × gradient_accumulation) cannot be shared by {} ranks; take a "
                    "multiple of {}",
                    options.sequences_a_step, ranks, ranks));
  }
  LODESTONE_ASSIGN_OR_RETURN(AdamW optimizer, AdamW::Make(*parts.parameters, options.optimizer));
  if (parts.masks != nullptr) parts.masks->Apply(*parts.parameters, parts.parameters->all_values());
  return std::unique_ptr<Trainer>(new Trainer(parts, options, std::move(optimizer)));
}

template <typename Work>
auto Trainer::Timed(const char* name, const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  auto result = work();
  if (intervals_.size() < kMostIntervals) intervals_.push_back({name, begin, std::chrono::steady_clock::now()});
  return result;
}

std::vector<Trainer::Interval> Trainer::TakeIntervals() { return std::exchange(intervals_, {}); }

// Sequences first, first + stride, …, `count` of them, as the next batch.
void Trainer::ReadBatch(const BatchOrder& order, int64_t first, int64_t stride, int64_t count) {
  const auto length = static_cast<size_t>(order.length());
  tokens_.resize(static_cast<size_t>(count) * length);
  targets_.resize(tokens_.size());
  for (int64_t i = 0; i < count; ++i) {
    const size_t at = static_cast<size_t>(i) * length;
    order.Read(first + i * stride, std::span(tokens_).subspan(at, length), std::span(targets_).subspan(at, length));
  }
  batch_ = {.sequences = static_cast<int>(count), .length = order.length(), .tokens = tokens_, .targets = targets_};
}

// Step sizes of quantisers start from the values that a first batch meets: the same batch on every rank.
Status Trainer::InitialiseSteps() {
  const std::span<const Parameter> list = parts_.parameters->list();
  const bool quantised =
      std::any_of(list.begin(), list.end(), [](const Parameter& p) { return p.role != ParameterRole::kTensor; });
  if (!quantised) return {};
  ReadBatch(*parts_.order, 0, 1, std::min<int64_t>(options_.micro_batch, options_.sequences_a_step));
  return parts_.differentiator->Evaluate(batch_).status();
}

// This rank's sequences of the step; gradients of the last micro-batch are sent off while its backward runs.
Result<Loss> Trainer::AccumulateShare() {
  Reducer& reducer = *parts_.reducer;
  const int64_t ranks = reducer.ranks(), share = options_.sequences_a_step / ranks;
  const int64_t first = step_ * options_.sequences_a_step + reducer.rank();
  const auto scale = static_cast<float>(
      1.0 / (static_cast<double>(options_.sequences_a_step) * static_cast<double>(parts_.order->length())));
  const std::span<float> gradients = parts_.parameters->all_gradients();

  auto end = static_cast<int64_t>(gradients.size());
  size_t next = 0;
  Status begun;
  const auto send = [&](int64_t final_from) {
    for (; next < pieces_.size() && pieces_[next] >= final_from && begun.ok(); ++next) {
      begun = reducer.Begin(
          gradients.subspan(static_cast<size_t>(pieces_[next]), static_cast<size_t>(end - pieces_[next])));
      end = pieces_[next];
    }
  };
  Loss loss;
  for (int64_t done = 0; done < share; done += batch_.sequences) {
    ReadBatch(*parts_.order, first + done * ranks, ranks, std::min<int64_t>(options_.micro_batch, share - done));
    const bool last = done + batch_.sequences == share;
    const GradientsReady ready = last && ranks > 1 ? GradientsReady(send) : GradientsReady();
    LODESTONE_ASSIGN_OR_RETURN(const Loss part, parts_.differentiator->Accumulate(batch_, scale, ready));
    loss.nats += part.nats;
    loss.tokens += part.tokens;
  }
  if (ranks > 1) send(0);
  LODESTONE_RETURN_IF_ERROR(begun);
  return loss;
}

Result<Trainer::StepReport> Trainer::Step(bool stop) {
  Reducer& reducer = *parts_.reducer;
  Parameters& parameters = *parts_.parameters;
  const auto work = [&]() -> Result<StepReport> {
    if (step_ == 0) LODESTONE_RETURN_IF_ERROR(InitialiseSteps());
    parameters.ZeroGradients();
    LODESTONE_ASSIGN_OR_RETURN(const Loss loss, Timed("forward and backward", [&] { return AccumulateShare(); }));
    LODESTONE_RETURN_IF_ERROR(Timed("reduce", [&] { return reducer.Finish(); }));
    const std::array<double, 3> mine = {loss.nats, static_cast<double>(loss.tokens), stop ? 1.0 : 0.0};
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<double> sums, reducer.Sum(mine));
    const double mean = sums[0] / sums[1];
    if (!std::isfinite(mean)) return Invalid(fmt::format("the loss is {}", mean));
    if (parts_.masks != nullptr) parts_.masks->Apply(parameters, parameters.all_gradients());
    LODESTONE_ASSIGN_OR_RETURN(const AdamW::Report update, Timed("update", [&] {
                                 return optimizer_.Step(parameters, step_, options_.steps, 1, *parts_.threads);
                               }));
    return StepReport{.step = step_ + 1,
                      .loss = mean,
                      .gradient_norm = update.gradient_norm,
                      .learning_rate = update.learning_rate,
                      .tokens = static_cast<int64_t>(sums[1]),
                      .stop = sums[2] > 0};
  };
  Result<StepReport> report = work();
  if (!report.ok()) {
    const Error error{report.error().code, fmt::format("step {}: {}", step_ + 1, report.error().message)};
    reducer.Leave(error.message);
    return error;
  }
  step_ = report->step;
  return report;
}

Result<Loss> Trainer::Evaluate(const BatchOrder& order, int64_t sequences) {
  Reducer& reducer = *parts_.reducer;
  const int64_t ranks = reducer.ranks();
  Loss loss;
  for (int64_t first = reducer.rank(); first < sequences; first += ranks * batch_.sequences) {
    const int64_t left = (sequences - first + ranks - 1) / ranks;
    ReadBatch(order, first, ranks, std::min<int64_t>(options_.micro_batch, left));
    const Result<Loss> part = parts_.differentiator->Evaluate(batch_);
    if (!part.ok()) {
      reducer.Leave(part.error().message);
      return Error{part.error().code, fmt::format("evaluation after step {}: {}", step_, part.error().message)};
    }
    loss.nats += part->nats;
    loss.tokens += part->tokens;
  }
  const std::array<double, 2> mine = {loss.nats, static_cast<double>(loss.tokens)};
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<double> sums, reducer.Sum(mine));
  return Loss{.nats = sums[0], .tokens = static_cast<int64_t>(sums[1])};
}

Status Trainer::Agree(const Status& mine) {
  if (!mine.ok()) {
    parts_.reducer->Leave(mine.error().message);
    return mine;
  }
  const double nothing = 0;
  return parts_.reducer->Sum({&nothing, 1}).status();
}

}  // namespace lodestone
