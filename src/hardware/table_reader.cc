#include "hardware/table_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/nearest.h"
#include "base/quote.h"

namespace lodestone {

TableReader::TableReader(const Json& table, std::string file, std::string path, std::vector<Error>& faults,
                         size_t max_faults)
    : table_(&table), file_(std::move(file)), path_(std::move(path)), faults_(&faults), max_faults_(max_faults) {
  if (table.as_object() == nullptr) Fail("", fmt::format("found {}, expected a table", table.TypeName()));
}

void TableReader::Add(const Status& status) {
  if (!status.ok() && faults_->size() < max_faults_) faults_->push_back(status.error());
}

void TableReader::Fail(std::string_view key, std::string_view message, ErrorCode code) {
  ObjectReader reader(*table_, file_, path_);
  reader.Fail(key, message, code);
  Add(reader.status());
}

const Json* TableReader::Find(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  return table_->Find(key);
}

std::string TableReader::PathOf(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

std::string TableReader::Text(std::string_view key, bool required, size_t max_bytes) {
  Find(key);
  if (table_->as_object() == nullptr) return "";
  ObjectReader reader(*table_, file_, path_);
  std::string text = ReadText(reader, key, required, max_bytes);
  Add(reader.status());
  return reader.status().ok() ? text : "";
}

int TableReader::Count(std::string_view key, int fallback, int max) {
  if (Find(key) == nullptr) return fallback;
  ObjectReader reader(*table_, file_, path_);
  const auto count = static_cast<int>(reader.RequireInt(key, 1, max));
  Add(reader.status());
  return count;
}

std::optional<size_t> TableReader::Word(std::string_view key, std::span<const std::string_view> words) {
  const Json* value = Find(key);
  if (table_->as_object() == nullptr) return std::nullopt;
  const std::string* text = value == nullptr ? nullptr : value->as_string();
  if (text != nullptr) {
    const auto found = std::find(words.begin(), words.end(), *text);
    if (found != words.end()) return static_cast<size_t>(found - words.begin());
  }
  const std::string found = value == nullptr  ? "nothing"
                            : text != nullptr ? Quoted(*text)
                                              : value->Dump(-1).substr(0, 40);
  const std::vector<std::string> candidates(words.begin(), words.end());
  const std::optional<std::string> nearest = text != nullptr ? Nearest(*text, candidates) : std::nullopt;
  Fail(key,
       fmt::format("found {}, expected one of {}{}", text == nullptr && value != nullptr ? Quoted(found) : found,
                   fmt::join(words, ", "), nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""),
       value == nullptr ? ErrorCode::kNotFound : ErrorCode::kInvalid);
  return std::nullopt;
}

std::optional<Figure> TableReader::ReadFigure(std::string_view key, const FigureRange& range,
                                              const std::string* data_sheet) {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  ObjectReader reader(*table_, file_, path_);
  if (data_sheet != nullptr && value->as_number()) {
    Figure figure{.value = reader.RequireNumber(key, range.min, range.max),
                  .source = FieldSource::kDataSheet,
                  .note = *data_sheet};
    if (range.whole && figure.value != std::floor(figure.value)) {
      reader.Fail(key, fmt::format("found {}, expected a whole number", figure.value));
    }
    if (data_sheet->empty()) {
      reader.Fail(key,
                  "found a plain number, which is one of the data sheet, but the file names none; expected "
                  "data_sheet = \"…\" at its top, or {value = …, source = \"…\", note = \"…\"} here");
    }
    Add(reader.status());
    return reader.status().ok() ? std::optional(figure) : std::nullopt;
  }
  const Result<Figure> figure = lodestone::ReadFigure(reader, key, range);
  Add(figure.status());
  return figure.ok() ? std::optional(*figure) : std::nullopt;
}

const Json* TableReader::Table(std::string_view key) {
  const Json* value = Find(key);
  if (value == nullptr || value->as_object() != nullptr) return value;
  Fail(key, fmt::format("found {}, expected a table: [{}]", value->TypeName(), PathOf(key)));
  return nullptr;
}

std::span<const Json> TableReader::Tables(std::string_view key) {
  const Json* value = Find(key);
  if (value == nullptr) return {};
  if (const Json::Array* tables = value->as_array()) return *tables;
  Fail(key, fmt::format("found {}, expected tables: [[{}]]", value->TypeName(), PathOf(key)));
  return {};
}

void TableReader::Finish() {
  const Json::Object* members = table_->as_object();
  if (members == nullptr) return;
  for (const auto& [key, value] : *members) {
    if (faults_->size() >= max_faults_) return;
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::optional<std::string> nearest = Nearest(key, known_);
    Fail(key, fmt::format("found an unknown key, expected one of {}{}", fmt::join(known_, ", "),
                          nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
  }
}

}  // namespace lodestone
