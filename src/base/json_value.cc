// The value type itself: lookup, and writing as JSON text.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/json.h"
#include "base/utf8.h"

namespace lodestone {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

void WriteControlCharacter(unsigned char byte, std::string& out) {
  switch (byte) {
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
  }
}

void WriteString(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text[0]);
    const size_t length = Utf8CharacterLength(text);
    if (length == 0) {
      out += kReplacement;
    } else if (byte < 0x20) {
      WriteControlCharacter(byte, out);
    } else {
      if (byte == '"' || byte == '\\') out += '\\';
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  out += '"';
}

// The shortest text that reads back as the same double, and as a double: 1 is written 1.0.
void WriteReal(double value, std::string& out) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  const std::string digits = fmt::format("{}", value);
  out += digits;
  if (digits.find_first_of(".e") == std::string::npos) out += ".0";
}

class Writer {
 public:
  explicit Writer(int indent) : indent_(indent) {}

  void Write(const Json& value) {
    if (const bool* flag = value.as_bool()) {
      out_ += *flag ? "true" : "false";
    } else if (const int64_t* integer = value.as_int()) {
      fmt::format_to(std::back_inserter(out_), "{}", *integer);
    } else if (const std::optional<double> real = value.as_number()) {
      WriteReal(*real, out_);
    } else if (const std::string* text = value.as_string()) {
      WriteString(*text, out_);
    } else if (const Json::Array* array = value.as_array()) {
      WriteArray(*array);
    } else if (const Json::Object* object = value.as_object()) {
      WriteObject(*object);
    } else {
      out_ += "null";
    }
  }

  std::string Take() { return std::move(out_); }

 private:
  // A list of token ids reads better on one line than on a thousand.
  static bool FitsOneLine(const Json::Array& array) {
    for (const Json& item : array) {
      if (item.as_array() != nullptr || item.as_object() != nullptr) return false;
    }
    return true;
  }

  void WriteArray(const Json::Array& array) {
    const bool one_line = FitsOneLine(array);
    out_ += '[';
    ++level_;
    for (size_t i = 0; i < array.size(); ++i) {
      if (i > 0) out_ += indent_ >= 0 && one_line ? ", " : ",";
      if (!one_line) NewLine();
      Write(array[i]);
    }
    --level_;
    if (!one_line) NewLine();
    out_ += ']';
  }

  void WriteObject(const Json::Object& object) {
    out_ += '{';
    ++level_;
    for (size_t i = 0; i < object.size(); ++i) {
      if (i > 0) out_ += ',';
      NewLine();
      WriteString(object[i].first, out_);
      out_ += indent_ >= 0 ? ": " : ":";
      Write(object[i].second);
    }
    --level_;
    if (!object.empty()) NewLine();
    out_ += '}';
  }

  void NewLine() {
    if (indent_ < 0) return;
    out_ += '\n';
    out_.append(static_cast<size_t>(level_) * static_cast<size_t>(indent_), ' ');
  }

  int indent_;
  int level_ = 0;
  std::string out_;
};

}  // namespace

std::optional<double> Json::as_number() const {
  if (const int64_t* integer = as_int()) return static_cast<double>(*integer);
  if (const double* real = std::get_if<double>(&value_)) return *real;
  return std::nullopt;
}

const Json* Json::Find(std::string_view key) const {
  const Object* object = as_object();
  if (object == nullptr) return nullptr;
  for (const auto& [name, value] : *object) {
    if (name == key) return &value;
  }
  return nullptr;
}

Json& Json::Set(std::string key, Json value) {
  if (is_null()) value_ = Object();
  Object* object = as_object();
  LODESTONE_CHECK(object != nullptr);
  for (auto& [name, member] : *object) {
    if (name == key) {
      member = std::move(value);
      return *this;
    }
  }
  object->emplace_back(std::move(key), std::move(value));
  return *this;
}

std::string_view Json::TypeName() const {
  if (is_null()) return "null";
  if (as_bool() != nullptr) return "a boolean";
  if (as_int() != nullptr) return "an integer";
  if (as_string() != nullptr) return "a string";
  if (as_array() != nullptr) return "an array";
  if (as_object() != nullptr) return "an object";
  return "a real number";
}

std::string Json::Dump(int indent) const {
  Writer writer(indent);
  writer.Write(*this);
  return writer.Take();
}

}  // namespace lodestone
