#include <gtest/gtest.h>

#include <random>

#include "model/safetensors.h"
#include "model/safetensors_builder.h"

namespace lodestone {
namespace {

using testing::AsBytes;
using testing::SafetensorsBuilder;

struct Written {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

std::string RandomFile(std::mt19937_64& random, std::vector<Written>* written) {
  SafetensorsBuilder builder;
  const size_t tensors = random() % 6;
  for (size_t i = 0; i < tensors; ++i) {
    Written tensor;
    tensor.name = "t" + std::to_string(i);
    int64_t count = 1;
    for (size_t rank = random() % 4; rank > 0; --rank) {
      tensor.shape.push_back(static_cast<int64_t>(random() % 5));
      count *= tensor.shape.back();
    }
    for (int64_t j = 0; j < count; ++j) tensor.values.push_back(static_cast<float>(random() % 1000) - 500);
    builder.AddF32(tensor.name, tensor.shape, tensor.values);
    written->push_back(std::move(tensor));
  }
  return builder.Build();
}

TEST(SafetensorsPropertyTest, WhatWasWrittenIsRead) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 500; ++round) {
    std::vector<Written> written;
    const std::string file = RandomFile(random, &written);
    const auto tensors = ParseSafetensors(AsBytes(file), "m");
    ASSERT_TRUE(tensors.ok()) << "round " << round << ": " << tensors.error().message;
    ASSERT_EQ(tensors->size(), written.size());
    for (size_t i = 0; i < written.size(); ++i) {
      EXPECT_EQ((*tensors)[i].name, written[i].name);
      EXPECT_EQ((*tensors)[i].shape, written[i].shape);
      std::vector<float> values(written[i].values.size());
      ReadValues((*tensors)[i], 0, values);
      EXPECT_EQ(values, written[i].values) << "round " << round;
    }
  }
}

// A damaged file is refused, or what it yields still lies inside the file without overlap.
TEST(SafetensorsPropertyTest, DamagedFilesNeverYieldBytesTwiceOrFromOutside) {
  std::mt19937_64 random(2);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<Written> written;
    std::string file = RandomFile(random, &written);
    for (uint64_t edits = 1 + random() % 3; edits > 0 && !file.empty(); --edits) {
      const size_t at = random() % file.size();
      switch (random() % 3) {
        case 0:
          file[at] = static_cast<char>("0123456789[]{},:\"x"[random() % 18]);
          break;
        case 1:
          file.erase(at, 1 + random() % 4);
          break;
        default:
          file.insert(at, 1, static_cast<char>(random() % 256));
      }
    }
    const auto tensors = ParseSafetensors(AsBytes(file), "m");
    if (!tensors.ok()) {
      EXPECT_FALSE(tensors.error().message.empty());
      ++refused;
      continue;
    }
    size_t total = 0;
    const auto* begin = reinterpret_cast<const std::byte*>(file.data());
    for (const TensorView& tensor : *tensors) {
      ASSERT_GE(tensor.data.data(), begin);
      ASSERT_LE(tensor.data.data() + tensor.data.size(), begin + file.size());
      total += tensor.data.size();
    }
    uint64_t header = 0;
    std::memcpy(&header, file.data(), sizeof header);
    EXPECT_EQ(total + header + sizeof header, file.size()) << "round " << round;
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace lodestone
