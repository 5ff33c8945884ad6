// A checkpoint directory under construction: tensors with values that name themselves.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/temporary_folder.h"
#include "model/safetensors_builder.h"
#include "model/weight_source.h"

namespace lodestone::testing {

// A value that is exact in f32 and differs between all (tag, row, column) of a test.
inline float ValueAt(int tag, int64_t row, int64_t column) {
  return static_cast<float>(tag * 16384 + row * 128 + column);
}

struct TensorText {
  std::string dtype = "F32";
  std::vector<int64_t> shape;
  std::string bytes;
};

class CheckpointFixture {
 public:
  // [rows][columns] of ValueAt(tag, row, column); a vector where columns is 0, of ValueAt(tag, 0, i).
  void Add(const std::string& name, int tag, int64_t rows, int64_t columns = 0) {
    std::vector<float> values;
    for (int64_t r = 0; r < (columns == 0 ? 1 : rows); ++r) {
      for (int64_t c = 0; c < (columns == 0 ? rows : columns); ++c) values.push_back(ValueAt(tag, r, c));
    }
    AddValues(name, columns == 0 ? std::vector<int64_t>{rows} : std::vector<int64_t>{rows, columns}, values);
  }
  void AddValues(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values) {
    tensors[name] = {"F32", shape, BytesOf(values)};
  }

  Result<std::unique_ptr<WeightSource>> Open(const ModelConfig& config) const {
    SafetensorsBuilder builder;
    for (const auto& [name, tensor] : tensors) builder.Add(name, tensor.dtype, tensor.shape, tensor.bytes);
    folder_.Write("model.safetensors", builder.Build());
    return OpenCheckpoint(folder_.path().string(), config);
  }
  std::string ErrorOf(const ModelConfig& config) const {
    const auto source = Open(config);
    return source.ok() ? "accepted" : source.error().message;
  }

  std::map<std::string, TensorText> tensors;

 private:
  TemporaryFolder folder_;
};

inline std::vector<float> Row(const WeightSource& source, const WeightId& id, int64_t row, size_t columns) {
  std::vector<float> out(columns);
  const Status status = source.ReadRow(id, row, out);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return out;
}

inline void ExpectParts(const std::string& message, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << "expected '" << part << "' in: " << message;
  }
}

}  // namespace lodestone::testing
