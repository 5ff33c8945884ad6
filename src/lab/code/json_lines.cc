#include "lab/code/json_lines.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/file.h"

namespace lodestone {

Result<std::vector<Json>> ParseJsonLines(std::string_view text, std::string_view name) {
  if (text.starts_with("\x1f\x8b")) {
    return Invalid(fmt::format("{} is compressed: decompress it first (gunzip)", name));
  }
  std::vector<Json> values;
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view content = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (content.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    Result<Json> value = ParseJson(content, "");
    if (!value.ok()) {
      // ":1:COLUMN: …": the line is the only one that the parser saw.
      std::string_view message = value.error().message;
      if (message.starts_with(":1:")) message.remove_prefix(2);
      return Error{value.error().code, fmt::format("{}:{}{}", name, line, message)};
    }
    value->line = static_cast<int>(line);
    values.push_back(*std::move(value));
  }
  return values;
}

Result<Journal> Journal::Open(const std::filesystem::path& path, size_t max_bytes) {
  Journal journal;
  journal.name_ = path.string();
  journal.file_ = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (journal.file_ < 0) return IoError(fmt::format("{}: cannot open: {}", path.string(), std::strerror(errno)));
  if (flock(journal.file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return Invalid(fmt::format("{}: another run is writing it; wait for that one, or end it", path.string()));
  }
  LODESTONE_ASSIGN_OR_RETURN(std::string text, ReadFile(path, max_bytes));
  const size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
  if (whole != text.size()) {
    text.resize(whole);
    if (ftruncate(journal.file_, static_cast<off_t>(whole)) != 0) {
      return IoError(fmt::format("{}: cannot remove an unfinished line: {}", path.string(), std::strerror(errno)));
    }
  }
  LODESTONE_ASSIGN_OR_RETURN(journal.lines_, ParseJsonLines(text, path.string()));
  return journal;
}

Journal::Journal(Journal&& other) noexcept { *this = std::move(other); }

Journal& Journal::operator=(Journal&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(name_, other.name_);
  std::swap(lines_, other.lines_);
  return *this;
}

Journal::~Journal() {
  if (file_ >= 0) close(file_);
}

Status Journal::Append(const Json& value) {
  const std::string line = value.Dump(-1) + "\n";
  const ssize_t written = write(file_, line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size())) return {};
  return IoError(fmt::format("{}: cannot write: {}", name_, written < 0 ? std::strerror(errno) : "the disk is full"));
}

}  // namespace lodestone
