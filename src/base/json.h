// One value type for structured text, read from JSON and TOML and written as JSON.
//
// The parsers (nlohmann/json, toml++) live behind `json.cc` and `toml.cc`; nothing else includes them. Both are bounded
// in depth and refuse duplicate keys. TOML values remember their line; JSON values have line 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"

namespace lodestone {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;  // in file order; keys unique

  Json() = default;                                             // null
  Json(std::nullptr_t) {}                                       // NOLINT
  Json(bool value) : value_(value) {}                           // NOLINT
  Json(int value) : value_(int64_t{value}) {}                   // NOLINT
  Json(int64_t value) : value_(value) {}                        // NOLINT
  Json(double value) : value_(value) {}                         // NOLINT; NaN and inf are written as null
  Json(const char* value) : value_(std::string(value)) {}       // NOLINT
  Json(std::string value) : value_(std::move(value)) {}         // NOLINT
  Json(std::string_view value) : value_(std::string(value)) {}  // NOLINT
  Json(Array value) : value_(std::move(value)) {}               // NOLINT
  Json(Object value) : value_(std::move(value)) {}              // NOLINT

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  const bool* as_bool() const { return std::get_if<bool>(&value_); }
  const int64_t* as_int() const { return std::get_if<int64_t>(&value_); }
  std::optional<double> as_number() const;  // an integer or a real
  const std::string* as_string() const { return std::get_if<std::string>(&value_); }
  const Array* as_array() const { return std::get_if<Array>(&value_); }
  const Object* as_object() const { return std::get_if<Object>(&value_); }
  Array* as_array() { return std::get_if<Array>(&value_); }
  Object* as_object() { return std::get_if<Object>(&value_); }

  // The member of an object, or null when absent or when this is not an object. Linear in the number of keys.
  const Json* Find(std::string_view key) const;

  // Appends or replaces a member; makes an object of a null value.
  Json& Set(std::string key, Json value);

  // "an integer", "a string", "an object", … for messages.
  std::string_view TypeName() const;

  // `indent` < 0 writes one line without spaces; otherwise arrays of plain values still stand on one line. Bytes that
  // are not UTF-8 become U+FFFD. Reals are the shortest text that reads back the same, and are never written as
  // integers.
  std::string Dump(int indent = 2) const;

  int line = 0;  // 1-based line of a TOML value; 0 when unknown

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value_;
};

struct ParseLimits {
  int max_depth = 64;
};

// `name` is what messages call the text, usually its path; errors read "NAME:LINE:COLUMN: …", the column in bytes
// from 1. Integers beyond int64 become reals, as JSON allows; reals beyond a double are refused. TOML dates are
// refused.
Result<Json> ParseJson(std::string_view text, std::string_view name, ParseLimits limits = {});
Result<Json> ParseToml(std::string_view text, std::string_view name);

Result<Json> ReadJsonFile(const std::string& path, size_t max_bytes);
Result<Json> ReadTomlFile(const std::string& path, size_t max_bytes);

// Reads the members of one object and remembers which were asked for, so that `Finish` can refuse the rest by name.
// Every message names the file, the line where known, the dotted key, what was found and what was expected.
//
//   ObjectReader reader(json, "card.toml", "memory");
//   int64_t bytes = reader.RequireInt("capacity_bytes", 1, 1 << 40);
//   LODESTONE_RETURN_IF_ERROR(reader.Finish());
//
// The first error is kept and later reads return neutral values, so a caller reads everything and checks once. A
// neutral number lies within the range asked for; a missing key is kNotFound, everything else kInvalid. The object must
// outlive the reader.
class ObjectReader {
 public:
  ObjectReader(const Json& object, std::string file, std::string path = "");

  bool Has(std::string_view key) const;  // present and not null
  int64_t RequireInt(std::string_view key, int64_t min, int64_t max);
  double RequireNumber(std::string_view key, double min, double max);
  std::string RequireString(std::string_view key);
  bool RequireBool(std::string_view key);
  int64_t OptionalInt(std::string_view key, int64_t fallback, int64_t min, int64_t max);
  double OptionalNumber(std::string_view key, double fallback, double min, double max);
  std::string OptionalString(std::string_view key, std::string_view fallback);
  bool OptionalBool(std::string_view key, bool fallback);
  const Json* Optional(std::string_view key);  // any type; null when absent or null
  const Json* Require(std::string_view key);   // any type; null after an error
  void Ignore(std::string_view key);           // known and of no consequence

  // Records an error about `key` unless one is recorded already: "FILE:LINE: key 'a.b': MESSAGE".
  void Fail(std::string_view key, std::string_view message, ErrorCode code = ErrorCode::kInvalid);

  // The first error so far, or ok.
  Status status() const;
  // Also refuses members that nobody asked for, naming the first and the keys that are known here.
  Status Finish();
  // Members that nobody asked for, in file order.
  std::vector<std::string> Unread() const;

  const std::string& file() const { return file_; }
  std::string PathOf(std::string_view key) const;  // dotted

 private:
  const Json* Touch(std::string_view key);

  const Json* object_;
  std::string file_, path_;
  std::vector<std::string> touched_;
  std::optional<Error> error_;
};

}  // namespace lodestone
