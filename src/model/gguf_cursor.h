// Reads the values of a GGUF header one after the other and never past the end. Private to model/.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"

namespace lodestone {

class GgufCursor {
 public:
  // `file` is what messages call the bytes; it must outlive the cursor, as must the bytes what is read of them.
  GgufCursor(std::span<const std::byte> bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  size_t position() const { return at_; }
  std::string_view file() const { return file_; }
  Error Fail(std::string_view message) const { return Invalid(fmt::format("{}: {}", file_, message)); }

  // `what` names the value in the message where the file ends too early.
  Result<std::string_view> Bytes(uint64_t count, std::string_view what) {
    if (count > bytes_.size() - at_) {
      return Fail(
          fmt::format("{}: {} bytes are expected at byte {}, and {} follow; the file is truncated or its "
                      "header is wrong",
                      what, count, at_, bytes_.size() - at_));
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + at_, static_cast<size_t>(count));
    at_ += static_cast<size_t>(count);
    return text;
  }

  template <typename T>
  Result<T> Number(std::string_view what) {
    LODESTONE_ASSIGN_OR_RETURN(const std::string_view bytes, Bytes(sizeof(T), what));
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }

  // A u64 of at most `max` things that take at least `bytes_each` bytes of what follows.
  Result<uint64_t> Count(uint64_t max, uint64_t bytes_each, std::string_view what);
  Result<std::string_view> String(uint64_t max_bytes, std::string_view what);
  // A u32 type and a value of it.
  Result<Json> TypedValue(std::string_view what);

 private:
  Result<Json> Value(uint32_t type, int depth, std::string_view what);
  Result<Json> Array(int depth, std::string_view what);

  std::span<const std::byte> bytes_;
  std::string_view file_;
  size_t at_ = 0;
  uint64_t array_values_ = 0;  // of all arrays so far
};

}  // namespace lodestone
