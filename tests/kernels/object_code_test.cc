// What the instruction-set files export and what instructions they hold, as the linker and the disassembler see them.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace lodestone::kernels {
namespace {

// Output of a command, or nothing where it does not run.
std::string OutputOf(const std::string& command) {
  std::string output;
  FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return output;
  std::array<char, 4096> buffer;
  while (const size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), n);
  return pclose(pipe) == 0 ? output : "";
}

// Lines of the archive's members: a line "avx2.cc.o:" or "avx2.cc.o:     file format ..." begins one.
std::map<std::string, std::vector<std::string>> LinesByMember(const std::string& output) {
  std::map<std::string, std::vector<std::string>> members;
  std::string member;
  for (size_t begin = 0; begin < output.size();) {
    const size_t end = output.find('\n', begin);
    const std::string line = output.substr(begin, end - begin);
    begin = end == std::string::npos ? output.size() : end + 1;
    const size_t object = line.find(".cc.o:");
    if (object != std::string::npos && line.find(' ') > object) {
      member = line.substr(0, object);
    } else {
      members[member].push_back(line);
    }
  }
  return members;
}

bool AnyLineHas(const std::vector<std::string>& lines, const std::string& text) {
  for (const std::string& line : lines) {
    if (line.find(text) != std::string::npos) return true;
  }
  return false;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

// The one symbol that each object exports.
const std::map<std::string, std::string> kExports = {
    {"reference", "kReferenceTable"},
    {"reference_gemm", "kReferenceGemm"},
    {"reference_training", "kReferenceTraining"},
    {"avx2", "kAvx2Table"},
    {"avx2_gemm", "kAvx2Gemm"},
    {"avx2_training", "kAvx2Training"},
    {"avx512", "kAvx512Table"},
    {"avx512_gemm", "kAvx512Gemm"},
    {"avx512_training", "kAvx512Training"},
    {"amx", "kAmxMatmuls"},
    {"amx_gemm", "kAmxBf16Gemm"},
    {"amx_training", "kAmxAttention"},
};

// A weak symbol compiled with AVX-512 may be the copy that the linker keeps for code that runs without it.
TEST(ObjectCode, EachIsaExportsItsTableAndNothingWeak) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer adds symbols of its own";
  const std::string output = OutputOf("nm -C '" LODESTONE_KERNELS_ARCHIVE "'");
  if (output.empty()) GTEST_SKIP() << "nm cannot be run";
  auto members = LinesByMember(output);
  for (const auto& [object, table] : kExports) {
    if (members[object].empty()) continue;  // not an x86 build
    std::vector<std::string> exported;
    for (const std::string& line : members[object]) {
      // "address type name"; an undefined symbol has spaces for an address.
      const size_t type = line.find_first_not_of("0123456789abcdef ");
      if (type == std::string::npos || line[type] == 'U') continue;
      EXPECT_EQ(std::string("WwVvuCi").find(line[type]), std::string::npos) << object << ": weak symbol: " << line;
      if (line[type] >= 'A' && line[type] <= 'Z') exported.push_back(line);
    }
    ASSERT_EQ(exported.size(), 1u) << object << (exported.size() > 1 ? ": " + exported[1] : "");
    EXPECT_NE(exported[0].find("lodestone::kernels::" + table), std::string::npos) << exported[0];
  }
  for (const char* object : {"reference", "reference_gemm", "reference_training"}) {
    EXPECT_FALSE(members[object].empty()) << "the archive has no object " << object;
  }
}

TEST(ObjectCode, EachIsaHoldsItsInstructionsAndTheDispatcherNone) {
  const std::string output = OutputOf("objdump -d --no-show-raw-insn '" LODESTONE_KERNELS_ARCHIVE "'");
  if (output.empty()) GTEST_SKIP() << "objdump cannot be run";
  auto members = LinesByMember(output);
  if (members["avx512"].empty()) GTEST_SKIP() << "not an x86 build";
  for (const char* object : {"avx512", "avx512_gemm", "avx512_training", "amx_training"}) {
    EXPECT_TRUE(AnyLineHas(members[object], "%zmm")) << object;
  }
  EXPECT_TRUE(AnyLineHas(members["avx512"], "vpdpbusd"));
  for (const char* tiles : {"ldtilecfg", "tileloadd", "tdpbssd", "tilestored", "tilerelease"}) {
    EXPECT_TRUE(AnyLineHas(members["amx"], tiles)) << tiles;
    EXPECT_FALSE(AnyLineHas(members["avx512"], tiles)) << tiles;
  }
  EXPECT_TRUE(AnyLineHas(members["amx_gemm"], "tdpbf16ps"));
  for (const char* object : {"avx2", "avx2_gemm", "avx2_training"}) {
    EXPECT_TRUE(AnyLineHas(members[object], "%ymm")) << object;
    EXPECT_FALSE(AnyLineHas(members[object], "%zmm")) << object;
  }
  EXPECT_TRUE(AnyLineHas(members["avx2"], "vpmaddubsw"));
  for (const char* plain : {"reference", "reference_gemm", "reference_training", "dispatch", "training_table"}) {
    EXPECT_FALSE(members[plain].empty()) << plain;
    EXPECT_FALSE(AnyLineHas(members[plain], "%ymm")) << plain;
    EXPECT_FALSE(AnyLineHas(members[plain], "%zmm")) << plain;
  }
}

}  // namespace
}  // namespace lodestone::kernels
