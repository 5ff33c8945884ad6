// What the user may have meant: the nearest known word.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lodestone {

// The candidate nearest to `word`, if it is near enough: at most two letters, or a third of them, inserted, dropped or
// changed, or one of the two begins with the other. None for words of more than 64 bytes.
std::optional<std::string> Nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace lodestone
