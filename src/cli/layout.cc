#include "cli/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"

namespace lodestone::cli {
namespace {

// Where the word that starts at `begin` ends: a space outside brackets, or a line end.
size_t WordEnd(std::string_view text, size_t begin) {
  int depth = 0;
  size_t i = begin;
  for (; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] == '[') ++depth;
    if (text[i] == ']') depth = std::max(0, depth - 1);
    if (text[i] == ' ' && depth == 0) break;
  }
  return i;
}

// Bytes of a character at the start of `text` that is not to be shown: C0 and C1 controls (U+0080 to U+009F are C2 80
// to C2 9F) and U+FFFD. 0 for any other.
size_t HiddenBytes(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  if (byte(0) == '\n' || byte(0) == '\t') return 0;
  if (byte(0) < 0x20 || byte(0) == 0x7F) return 1;
  if (byte(0) == 0xC2 && byte(1) >= 0x80 && byte(1) < 0xA0) return 2;
  return text.starts_with("\xEF\xBF\xBD") ? 3 : 0;
}

}  // namespace

int Columns(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string Wrap(std::string_view text, int width, int indent) {
  std::string out;
  int column = 0;
  size_t i = 0;
  while (i < text.size()) {
    if (text[i] == '\n') {
      out += '\n';
      out.append(static_cast<size_t>(indent), ' ');
      column = indent;
      ++i;
      continue;
    }
    // Spaces in front of a word belong to it, so that columns laid out by hand survive on the first line.
    const size_t gap_end = std::min(text.find_first_not_of(' ', i), text.size());
    const size_t end = WordEnd(text, gap_end);
    const std::string_view gap = text.substr(i, gap_end - i);
    const std::string_view word = text.substr(gap_end, end - gap_end);
    const int needed = static_cast<int>(gap.size()) + Columns(word);
    if (column + needed > width && column > indent) {
      out += '\n';
      out.append(static_cast<size_t>(indent), ' ');
      out += word;
      column = indent + Columns(word);
    } else {
      out += gap;
      out += word;
      column += needed;
    }
    i = end;
  }
  return out;
}

std::string PlainNumber(double value) {
  constexpr double kGrouped = 1e5;  // from here on digits are easier to read in groups
  return std::abs(value) >= kGrouped ? FormatNumber(value) : fmt::format("{:g}", value);
}

std::string Counted(int64_t count, const char* what) {
  return fmt::format("{} {}{}", FormatNumber(static_cast<double>(count)), what, count == 1 ? "" : "s");
}

std::string WithoutControls(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t hidden = HiddenBytes(text);
    if (hidden > 0) {
      out += "·";
    } else {
      out += text.front();
    }
    text.remove_prefix(std::max<size_t>(hidden, 1));
  }
  return out;
}

}  // namespace lodestone::cli
