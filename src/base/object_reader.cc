#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_set>

#include "base/json.h"
#include "base/nearest.h"
#include "base/quote.h"

namespace lodestone {
namespace {

// What a value is, for "found …": scalars with their value, because that is what the user looks for in the file.
std::string Describe(const Json& value) {
  if (const std::string* text = value.as_string()) return fmt::format("the string {}", Quoted(*text));
  if (value.as_array() != nullptr || value.as_object() != nullptr) return std::string(value.TypeName());
  if (const std::optional<double> number = value.as_number(); number && !std::isfinite(*number)) {
    return fmt::format("{}", *number);
  }
  return value.Dump(-1);
}

std::string IntegerRange(int64_t min, int64_t max) {
  const bool low = min > std::numeric_limits<int64_t>::min();
  const bool high = max < std::numeric_limits<int64_t>::max();
  if (low && high) return fmt::format("an integer from {} to {}", min, max);
  if (low) return fmt::format("an integer of at least {}", min);
  if (high) return fmt::format("an integer of at most {}", max);
  return "an integer";
}

std::string NumberRange(double min, double max) {
  const bool low = min > std::numeric_limits<double>::lowest();
  const bool high = max < std::numeric_limits<double>::max();
  if (low && high) return fmt::format("a number from {} to {}", min, max);
  if (low) return fmt::format("a number of at least {}", min);
  if (high) return fmt::format("a number of at most {}", max);
  return "a number";
}

void FailFound(ObjectReader& reader, std::string_view key, const Json* value, const std::string& expected) {
  if (value == nullptr) return reader.Fail(key, "found nothing, expected " + expected, ErrorCode::kNotFound);
  reader.Fail(key, fmt::format("found {}, expected {}", Describe(*value), expected));
}

}  // namespace

ObjectReader::ObjectReader(const Json& object, std::string file, std::string path)
    : object_(&object), file_(std::move(file)), path_(std::move(path)) {
  if (object.as_object() == nullptr) Fail("", fmt::format("found {}, expected an object", Describe(object)));
}

bool ObjectReader::Has(std::string_view key) const {
  const Json* value = object_->Find(key);
  return value != nullptr && !value->is_null();
}

std::string ObjectReader::PathOf(std::string_view key) const {
  if (path_.empty() || key.empty()) return path_ + std::string(key);
  return fmt::format("{}.{}", path_, key);
}

const Json* ObjectReader::Touch(std::string_view key) {
  if (std::find(touched_.begin(), touched_.end(), key) == touched_.end()) touched_.emplace_back(key);
  return object_->Find(key);
}

void ObjectReader::Fail(std::string_view key, std::string_view message, ErrorCode code) {
  if (error_) return;
  const Json* value = key.empty() ? nullptr : object_->Find(key);
  const int line = value != nullptr && value->line > 0 ? value->line : object_->line;
  std::string text = file_;
  if (line > 0) text += fmt::format(":{}", line);
  if (const std::string path = PathOf(key); !path.empty()) text += fmt::format(": key {}", Quoted(path, 200));
  error_ = Error{code, fmt::format("{}: {}", text, message)};
}

// The typed reads below mark the key as known even after an error, so that `Unread` stays true, and then return a
// neutral value from within the range that was asked for.

int64_t ObjectReader::RequireInt(std::string_view key, int64_t min, int64_t max) {
  const Json* value = Touch(key);
  if (!error_) {
    const int64_t* integer = value == nullptr ? nullptr : value->as_int();
    if (integer != nullptr && *integer >= min && *integer <= max) return *integer;
    FailFound(*this, key, value, IntegerRange(min, max));
  }
  return std::clamp<int64_t>(0, min, max);
}

double ObjectReader::RequireNumber(std::string_view key, double min, double max) {
  const Json* value = Touch(key);
  if (!error_) {
    const std::optional<double> number = value == nullptr ? std::nullopt : value->as_number();
    if (number && *number >= min && *number <= max) return *number;  // a NaN is in no range
    FailFound(*this, key, value, NumberRange(min, max));
  }
  return std::clamp(0.0, min, max);
}

std::string ObjectReader::RequireString(std::string_view key) {
  const Json* value = Touch(key);
  if (!error_) {
    if (value != nullptr && value->as_string() != nullptr) return *value->as_string();
    FailFound(*this, key, value, "a string");
  }
  return "";
}

bool ObjectReader::RequireBool(std::string_view key) {
  const Json* value = Touch(key);
  if (!error_) {
    if (value != nullptr && value->as_bool() != nullptr) return *value->as_bool();
    FailFound(*this, key, value, "true or false");
  }
  return false;
}

int64_t ObjectReader::OptionalInt(std::string_view key, int64_t fallback, int64_t min, int64_t max) {
  return Optional(key) == nullptr ? fallback : RequireInt(key, min, max);
}

double ObjectReader::OptionalNumber(std::string_view key, double fallback, double min, double max) {
  return Optional(key) == nullptr ? fallback : RequireNumber(key, min, max);
}

std::string ObjectReader::OptionalString(std::string_view key, std::string_view fallback) {
  return Optional(key) == nullptr ? std::string(fallback) : RequireString(key);
}

bool ObjectReader::OptionalBool(std::string_view key, bool fallback) {
  return Optional(key) == nullptr ? fallback : RequireBool(key);
}

const Json* ObjectReader::Optional(std::string_view key) {
  const Json* value = Touch(key);
  return error_ || value == nullptr || value->is_null() ? nullptr : value;
}

const Json* ObjectReader::Require(std::string_view key) {
  const Json* value = Optional(key);
  if (value == nullptr && !error_) FailFound(*this, key, object_->Find(key), "a value");
  return value;
}

void ObjectReader::Ignore(std::string_view key) { Touch(key); }

Status ObjectReader::status() const { return error_ ? Status(*error_) : Status(); }

std::vector<std::string> ObjectReader::Unread() const {
  std::vector<std::string> unread;
  const Json::Object* members = object_->as_object();
  if (members == nullptr) return unread;
  const std::unordered_set<std::string_view> known(touched_.begin(), touched_.end());
  for (const auto& [key, value] : *members) {
    if (!known.contains(key)) unread.push_back(key);
  }
  return unread;
}

Status ObjectReader::Finish() {
  if (error_) return *error_;
  const std::vector<std::string> unread = Unread();
  if (unread.empty()) return {};
  std::string message = "found an unknown key, expected ";
  message += touched_.empty() ? "no keys here" : fmt::format("one of {}", fmt::join(touched_, ", "));
  if (const std::optional<std::string> close = Nearest(unread[0], touched_)) {
    message += fmt::format("; did you mean '{}'?", *close);
  }
  Fail(unread[0], message);
  return status();
}

}  // namespace lodestone
