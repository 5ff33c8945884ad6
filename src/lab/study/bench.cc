#include "lab/study/bench.h"

#include <fmt/format.h>

#include "host/process_memory.h"
#include "kernels/dispatch.h"
#include "lab/study/session.h"

namespace lodestone {
namespace {

using Timed = TrainingSession::Timed;

void Count(const Timed& timed, StudyResult& result) {
  result.wall_s += timed.seconds;
  result.cpu_s += timed.cpu_seconds;
}

Status RunSteps(TrainingSession& session, const StudyClock& clock, StudyResult& result) {
  const auto accumulation = static_cast<double>(result.test.accumulation);
  for (int64_t step = 0; step < clock.warmup + clock.repetitions; ++step) {
    const bool keep = step >= clock.warmup;
    if (keep) {
      LODESTONE_ASSIGN_OR_RETURN(const Timed forward, session.Forward());
      result.forward_s.push_back(forward.seconds * accumulation);
      Count(forward, result);
    }
    LODESTONE_ASSIGN_OR_RETURN(const Timed timed, session.Step());
    if (step == 0) result.first_loss = timed.loss.mean();
    result.last_loss = timed.loss.mean();
    ++result.steps;
    if (!keep) continue;
    result.step_s.push_back(timed.seconds);
    Count(timed, result);
    result.optimizer_s.push_back(timed.optimizer_seconds);
    if (result.ranks > 1) result.reduce_s.push_back(timed.reduce_seconds);
  }
  return {};
}

Status RunBlock(TrainingSession& session, const StudyClock& clock, StudyResult& result) {
  for (int64_t i = 0; i < clock.warmup + clock.repetitions; ++i) {
    LODESTONE_ASSIGN_OR_RETURN(const Timed forward, session.Forward());
    LODESTONE_ASSIGN_OR_RETURN(const Timed both, session.ForwardBackward());
    if (i < clock.warmup) continue;
    result.forward_s.push_back(forward.seconds);
    result.step_s.push_back(both.seconds);
    Count(forward, result);
    Count(both, result);
  }
  return {};
}

Status RunTrained(const StudyClock& clock, ThreadPool& threads, Reducer& reducer, StudyResult& result) {
  const StudyCase& test = result.test;
  LODESTONE_ASSIGN_OR_RETURN(const std::unique_ptr<TrainingSession> session,
                             TrainingSession::Make(test, clock.seed, threads, reducer));
  result.sparsity = session->masks().level();
  if (test.model == kBlockModel) {
    LODESTONE_RETURN_IF_ERROR(RunBlock(*session, clock, result));
  } else {
    LODESTONE_RETURN_IF_ERROR(RunSteps(*session, clock, result));
  }
  result.activation_bytes = session->activation_bytes();
  if (test.sparsity.pattern == SparsityPattern::kTileBlocks) {
    LODESTONE_ASSIGN_OR_RETURN(result.mlp, TimeMlp(*session, test, clock, threads));
  }
  return {};
}

}  // namespace

Result<StudyResult> RunStudyCase(const StudyCase& test, const StudyClock& clock, ThreadPool& threads,
                                 Reducer& reducer) {
  LODESTONE_ASSIGN_OR_RETURN(const kernels::KernelTable* table, kernels::SelectFromEnvironment());
  StudyResult result{.test = test, .isa = table->isa, .threads = threads.threads(), .ranks = reducer.ranks()};
  Status status;
  if (test.model == kBlockModel && test.integer()) {
    status = TimeExecutor(clock, result);
  } else {
    status = RunTrained(clock, threads, reducer, result);
  }
  // One rank that gives up must not leave the others waiting: with several, every error ends the run.
  if (!status.ok() && (status.error().code != ErrorCode::kInfeasible || reducer.ranks() > 1)) return status.error();
  if (!status.ok()) result.reason = status.error().message;
  result.peak_resident_bytes = PeakResidentBytes();
  return result;
}

}  // namespace lodestone
