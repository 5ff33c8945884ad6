#include "lab/quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lodestone {
namespace {

// log Σ exp(logits), in double.
double LogSumExp(std::span<const float> logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - max);
  return max + std::log(sum);
}

Status CheckFinite(std::span<const float> logits, int64_t position) {
  for (const float logit : logits) {
    if (!std::isfinite(logit)) return Invalid(fmt::format("a logit at position {} is {}", position, logit));
  }
  return {};
}

// Runs every window through each runner, chunk by chunk, and hands over the logits that predict token `next`:
// visit(position of the token in its window, next, [logits of each runner]).
template <typename Visit>
Status ForEachPrediction(std::span<PassRunner* const> runners, const TextWindows& text,
                         const std::function<void(int64_t)>& on_progress, const Visit& visit) {
  std::vector<Row> rows;
  std::vector<std::span<const float>> logits(runners.size());
  for (const std::vector<int32_t>& window : text.windows) {
    const auto last = static_cast<int32_t>(window.size()) - 1;  // predicted, never fed
    for (int32_t begin = 0; begin < last; begin += kTeacherForcingRows) {
      const int32_t end = std::min(last, begin + kTeacherForcingRows);
      rows.clear();
      for (int32_t i = begin; i < end; ++i) rows.push_back({.position = i, .token = window[i], .wants_logits = true});
      std::vector<Tensor> outputs;
      for (PassRunner* runner : runners) {
        LODESTONE_ASSIGN_OR_RETURN(Tensor output, runner->Run(rows));
        outputs.push_back(std::move(output));
      }
      for (int32_t i = begin; i < end; ++i) {
        for (size_t r = 0; r < runners.size(); ++r) {
          const auto width = static_cast<size_t>(outputs[r].width);
          logits[r] = std::span(outputs[r].data).subspan((i - begin) * width, width);
          LODESTONE_RETURN_IF_ERROR(CheckFinite(logits[r], i));
        }
        visit(window[i + 1], logits);
      }
      on_progress(end - begin);
    }
  }
  return {};
}

size_t TopOf(std::span<const float> logits) {
  return static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

int64_t TextWindows::predicted() const {
  int64_t count = 0;
  for (const std::vector<int32_t>& window : windows) count += static_cast<int64_t>(window.size()) - 1;
  return count;
}

Result<std::vector<int32_t>> EncodeText(const Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.Encode(text, {.add_special_tokens = false});
}

Result<TextWindows> CutWindows(const ModelConfig& config, std::span<const int32_t> tokens, int64_t context) {
  if (context < 2) return Invalid(fmt::format("windows of {} tokens, expected at least 2", context));
  if (context > config.max_positions) {
    return Infeasible(
        fmt::format("windows of {} tokens; '{}' has {} positions", context, config.name, config.max_positions));
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= config.vocab) {
      return Invalid(fmt::format("token {} of the text has id {}; '{}' has a vocabulary of {}", i, tokens[i],
                                 config.name, config.vocab));
    }
  }
  const size_t lead = config.bos_id ? 1 : 0;
  const size_t body = static_cast<size_t>(context) - lead;
  TextWindows text;
  for (size_t at = 0; at < tokens.size(); at += body) {
    std::vector<int32_t> window;
    if (config.bos_id) window.push_back(*config.bos_id);
    const auto part = tokens.subspan(at, std::min(body, tokens.size() - at));
    window.insert(window.end(), part.begin(), part.end());
    if (window.size() >= 2) text.windows.push_back(std::move(window));
  }
  if (text.windows.empty()) {
    return Invalid(fmt::format("the text has {} tokens: too few to predict one", tokens.size()));
  }
  return text;
}

Result<std::vector<double>> NegativeLogLikelihoods(PassRunner& runner, const TextWindows& text,
                                                   const std::function<void(int64_t)>& on_progress) {
  std::vector<double> nll;
  PassRunner* const runners[] = {&runner};
  LODESTONE_RETURN_IF_ERROR(ForEachPrediction(runners, text, on_progress, [&](int32_t next, auto logits) {
    nll.push_back(LogSumExp(logits[0]) - static_cast<double>(logits[0][static_cast<size_t>(next)]));
  }));
  return nll;
}

Result<LogitsComparison> CompareLogits(PassRunner& reference, PassRunner& candidate, const TextWindows& text,
                                       const std::function<void(int64_t)>& on_progress) {
  LogitsComparison comparison;
  PassRunner* const runners[] = {&reference, &candidate};
  bool same_vocabulary = true;
  LODESTONE_RETURN_IF_ERROR(ForEachPrediction(runners, text, on_progress, [&](int32_t next, auto logits) {
    const std::span<const float> p = logits[0], q = logits[1];
    if (p.size() != q.size()) {
      same_vocabulary = false;
      return;
    }
    const double p_norm = LogSumExp(p), q_norm = LogSumExp(q);
    double kl = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      const double log_p = p[i] - p_norm, log_q = q[i] - q_norm;
      kl += std::exp(log_p) * (log_p - log_q);
      comparison.largest_difference =
          std::max(comparison.largest_difference, std::abs(static_cast<double>(p[i]) - static_cast<double>(q[i])));
    }
    comparison.kl.push_back(kl);
    comparison.same_top += TopOf(p) == TopOf(q) ? 1 : 0;
    comparison.reference_nll.push_back(p_norm - static_cast<double>(p[static_cast<size_t>(next)]));
    comparison.candidate_nll.push_back(q_norm - static_cast<double>(q[static_cast<size_t>(next)]));
  }));
  if (!same_vocabulary) return Invalid("the two models have vocabularies of different sizes: nothing to compare");
  return comparison;
}

}  // namespace lodestone
