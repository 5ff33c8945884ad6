#include "cli/text_files.h"

#include <fmt/format.h>

#include <optional>

#include "base/file.h"
#include "text/utf8.h"

namespace lodestone::cli {
namespace {

constexpr size_t kMaxTextBytes = size_t{256} << 20;

}  // namespace

std::vector<std::filesystem::path> PathsOf(std::span<const std::string> words) { return {words.begin(), words.end()}; }

Result<std::string> ReadTextFile(const std::filesystem::path& path) {
  LODESTONE_ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxTextBytes));
  if (text.empty()) return Invalid(fmt::format("{}: the file is empty, expected text", path.string()));
  if (const size_t nul = text.find('\0'); nul != std::string::npos) {
    return Invalid(fmt::format("{}: found a NUL at byte {}, expected UTF-8 text", path.string(), nul));
  }
  if (const std::optional<size_t> at = FindInvalidUtf8(text)) {
    return Invalid(fmt::format("{}: found the byte 0x{:02X} at {}, which is not UTF-8", path.string(),
                               static_cast<uint8_t>(text[*at]), *at));
  }
  return text;
}

}  // namespace lodestone::cli
