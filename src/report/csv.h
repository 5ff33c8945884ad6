// Records of comma-separated values (RFC 4180): fields in quotes may hold commas, line ends and doubled quotes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace lodestone {

// Reads a text record by record, without a copy of it.
class CsvReader {
 public:
  // `text` outlives the reader; `file` is for messages.
  CsvReader(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

  // The fields of the next record; false at the end of the text. Refused with file and line: a quote that is not
  // closed, or not followed by a comma or a line end, a quote inside a field without quotes, a field longer than
  // kMaxField.
  Result<bool> Next(std::vector<std::string>& fields);
  // The line on which the record last read begins, from 1.
  int line() const { return line_; }

  static constexpr size_t kMaxField = 4096;  // bytes

 private:
  Status ReadField(std::string& field);
  Error At(const char* message) const;

  std::string_view text_;
  std::string file_;
  size_t at_ = 0;
  int line_ = 0, next_line_ = 1;
};

// `field` as a record holds it: in quotes where it has a comma, a quote or a line end.
std::string CsvField(std::string_view field);
// The same of a value: null is empty, a list is its JSON.
std::string CsvValue(const Json& value);

}  // namespace lodestone
