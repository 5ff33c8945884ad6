// Files of JSON values, one a line (JSON Lines): read with the line in every message, and written as a run goes on.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace lodestone {

// One value a line; empty lines are passed over and count. Each value has its `line`, so that an ObjectReader names it.
Result<std::vector<Json>> ParseJsonLines(std::string_view text, std::string_view name);

// A file that grows by whole lines: a run that is ended at any moment leaves every line that it wrote, and perhaps
// the beginning of one, which is removed when the file is opened again.
class Journal {
 public:
  // Makes the file where there is none. Refused: lines that are no JSON, more than `max_bytes`, a file that another
  // journal holds.
  static Result<Journal> Open(const std::filesystem::path& path, size_t max_bytes);
  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&& other) noexcept;
  ~Journal();

  const std::vector<Json>& lines() const { return lines_; }  // that it had when it was opened
  const std::string& name() const { return name_; }
  Status Append(const Json& value);

 private:
  Journal() = default;
  int file_ = -1;
  std::string name_;
  std::vector<Json> lines_;
};

}  // namespace lodestone
