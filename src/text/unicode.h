// The Unicode properties and normal forms that tokenizers ask for. utf8proc (Unicode 15) stays behind unicode.cc.
// Every `std::string_view` here is valid UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace lodestone {

bool IsWhitespace(char32_t character);  // property White_Space
bool IsWord(char32_t character);        // \w of Unicode regular expressions (UTS 18, annex C)

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

// Unicode Standard Annex 15. O(n log n) also for long runs of combining marks.
Result<std::string> Normalize(std::string_view text, NormalForm form);

// Character by character, without context: a final sigma is an ordinary one, U+0130 becomes "i" and U+0307.
std::string Lowercase(std::string_view text);

}  // namespace lodestone
