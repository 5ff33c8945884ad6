// Writes small safetensors files, right or deliberately wrong.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lodestone::testing {

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// Eight bytes of length, then `header`, then `data`.
inline std::string RawSafetensors(std::string_view header, std::string_view data) {
  const auto length = static_cast<uint64_t>(header.size());
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file.append(header).append(data);
}

class SafetensorsBuilder {
 public:
  SafetensorsBuilder& Add(std::string_view name, std::string_view dtype, const std::vector<int64_t>& shape,
                          std::string_view bytes) {
    std::string dims;
    for (const int64_t dim : shape) dims += fmt::format("{}{}", dims.empty() ? "" : ",", dim);
    header_ += fmt::format("{}\"{}\":{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                           header_.empty() ? "" : ",", name, dtype, dims, data_.size(), data_.size() + bytes.size());
    data_ += bytes;
    return *this;
  }
  SafetensorsBuilder& AddF32(std::string_view name, const std::vector<int64_t>& shape,
                             const std::vector<float>& values) {
    return Add(name, "F32", shape, BytesOf(values));
  }
  std::string Build() const { return RawSafetensors("{" + header_ + "}", data_); }

 private:
  std::string header_, data_;
};

inline std::span<const std::byte> AsBytes(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace lodestone::testing
