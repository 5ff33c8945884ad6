#include "model/gguf.h"

#include <gtest/gtest.h>

#include "model/checkpoint_fixture.h"
#include "model/gguf_builder.h"

namespace lodestone {
namespace {

using testing::AsBytes;
using testing::ExpectParts;
using testing::GgufBuilder;
using testing::RawBytes;

std::string ErrorOf(const std::string& bytes) {
  const auto file = ParseGguf(AsBytes(bytes), "model.gguf");
  return file.ok() ? "accepted" : file.error().message;
}

TEST(GgufTest, ReadsEveryKindOfValueAndTheTensors) {
  GgufBuilder builder;
  builder.U32("a.count", 7)
      .F32("a.epsilon", 1e-5f)
      .Bool("a.flag", true)
      .Text("a.name", "Ġ")
      .Texts("a.list", {"x", "yz"});
  builder.Raw("a.long", 10, RawBytes(uint64_t{1} << 40)).Raw("a.byte", 1, RawBytes(int8_t{-3}));
  builder.TensorF32("b", {2, 3}, {1, 2, 3, 4, 5, 6}).TensorF32("a", {3}, {7, 8, 9});
  const std::string bytes = builder.Build();
  const auto file = ParseGguf(AsBytes(bytes), "model.gguf");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->metadata.Dump(-1), R"({"a.count":7,"a.epsilon":1e-05,"a.flag":true,"a.name":"Ġ","a.list":["x","yz"],)"
                                     R"("a.long":1099511627776,"a.byte":-3})");
  ASSERT_EQ(file->tensors.size(), 2u);
  EXPECT_EQ(file->tensors[0].name, "a");
  const GgufTensor* b = file->Find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->shape, (std::vector<int64_t>{2, 3}));
  std::vector<float> row(3);
  b->Read(3, row);
  EXPECT_EQ(row, (std::vector<float>{4, 5, 6}));
  EXPECT_EQ(file->Find("c"), nullptr);
}

TEST(GgufTest, ReadsVersion2AndAStatedAlignment) {
  GgufBuilder builder;
  builder.version = 2;
  builder.alignment = 64;
  builder.U32("general.alignment", 64).TensorF32("a", {1}, {5}).TensorF32("b", {1}, {6});
  const std::string bytes = builder.Build();
  const auto file = ParseGguf(AsBytes(bytes), "model.gguf");
  ASSERT_TRUE(file.ok()) << file.error().message;
  float value = 0;
  file->Find("b")->Read(0, {&value, 1});
  EXPECT_EQ(value, 6);
}

TEST(GgufTest, EveryTruncationOfTheHeaderIsRefused) {
  GgufBuilder builder;
  builder.U32("a", 1).Texts("b", {"x", "y"}).TensorF32("t", {2, 2}, {1, 2, 3, 4});
  const std::string whole = builder.Build();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ParseGguf(AsBytes(whole.substr(0, size)), "model.gguf").ok()) << size;
  }
}

TEST(GgufTest, RefusesWhatIsNotThisFormat) {
  ExpectParts(ErrorOf("PK\x03\x04 and more bytes than a header has"), {"model.gguf", "begins with", "expected 'GGUF'"});
  GgufBuilder old;
  old.version = 1;
  ExpectParts(ErrorOf(old.Build()), {"GGUF version 1", "only 2 and 3", "convert"});
  GgufBuilder swapped;
  swapped.version = 0x03000000;
  ExpectParts(ErrorOf(swapped.Build()), {"big-endian"});
}

TEST(GgufTest, RefusesCountsAndLengthsWithoutRoom) {
  ExpectParts(ErrorOf("GGUF" + RawBytes(uint32_t{3}) + RawBytes(uint64_t{1000}) + RawBytes(uint64_t{0})),
              {"1000 tensors are claimed", "no room"});
  ExpectParts(ErrorOf("GGUF" + RawBytes(uint32_t{3}) + RawBytes(~uint64_t{0}) + RawBytes(uint64_t{0})),
              {"tensors are claimed; the limit is"});
  ExpectParts(ErrorOf(GgufBuilder().Array("a", testing::kGgufText, uint64_t{1} << 30, "").Build()),
              {"values of key 'a'", "limit"});
  ExpectParts(ErrorOf(GgufBuilder().Array("a", testing::kGgufText, 1000, "").Build()), {"key 'a'", "no room"});
  ExpectParts(ErrorOf(GgufBuilder().Raw("a", testing::kGgufText, RawBytes(uint64_t{1} << 50)).Build()),
              {"key 'a'", "a string of 1125899906842624 bytes"});
}

TEST(GgufTest, RefusesWrongValues) {
  ExpectParts(ErrorOf(GgufBuilder().Raw("a", 13, "").Build()), {"key 'a'", "type 13", "expected 0 to 12"});
  ExpectParts(ErrorOf(GgufBuilder().Array("a", 13, 0, "").Build()), {"key 'a'", "array of type 13"});
  ExpectParts(ErrorOf(GgufBuilder().Raw("a", testing::kGgufBool, "\x02").Build()), {"key 'a'", "expected 0 or 1"});
  ExpectParts(ErrorOf(GgufBuilder().U32("a", 1).U32("a", 1).Build()), {"key 'a'", "twice"});
  ExpectParts(ErrorOf(GgufBuilder().U32("general.alignment", 24).Build()), {"general.alignment", "24", "power of two"});
  std::string nested;
  for (int i = 0; i < 6; ++i) nested += RawBytes(testing::kGgufArray) + RawBytes(uint64_t{1});
  ExpectParts(ErrorOf(GgufBuilder().Raw("a", testing::kGgufArray, nested).Build()), {"nest deeper than 4"});
}

TEST(GgufTest, RefusesWrongTensors) {
  const auto tensor = [](uint32_t type, const std::vector<int64_t>& shape, std::string_view bytes = "") {
    return ErrorOf(GgufBuilder().Tensor("t", type, shape, bytes).Build());
  };
  ExpectParts(tensor(11, {1, 256}), {"tensor 't'", "Q3_K", "not read", "Q4_0"});
  ExpectParts(tensor(99, {1, 256}), {"tensor 't'", "type 99"});
  ExpectParts(tensor(testing::kTensorQ4_0, {32, 20}), {"rows of 20 values", "blocks of 32"});
  ExpectParts(tensor(0, {}), {"0 dimensions"});
  ExpectParts(tensor(0, {1, 1, 1, 1, 1}), {"5 dimensions, expected 1 to 4"});
  ExpectParts(tensor(0, {4, 0}), {"expected at least 1"});
  ExpectParts(tensor(0, {int64_t{1} << 40, int64_t{1} << 40}), {"overflows"});
  ExpectParts(tensor(0, {4}, "too short"), {"16 bytes at offset 0", "passes the end of the data, which is 9 bytes"});
  const std::string data(64, '\0');
  ExpectParts(ErrorOf(GgufBuilder().TensorAt("t", 0, {4}, 4, data).Build()), {"not at a multiple of 32"});
  ExpectParts(ErrorOf(GgufBuilder().TensorAt("t", 0, {4}, 32, data).Build()), {"leaves a hole"});
  ExpectParts(ErrorOf(GgufBuilder().TensorAt("s", 0, {16}, 0, data).TensorAt("t", 0, {4}, 32, data).Build()),
              {"tensor 't'", "overlaps", "64"});
  ExpectParts(ErrorOf(GgufBuilder().TensorF32("t", {1}, {1}).TensorF32("t", {1}, {1}).Build()), {"'t'", "twice"});
}

}  // namespace
}  // namespace lodestone
