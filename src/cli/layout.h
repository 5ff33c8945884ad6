// Text laid out for a terminal: wrapped lines, and what may be shown of text that a model wrote.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lodestone::cli {

inline constexpr int kWidth = 100;  // columns of everything that this program prints by itself

// Breaks `text` at spaces so that no line is wider than `width` characters; lines after the first begin with `indent`
// spaces. Spaces inside [brackets] do not break. Line ends of the text stay.
std::string Wrap(std::string_view text, int width, int indent);

// Characters of UTF-8 text; each counts as one column.
int Columns(std::string_view text);

// A figure without rounding: "0.6", "1252", "400,000,000", "1e-06".
std::string PlainNumber(double value);

// "1 user", "28 users".
std::string Counted(int64_t count, const char* what);

// The text with control characters other than line end and tab shown as '·': a model's output must not steer a
// terminal. So is U+FFFD, which stands for bytes that make no character.
std::string WithoutControls(std::string_view text);

}  // namespace lodestone::cli
