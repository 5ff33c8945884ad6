// Writes small GGUF files, right or deliberately wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lodestone::testing {

// Types of metadata values and of tensors, as the format numbers them.
inline constexpr uint32_t kGgufU32 = 4, kGgufI32 = 5, kGgufF32 = 6, kGgufBool = 7, kGgufText = 8, kGgufArray = 9;
inline constexpr uint32_t kTensorF32 = 0, kTensorF16 = 1, kTensorQ4_0 = 2, kTensorQ8_0 = 8, kTensorQ4_K = 12;

template <typename T>
std::string RawBytes(const T& value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

inline std::string GgufString(std::string_view text) {
  return RawBytes(static_cast<uint64_t>(text.size())).append(text);
}

class GgufBuilder {
 public:
  uint32_t version = 3;
  uint64_t alignment = 32;  // of the data; stated only where a test sets the key

  GgufBuilder& Raw(std::string_view key, uint32_t type, std::string_view value) {
    keys_ += GgufString(key) + RawBytes(type) + std::string(value);
    ++key_count_;
    return *this;
  }
  GgufBuilder& U32(std::string_view key, uint32_t value) { return Raw(key, kGgufU32, RawBytes(value)); }
  GgufBuilder& F32(std::string_view key, float value) { return Raw(key, kGgufF32, RawBytes(value)); }
  GgufBuilder& Bool(std::string_view key, bool value) { return Raw(key, kGgufBool, RawBytes(uint8_t{value})); }
  GgufBuilder& Text(std::string_view key, std::string_view value) { return Raw(key, kGgufText, GgufString(value)); }
  GgufBuilder& Texts(std::string_view key, const std::vector<std::string>& values) {
    std::string bytes;
    for (const std::string& value : values) bytes += GgufString(value);
    return Array(key, kGgufText, values.size(), bytes);
  }
  GgufBuilder& Floats(std::string_view key, const std::vector<float>& values) {
    return Array(key, kGgufF32, values.size(), BytesOfAll(values));
  }
  GgufBuilder& Ints(std::string_view key, const std::vector<int32_t>& values) {
    return Array(key, kGgufI32, values.size(), BytesOfAll(values));
  }
  GgufBuilder& Array(std::string_view key, uint32_t type, uint64_t count, std::string_view bytes) {
    return Raw(key, kGgufArray, RawBytes(type) + RawBytes(count) + std::string(bytes));
  }

  // `shape` slowest first, [rows][columns], as the project writes shapes.
  GgufBuilder& Tensor(std::string_view name, uint32_t type, const std::vector<int64_t>& shape, std::string_view bytes) {
    while (data_.size() % alignment != 0) data_ += '\0';
    return TensorAt(name, type, shape, data_.size(), bytes);
  }
  // At an offset of the caller's choice; `bytes` follow what is there.
  GgufBuilder& TensorAt(std::string_view name, uint32_t type, const std::vector<int64_t>& shape, uint64_t offset,
                        std::string_view bytes) {
    tensors_ += GgufString(name) + RawBytes(static_cast<uint32_t>(shape.size()));
    for (size_t i = shape.size(); i > 0; --i) tensors_ += RawBytes(shape[i - 1]);
    tensors_ += RawBytes(type) + RawBytes(offset);
    data_ += bytes;
    ++tensor_count_;
    return *this;
  }
  GgufBuilder& TensorF32(std::string_view name, const std::vector<int64_t>& shape, const std::vector<float>& values) {
    return Tensor(name, kTensorF32, shape, BytesOfAll(values));
  }

  std::string Build() const {
    std::string file = "GGUF" + RawBytes(version) + RawBytes(tensor_count_) + RawBytes(key_count_) + keys_ + tensors_;
    while (file.size() % alignment != 0) file += '\0';
    return file + data_;
  }

 private:
  template <typename T>
  static std::string BytesOfAll(const std::vector<T>& values) {
    std::string bytes;
    for (const T& value : values) bytes += RawBytes(value);
    return bytes;
  }

  std::string keys_, tensors_, data_;
  uint64_t key_count_ = 0, tensor_count_ = 0;
};

}  // namespace lodestone::testing
