// What the user may have meant.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lodestone::cli {

// The candidate nearest to `word`, if it is near enough: at most two letters inserted, dropped or changed, or one of
// the two begins with the other.
std::optional<std::string> Nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace lodestone::cli
