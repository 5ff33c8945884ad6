#include "lab/inference_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace lodestone {
namespace {

// A token for every place: any will do, since times of dense models do not depend on the values.
int32_t TokenAt(uint32_t sequence, int64_t position, int vocab) {
  const uint64_t mixed = (static_cast<uint64_t>(position) * 31 + sequence + 1) * 0x9E3779B97F4A7C15ull;
  return static_cast<int32_t>((mixed >> 33) % static_cast<uint64_t>(vocab));
}

Row RowAt(int sequence, int64_t position, int vocab, bool wants_logits) {
  const auto s = static_cast<uint32_t>(sequence);
  return {.sequence = s,
          .position = static_cast<int32_t>(position),
          .token = TokenAt(s, position, vocab),
          .wants_logits = wants_logits};
}

double Share(double amount, double rate) { return rate > 0 ? amount / rate : 0; }

}  // namespace

std::string InferenceCase::Name() const {
  const std::string behind = depth > 0 ? fmt::format(" @ d{}", depth) : "";
  return prompt_tokens > 0 ? fmt::format("pp{}{}", prompt_tokens, behind) : fmt::format("tg{}{}", tokens, behind);
}

double Rates::OperationsPerSecond(Code code) const { return IsInteger(code) ? int8_ops_per_s : f32_ops_per_s; }

std::vector<double> CaseResult::tokens_per_s() const {
  std::vector<double> rates;
  for (const double s : seconds) rates.push_back(test.tokens_of_all() / s);
  return rates;
}

std::vector<std::vector<Row>> PassesOf(const InferenceCase& test, int prefill_chunk, int vocab) {
  std::vector<std::vector<Row>> passes;
  if (test.tokens > 0) {
    for (int64_t t = 0; t < test.tokens; ++t) {
      std::vector<Row>& pass = passes.emplace_back();
      for (int user = 0; user < test.batch; ++user) pass.push_back(RowAt(user, test.depth + t, vocab, true));
    }
    return passes;
  }
  for (int user = 0; user < test.batch; ++user) {
    for (int64_t t = 0; t < test.prompt_tokens; ++t) {
      if (passes.empty() || passes.back().size() == static_cast<size_t>(prefill_chunk)) passes.emplace_back();
      passes.back().push_back(RowAt(user, test.depth + t, vocab, t + 1 == test.prompt_tokens));
    }
  }
  return passes;
}

CaseWork WorkOfPass(const Program& program, std::span<const Row> rows, const Rates& rates) {
  const Load load = LoadOf(rows);
  CaseWork work;
  for (const Segment& segment : program.segments) {
    for (size_t i = 0; i < segment.ops.size(); ++i) {
      const Work op = WorkOf(segment, i, load);
      if (op.on_host) continue;  // one row of a table a token
      work.weight_bytes += static_cast<double>(op.weight_bytes()) * segment.repeat;
      work.kv_bytes += static_cast<double>(op.kv_bytes()) * segment.repeat;
      const double operations = static_cast<double>(op.matrix_ops) * segment.repeat;
      work.operations += operations;
      work.compute_seconds += Share(operations, rates.OperationsPerSecond(op.matrix_code));
    }
  }
  const double bytes = work.weight_bytes + work.kv_bytes;
  const bool cached = bytes <= static_cast<double>(rates.l3_bytes) && rates.l3_bytes_per_s > 0;
  work.memory_seconds = Share(bytes, cached ? rates.l3_bytes_per_s : rates.dram_bytes_per_s);
  work.limit_seconds = std::max(work.memory_seconds, work.compute_seconds);
  return work;
}

InferenceBench::InferenceBench(PassRunner& runner, const ModelConfig& config, std::vector<InferenceCase> cases,
                               int prefill_chunk, const Rates& rates)
    : runner_(runner), config_(config), prefill_chunk_(prefill_chunk), rates_(rates), meter_(EnergyMeter::Open()) {
  int users = 1;
  for (InferenceCase& test : cases) {
    users = std::max(users, test.batch);
    CaseResult& result = results_.emplace_back();
    result.test = test;
    for (const std::vector<Row>& pass : PassesOf(test, prefill_chunk, config.vocab)) {
      const CaseWork work = WorkOfPass(runner.program(), pass, rates);
      result.work.weight_bytes += work.weight_bytes;
      result.work.kv_bytes += work.kv_bytes;
      result.work.operations += work.operations;
      result.work.memory_seconds += work.memory_seconds;
      result.work.compute_seconds += work.compute_seconds;
      result.work.limit_seconds += work.limit_seconds;
    }
  }
  filled_.assign(static_cast<size_t>(users), 0);
}

Status InferenceBench::FillTo(const InferenceCase& test) {
  std::vector<int32_t> tokens;
  for (int user = 0; user < test.batch; ++user) {
    int64_t& filled = filled_[static_cast<size_t>(user)];
    if (filled >= test.depth) continue;
    tokens.clear();
    for (int64_t p = filled; p < test.depth; ++p) {
      tokens.push_back(TokenAt(static_cast<uint32_t>(user), p, config_.vocab));
    }
    LODESTONE_RETURN_IF_ERROR(runner_.Feed(static_cast<uint32_t>(user), filled, tokens));
    filled = test.depth;
  }
  return {};
}

Status InferenceBench::RunCase(CaseResult& result, int64_t tokens_at_most, bool keep) {
  InferenceCase test = result.test;
  test.tokens = std::min(test.tokens, tokens_at_most);
  LODESTONE_RETURN_IF_ERROR(FillTo(test));
  const std::vector<std::vector<Row>> passes = PassesOf(test, prefill_chunk_, config_.vocab);
  if (meter_.ok()) static_cast<void>(meter_->JoulesSinceLast());
  const auto start = std::chrono::steady_clock::now();
  for (const std::vector<Row>& pass : passes) LODESTONE_RETURN_IF_ERROR(runner_.Run(pass).status());
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  if (!keep) return {};
  result.seconds.push_back(elapsed.count());
  if (!meter_.ok()) {
    result.joules_reason = meter_.error().message;
    return {};
  }
  const Result<double> joules = meter_->JoulesSinceLast();
  if (joules.ok()) {
    result.joules = result.joules.value_or(0) + *joules;
  } else {
    result.joules_reason = joules.error().message;
  }
  return {};
}

Status InferenceBench::WarmUp() {
  constexpr int64_t kTokens = 2;
  for (CaseResult& result : results_) LODESTONE_RETURN_IF_ERROR(RunCase(result, kTokens, false));
  return {};
}

Status InferenceBench::Repeat() {
  for (CaseResult& result : results_) LODESTONE_RETURN_IF_ERROR(RunCase(result, result.test.tokens, true));
  return {};
}

}  // namespace lodestone
