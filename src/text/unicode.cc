#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "text/utf8.h"

namespace lodestone {
namespace {

// Below these the normal form is the text itself: U+0300 is the first character that composes with one before it,
// U+0080 the first that has a decomposition after it.
bool IsTriviallyNormal(std::string_view text, NormalForm form) {
  const uint8_t limit = form == NormalForm::kNfc ? 0xCC : 0x80;  // 0xCC is the lead byte of U+0300
  return std::all_of(text.begin(), text.end(), [&](char c) { return static_cast<uint8_t>(c) < limit; });
}

int CombiningClass(utf8proc_int32_t character) { return utf8proc_get_property(character)->combining_class; }

// Sorts each run of combining marks by class. utf8proc_decompose would do it too, but by exchanging neighbours:
// quadratic in the length of a run, and the text comes from users.
void OrderCanonically(std::vector<utf8proc_int32_t>& characters) {
  for (size_t begin = 0; begin < characters.size();) {
    if (CombiningClass(characters[begin]) == 0) {
      ++begin;
      continue;
    }
    size_t end = begin;
    while (end < characters.size() && CombiningClass(characters[end]) != 0) ++end;
    std::stable_sort(characters.begin() + static_cast<ptrdiff_t>(begin),
                     characters.begin() + static_cast<ptrdiff_t>(end),
                     [](auto a, auto b) { return CombiningClass(a) < CombiningClass(b); });
    begin = end;
  }
}

Error NormalizationError(utf8proc_ssize_t code) {
  return Invalid(std::string("Unicode normalization: ") + utf8proc_errmsg(code));
}

}  // namespace

bool IsWhitespace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool IsWord(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      break;
  }
  // Join controls, and the circled and squared letters, which are symbols by category and alphabetic by property.
  return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

Result<std::string> Normalize(std::string_view text, NormalForm form) {
  if (IsTriviallyNormal(text, form)) return std::string(text);
  const bool compatible = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  const bool compose = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                      (compatible ? UTF8PROC_COMPAT : UTF8PROC_STABLE));
  std::vector<utf8proc_int32_t> characters;
  characters.reserve(text.size());
  std::array<utf8proc_int32_t, 32> expansion{};  // the longest decomposition has 18 characters (U+FDFA)
  for (size_t i = 0; i < text.size();) {
    const Utf8Unit unit = ReadUtf8(text, i);
    i += unit.length;
    int boundary = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(unit.value), expansion.data(),
                                static_cast<utf8proc_ssize_t>(expansion.size()), options, &boundary);
    if (count < 0) return NormalizationError(count);
    characters.insert(characters.end(), expansion.begin(), expansion.begin() + count);
  }
  OrderCanonically(characters);
  if (compose) {
    const utf8proc_ssize_t count =
        utf8proc_normalize_utf32(characters.data(), static_cast<utf8proc_ssize_t>(characters.size()),
                                 static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    if (count < 0) return NormalizationError(count);
    characters.resize(static_cast<size_t>(count));
  }
  std::string out;
  out.reserve(text.size());
  for (const utf8proc_int32_t character : characters) AppendUtf8(out, static_cast<char32_t>(character));
  return out;
}

std::string Lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Unit unit = ReadUtf8(text, i);
    i += unit.length;
    if (unit.value == 0x130) {  // the one character whose lower case is two
      out += "i\xCC\x87";
    } else {
      AppendUtf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(unit.value))));
    }
  }
  return out;
}

}  // namespace lodestone
