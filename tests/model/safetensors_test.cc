#include "model/safetensors.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "model/safetensors_builder.h"

namespace lodestone {
namespace {

using testing::AsBytes;
using testing::BytesOf;
using testing::RawSafetensors;
using testing::SafetensorsBuilder;

std::string ErrorOf(const std::string& file) {
  const auto tensors = ParseSafetensors(AsBytes(file), "m.safetensors");
  return tensors.ok() ? "accepted" : tensors.error().message;
}

// One F32 tensor "w" of two values, with the header's text as given.
std::string ErrorOfHeader(std::string_view header, size_t data_bytes = 8) {
  return ErrorOf(RawSafetensors(header, std::string(data_bytes, '\0')));
}

void ExpectRefused(const std::string& message, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << "expected '" << part << "' in: " << message;
  }
}

std::vector<float> AllValues(const TensorView& tensor, size_t count) {
  std::vector<float> values(count);
  ReadValues(tensor, 0, values);
  return values;
}

TEST(SafetensorsTest, ReadsF32F16AndBf16Exactly) {
  const std::vector<float> f32 = {0.0f, -0.0f, 1.5f, -3.4028235e38f, 1e-45f, 0.1f};
  const std::vector<uint16_t> f16 = {0x0000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x3555};
  const std::vector<uint16_t> bf16 = {0x3f80, 0xc000, 0x0001, 0x7f7f, 0x3dcd};
  const std::string file = SafetensorsBuilder()
                               .AddF32("a", {2, 3}, f32)
                               .Add("b", "F16", {7}, BytesOf(f16))
                               .Add("c", "BF16", {5, 1}, BytesOf(bf16))
                               .Build();
  const auto tensors = ParseSafetensors(AsBytes(file), "m.safetensors");
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  ASSERT_EQ(tensors->size(), 3u);

  EXPECT_EQ((*tensors)[0].name, "a");
  EXPECT_EQ((*tensors)[0].type, TensorType::kF32);
  EXPECT_EQ((*tensors)[0].shape, (std::vector<int64_t>{2, 3}));
  const std::vector<float> a = AllValues((*tensors)[0], 6);
  for (size_t i = 0; i < f32.size(); ++i) EXPECT_EQ(std::bit_cast<uint32_t>(a[i]), std::bit_cast<uint32_t>(f32[i]));

  EXPECT_EQ((*tensors)[1].type, TensorType::kF16);
  // 2^-24 is the smallest subnormal; 1023 × 2^-24 the largest; 0x3555 = 1365 × 2^-12.
  const std::vector<float> expected_b = {
      0.0f, 1.0f, -2.0f, 65504.0f, std::ldexp(1.0f, -24), std::ldexp(1023.0f, -24), std::ldexp(1365.0f, -12)};
  EXPECT_EQ(AllValues((*tensors)[1], 7), expected_b);

  EXPECT_EQ((*tensors)[2].type, TensorType::kBf16);
  const std::vector<float> c = AllValues((*tensors)[2], 5);
  for (size_t i = 0; i < bf16.size(); ++i) EXPECT_EQ(std::bit_cast<uint32_t>(c[i]), uint32_t{bf16[i]} << 16);
}

TEST(SafetensorsTest, ReadsWithAStrideAndAtAnOddAddress) {
  // A header of odd length puts the data at an odd offset.
  const std::string header = R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";
  const std::string odd = header + (header.size() % 2 == 0 ? " " : "");
  const std::string file = RawSafetensors(odd, BytesOf(std::vector<float>{0, 1, 2, 3, 4, 5}));
  const auto tensors = ParseSafetensors(AsBytes(file), "m");
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  std::vector<float> column(2);
  ReadValues(tensors->front(), 1, column, 3);
  EXPECT_EQ(column, (std::vector<float>{1, 4}));
  std::vector<float> run(3);
  ReadValues(tensors->front(), 2, run);
  EXPECT_EQ(run, (std::vector<float>{2, 3, 4}));
}

TEST(SafetensorsTest, AcceptsScalarsEmptyTensorsOtherDtypesMetadataAndAnyOrder) {
  const std::string file = RawSafetensors(R"({"__metadata__":{"format":"pt"},)"
                                          R"("late":{"dtype":"BOOL","shape":[3],"data_offsets":[4,7]},)"
                                          R"("none":{"dtype":"F16","shape":[0,9],"data_offsets":[4,4]},)"
                                          R"("one":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   )",
                                          std::string(7, '\1'));
  const auto tensors = ParseSafetensors(AsBytes(file), "m");
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  ASSERT_EQ(tensors->size(), 3u);
  EXPECT_EQ((*tensors)[0].type, TensorType::kOther);
  EXPECT_EQ((*tensors)[0].dtype, "BOOL");
  EXPECT_EQ((*tensors)[1].data.size(), 0u);
  EXPECT_EQ((*tensors)[2].data.size(), 4u);
}

TEST(SafetensorsTest, RefusesTruncatedFiles) {
  const std::string whole = SafetensorsBuilder().AddF32("w", {2}, {1, 2}).Build();
  ASSERT_EQ(ErrorOf(whole), "accepted");
  for (size_t length = 0; length < whole.size(); ++length) {
    ExpectRefused(ErrorOf(whole.substr(0, length)), {"m.safetensors", "truncated"});
  }
}

TEST(SafetensorsTest, RefusesHeadersThatAreTooLong) {
  std::string file = RawSafetensors("{}", "");
  const uint64_t length = 100'000'001;
  std::memcpy(file.data(), &length, sizeof length);
  ExpectRefused(ErrorOf(file), {"100000001", "100000000", "not a safetensors file"});
}

TEST(SafetensorsTest, RefusesBadJson) {
  ExpectRefused(ErrorOfHeader(R"({"w":)"), {"m.safetensors (header)"});
  ExpectRefused(ErrorOfHeader("[]"), {"the header is an array, expected an object"});
  ExpectRefused(ErrorOfHeader(R"({"__metadata__":{"a":1}})"), {"__metadata__", "'a'", "expected a string"});
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                              R"("w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"),
                {"w"});
}

TEST(SafetensorsTest, RefusesEntriesWithMissingUnknownOrMistypedKeys) {
  ExpectRefused(ErrorOfHeader(R"({"w":{"shape":[2],"data_offsets":[0,8]}})"), {"tensor 'w'", "'dtype'"});
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"scale":1}})"),
                {"tensor 'w'", "'scale'", "unknown"});
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})"), {"tensor 'w'", "shape"});
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})"), {"tensor 'w'", "-2"});
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4,8]}})"),
                {"tensor 'w'", "data_offsets", "3 entries"});
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,1e30]}})"),
                {"tensor 'w'", "data_offsets"});
  ExpectRefused(ErrorOfHeader(R"({"w":3})"), {"tensor 'w'", "expected an object"});
}

TEST(SafetensorsTest, RefusesUnknownDtypes) {
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F4","shape":[2],"data_offsets":[0,8]}})"),
                {"tensor 'w'", "'F4'", "BF16"});
}

TEST(SafetensorsTest, RefusesShapesThatDoNotFitTheData) {
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})"),
                {"tensor 'w'", "[3]", "F32", "8 bytes"});
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,8]}})"), {"[2]", "BF16"});
  // 2^32 × 2^32 values are 0 modulo 2^64.
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0),
                {"tensor 'w'", "4294967296"});
}

TEST(SafetensorsTest, RefusesOffsetsThatAreReversedOverlapOrLeaveHoles) {
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})"),
                {"'w'", "[8, 0]", "reversed"});
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})"),
                {"'w'", "[0, 12]", "truncated"});
  ExpectRefused(ErrorOfHeader(R"({"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                              R"("w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"),
                {"'w'", "[4, 8]", "overlaps", "'v'", "[0, 8]"});
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"),
                {"[0, 4]", "no tensor", "'w'"});
  ExpectRefused(ErrorOfHeader(R"({"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                              R"("w":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
                              12),
                {"[4, 8]", "no tensor", "'w'"});
  ExpectRefused(ErrorOfHeader(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})"), {"[4, 8]", "at the end"});
  ExpectRefused(ErrorOfHeader("{}"), {"[0, 8]", "at the end"});
}

}  // namespace
}  // namespace lodestone
