// Reads one figure with its origin out of a TOML table. Private to this folder.
#pragma once

#include <string>
#include <string_view>

#include "hardware/figure_fields.h"

namespace lodestone {

inline constexpr size_t kMaxNameBytes = 100;
inline constexpr size_t kMaxTextBytes = 4000;

// The reader's state at the end of its table. A missing key is often a mistyped one, so the stranger is named too.
Status Close(ObjectReader& reader);

// One line of text that can be shown on a terminal.
std::string ReadText(ObjectReader& reader, std::string_view key, bool required, size_t max_bytes);

// `key = {value = …, source = "…", note = "…", low = …, high = …}` of `parent`: an assumed figure needs all five.
Result<Figure> ReadFigure(ObjectReader& parent, std::string_view key, const FigureRange& range);

}  // namespace lodestone
