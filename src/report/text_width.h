// Columns of text on a terminal: code points are counted, not bytes ("µs", "…").
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lodestone {

// Code points of UTF-8 text, a column each; stray bytes count one each.
size_t TextWidth(std::string_view text);

// Lines of at most `width` columns, broken at spaces; a word that is longer stands alone on its line.
std::vector<std::string> WrapText(std::string_view text, size_t width);

}  // namespace lodestone
