#include "base/quote.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/utf8.h"

namespace lodestone {

std::string Quoted(std::string_view text, size_t max_bytes) {
  std::string quoted = "'";
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = Utf8CharacterLength(text.substr(at));
    const size_t end = at + std::max<size_t>(length, 1);
    if (end > max_bytes) {
      quoted += "…";
      break;
    }
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte == '\n') {
      quoted += "\\n";
    } else if (byte == '\t') {
      quoted += "\\t";
    } else if (length == 0 || byte < 0x20 || byte == 0x7F) {
      quoted += fmt::format("\\x{:02x}", byte);
    } else {
      quoted += text.substr(at, length);
    }
    at = end;
  }
  quoted += '\'';
  return quoted;
}

std::string ShellQuoted(std::string_view word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("-_./:@,=+").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + '\'';
}

}  // namespace lodestone
