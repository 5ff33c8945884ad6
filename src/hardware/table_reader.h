// Reads the keys of one TOML table and goes on after a fault, so that a check says every fault of a file at once.
// Private to this folder.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hardware/figure_reader.h"

namespace lodestone {

class TableReader {
 public:
  // Faults are added to `faults` until it holds `max_faults`. The table and the list must outlive the reader. A value
  // that is no table is a fault, and then nothing is read from it.
  TableReader(const Json& table, std::string file, std::string path, std::vector<Error>& faults, size_t max_faults);

  // "FILE:LINE: key 'a.b': MESSAGE".
  void Fail(std::string_view key, std::string_view message, ErrorCode code = ErrorCode::kInvalid);

  std::string Text(std::string_view key, bool required, size_t max_bytes);
  int Count(std::string_view key, int fallback, int max);
  // The place of a word in `words`; a fault that lists them, with the nearest, where it is another or missing.
  std::optional<size_t> Word(std::string_view key, std::span<const std::string_view> words);
  // Absent, or a fault. With a data sheet a plain number is a figure from it; an empty one is a file that names none.
  std::optional<Figure> ReadFigure(std::string_view key, const FigureRange& range,
                                   const std::string* data_sheet = nullptr);
  // A table, or an array's tables; null or empty where absent. What is neither is a fault.
  const Json* Table(std::string_view key);
  std::span<const Json> Tables(std::string_view key);

  // Refuses every key that nobody asked for.
  void Finish();

  std::string PathOf(std::string_view key) const;
  const std::string& file() const { return file_; }
  int line() const { return table_->line; }

 private:
  const Json* Find(std::string_view key);
  void Add(const Status& status);

  const Json* table_;
  std::string file_, path_;
  std::vector<Error>* faults_;
  size_t max_faults_;
  std::vector<std::string> known_;
};

// Reads the figures of `fields` into the optional members of `spec`.
template <typename Spec, size_t kCount>
void ReadFigures(TableReader& reader, const OptionalFigureField<Spec> (&fields)[kCount], const std::string* data_sheet,
                 Spec& spec) {
  for (const OptionalFigureField<Spec>& field : fields) {
    spec.*field.member = reader.ReadFigure(field.key, field.range, data_sheet);
  }
}

}  // namespace lodestone
