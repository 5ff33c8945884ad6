#include "model/gguf_cursor.h"

#include <charconv>
#include <cmath>
#include <limits>

namespace lodestone {
namespace {

// Types of metadata values, as the file writes them.
enum class ValueType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
};

// The largest vocabulary that text/ takes, with four arrays of it (tokens, scores, types, merges), fits twice.
constexpr uint64_t kMaxArrayValues = 8 << 20;
constexpr uint64_t kMaxStringBytes = 64 << 20;  // chat templates have kilobytes, embedded tokenizers megabytes
constexpr int kMaxArrayDepth = 4;

// The least bytes that one value of a type takes; 0 for a type that does not exist.
uint64_t LeastBytes(uint32_t type) {
  switch (static_cast<ValueType>(type)) {
    case ValueType::kUint8:
    case ValueType::kInt8:
    case ValueType::kBool:
      return 1;
    case ValueType::kUint16:
    case ValueType::kInt16:
      return 2;
    case ValueType::kUint32:
    case ValueType::kInt32:
    case ValueType::kFloat32:
      return 4;
    case ValueType::kUint64:
    case ValueType::kInt64:
    case ValueType::kFloat64:
    case ValueType::kString:
      return 8;
    case ValueType::kArray:
      return 12;
  }
  return 0;
}

template <typename T>
Result<Json> AsInteger(Result<T> value) {
  if (!value.ok()) return value.error();
  if constexpr (std::is_same_v<T, uint64_t>) {
    if (*value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return Json(static_cast<double>(*value));
  }
  return Json(static_cast<int64_t>(*value));
}

double ShortestDecimal(float value) {
  if (!std::isfinite(value)) return value;
  char text[32];
  const auto written = std::to_chars(text, text + sizeof text, value);
  double decimal = value;
  std::from_chars(text, written.ptr, decimal);
  return decimal;
}

}  // namespace

Result<uint64_t> GgufCursor::Count(uint64_t max, uint64_t bytes_each, std::string_view what) {
  LODESTONE_ASSIGN_OR_RETURN(const auto count, Number<uint64_t>(fmt::format("the number of {}", what)));
  if (count > max) return Fail(fmt::format("{} {} are claimed; the limit is {}", count, what, max));
  if (count > (bytes_.size() - at_) / bytes_each) {
    return Fail(fmt::format("{} {} are claimed, for which the {} bytes that follow have no room", count, what,
                            bytes_.size() - at_));
  }
  return count;
}

Result<std::string_view> GgufCursor::String(uint64_t max_bytes, std::string_view what) {
  LODESTONE_ASSIGN_OR_RETURN(const auto length, Number<uint64_t>(what));
  if (length > max_bytes) {
    return Fail(fmt::format("{}: a string of {} bytes is claimed; the limit is {}", what, length, max_bytes));
  }
  return Bytes(length, what);
}

Result<Json> GgufCursor::TypedValue(std::string_view what) {
  LODESTONE_ASSIGN_OR_RETURN(const auto type, Number<uint32_t>(what));
  return Value(type, 0, what);
}

Result<Json> GgufCursor::Value(uint32_t type, int depth, std::string_view what) {
  switch (static_cast<ValueType>(type)) {
    case ValueType::kUint8:
      return AsInteger(Number<uint8_t>(what));
    case ValueType::kInt8:
      return AsInteger(Number<int8_t>(what));
    case ValueType::kUint16:
      return AsInteger(Number<uint16_t>(what));
    case ValueType::kInt16:
      return AsInteger(Number<int16_t>(what));
    case ValueType::kUint32:
      return AsInteger(Number<uint32_t>(what));
    case ValueType::kInt32:
      return AsInteger(Number<int32_t>(what));
    case ValueType::kUint64:
      return AsInteger(Number<uint64_t>(what));
    case ValueType::kInt64:
      return AsInteger(Number<int64_t>(what));
    case ValueType::kFloat32: {
      LODESTONE_ASSIGN_OR_RETURN(const auto value, Number<float>(what));
      return Json(ShortestDecimal(value));
    }
    case ValueType::kFloat64: {
      LODESTONE_ASSIGN_OR_RETURN(const auto value, Number<double>(what));
      return Json(value);
    }
    case ValueType::kBool: {
      LODESTONE_ASSIGN_OR_RETURN(const auto value, Number<uint8_t>(what));
      if (value > 1) return Fail(fmt::format("{} is a boolean of value {}, expected 0 or 1", what, value));
      return Json(value == 1);
    }
    case ValueType::kString: {
      LODESTONE_ASSIGN_OR_RETURN(const std::string_view text, String(kMaxStringBytes, what));
      return Json(text);
    }
    case ValueType::kArray:
      return Array(depth + 1, what);
  }
  return Fail(fmt::format("{} has a value of type {}, expected 0 to 12", what, type));
}

Result<Json> GgufCursor::Array(int depth, std::string_view what) {
  if (depth > kMaxArrayDepth) return Fail(fmt::format("{}: arrays nest deeper than {}", what, kMaxArrayDepth));
  LODESTONE_ASSIGN_OR_RETURN(const auto type, Number<uint32_t>(what));
  const uint64_t least = LeastBytes(type);
  if (least == 0) return Fail(fmt::format("{} is an array of type {}, expected 0 to 12", what, type));
  LODESTONE_ASSIGN_OR_RETURN(const uint64_t count,
                             Count(kMaxArrayValues - array_values_, least, fmt::format("values of {}", what)));
  array_values_ += count;
  Json::Array values;
  values.reserve(static_cast<size_t>(count));
  for (uint64_t i = 0; i < count; ++i) {
    LODESTONE_ASSIGN_OR_RETURN(Json value, Value(type, depth, what));
    values.push_back(std::move(value));
  }
  return Json(std::move(values));
}

}  // namespace lodestone
