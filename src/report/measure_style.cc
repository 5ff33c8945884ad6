#include "report/measure_style.h"

#include <algorithm>

namespace lodestone {
namespace {

constexpr MeasureStyle kStyles[] = {
    {"tokens_generated", "Tokens generated", 1, "tokens", "", 1, ""},
    {"prompt_time_s", "Prompt time", 1, "", "", 1, "s"},
    {"token_gen_time_s", "Token generation time", 1, "", "", 1, "s"},
    {"system_throughput_tokens_per_s", "System throughput", 1, "tokens/s", "", 1, "tokens/s"},
    {"throughput_tokens_per_s_per_card", "Throughput a card", 1, "tokens/s", "", 1, "tokens/s"},
    {"latency_s_per_token", "Latency", 1, "", "/token", 1e3, "ms a token"},
    {"space_metric_tokens_per_s_per_transistor", "Space metric", 1e9, "tokens/s per 1e9 transistors", "", 1e9,
     "tokens/s per 1e9 transistors"},
    {"energy_metric_tokens_per_j", "Energy metric", 1, "tokens/J", "", 1, "tokens/J"},
    {"ttft_s", "Time to first token", 1, "", "", 1e3, "ms"},
    {"itl_s", "Time between tokens", 1, "", "", 1e3, "ms"},
};

}  // namespace

std::span<const MeasureStyle> MeasureStyles() { return kStyles; }

const MeasureStyle* StyleOf(std::string_view measure) {
  const auto* found = std::find_if(std::begin(kStyles), std::end(kStyles),
                                   [&](const MeasureStyle& style) { return style.name == measure; });
  return found == std::end(kStyles) ? nullptr : found;
}

}  // namespace lodestone
