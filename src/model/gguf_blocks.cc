#include "model/gguf_blocks.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace lodestone {
namespace {

constexpr auto kCodes = std::to_array<GgufCode>({
    {0, "F32", 1, 4, ExpandF32},
    {1, "F16", 1, 2, ExpandF16},
    {30, "BF16", 1, 2, ExpandBf16},
    {8, "Q8_0", 32, 34, ExpandQ8_0},
    {2, "Q4_0", 32, 18, ExpandQ4_0},
    {3, "Q4_1", 32, 20, ExpandQ4_1},
    {6, "Q5_0", 32, 22, ExpandQ5_0},
    {7, "Q5_1", 32, 24, ExpandQ5_1},
    {12, "Q4_K", 256, 144, ExpandQ4_K},
    {13, "Q5_K", 256, 176, ExpandQ5_K},
    {14, "Q6_K", 256, 210, ExpandQ6_K},
});

// Types that files have and this reader does not expand.
constexpr auto kForeign = std::to_array<std::pair<uint32_t, const char*>>({
    {9, "Q8_1"},    {10, "Q2_K"},  {11, "Q3_K"},    {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
    {20, "IQ4_NL"}, {19, "IQ1_S"}, {18, "IQ3_XXS"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
    {24, "I8"},     {25, "I16"},   {26, "I32"},     {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},
    {34, "TQ1_0"},  {35, "TQ2_0"}, {39, "MXFP4"},   {40, "NVFP4"},
});

}  // namespace

const GgufCode* FindGgufCode(uint32_t id) {
  for (const GgufCode& code : kCodes) {
    if (code.id == id) return &code;
  }
  return nullptr;
}

std::string GgufTypeName(uint32_t id) {
  if (const GgufCode* code = FindGgufCode(id)) return code->name;
  for (const auto& [foreign, name] : kForeign) {
    if (foreign == id) return name;
  }
  return fmt::format("type {}", id);
}

std::string ReadableGgufTypes() {
  std::string names;
  for (const GgufCode& code : kCodes) names += fmt::format("{}{}", names.empty() ? "" : ", ", code.name);
  return names;
}

}  // namespace lodestone
