#include "report/csv.h"

#include <fmt/format.h>

namespace lodestone {

Error CsvReader::At(const char* message) const { return Invalid(fmt::format("{}:{}: {}", file_, next_line_, message)); }

// Leaves at_ on the comma or line end behind the field, or at the end of the text.
Status CsvReader::ReadField(std::string& field) {
  field.clear();
  if (at_ == text_.size() || text_[at_] != '"') {
    const size_t begin = at_;
    at_ = std::min(text_.find_first_of(",\"\r\n", at_), text_.size());
    if (at_ < text_.size() && text_[at_] == '"') {
      return At("a quote inside a field, expected the whole field in quotes and the quote doubled");
    }
    if (at_ - begin > kMaxField) return At("a field longer than 4096 bytes");
    field = text_.substr(begin, at_ - begin);
    return {};
  }
  while (true) {
    const size_t begin = at_ + 1, end = text_.find('"', begin);
    if (end == std::string_view::npos) return At("a quote that is not closed");
    const std::string_view part = text_.substr(begin, end - begin);
    if (field.size() + part.size() > kMaxField) return At("a field longer than 4096 bytes");
    field += part;
    for (const char c : part) next_line_ += c == '\n';
    at_ = end + 1;
    if (at_ == text_.size() || text_[at_] != '"') break;
    field += '"';
  }
  if (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\r' && text_[at_] != '\n') {
    return At("text behind a closing quote, expected a comma or the end of the line");
  }
  return {};
}

Result<bool> CsvReader::Next(std::vector<std::string>& fields) {
  if (at_ == text_.size()) return false;
  line_ = next_line_;
  size_t count = 0;
  while (true) {
    if (count == fields.size()) fields.emplace_back();
    LODESTONE_RETURN_IF_ERROR(ReadField(fields[count++]));
    if (at_ == text_.size() || text_[at_] != ',') break;
    ++at_;
  }
  fields.resize(count);
  if (at_ < text_.size() && text_[at_] == '\r') ++at_;
  if (at_ < text_.size() && text_[at_] == '\n') {
    ++at_;
  } else if (at_ < text_.size()) {
    return At("a carriage return inside a line, expected a line end behind it");
  }
  ++next_line_;
  return true;
}

std::string CsvField(std::string_view field) {
  if (field.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(field);
  std::string quoted = "\"";
  for (const char c : field) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string CsvValue(const Json& value) {
  if (value.is_null()) return "";
  const std::string* text = value.as_string();
  return CsvField(std::string_view(text != nullptr ? *text : value.Dump(-1)));
}

}  // namespace lodestone
