// tokenizer.json is written for Oniguruma's Ruby syntax; this project matches with PCRE2. The two agree on what the
// published split patterns use, except for the points below, which are rewritten or refused, never read differently.
//
//   rewritten  \s \S \w \W    to Unicode's White_Space and word properties: PCRE2 counts U+180E as a space and leaves
//                             combining marks out of words; likewise [:punct:] and its kind
//              \p{Han}        to the script itself, without PCRE2's script extensions
//              \h \H          a hexadecimal digit in Ruby, horizontal space in PCRE2
//              \uHHHH {,n}    syntax that PCRE2 10.42 lacks
//   refused    {n,m}+         a repeat of a repeat in Ruby, possessive in PCRE2
//              [a[b]] [a&&b]  set operations of Ruby, plain characters in PCRE2
//              (?m)           "dot matches newline" in Ruby, "^ and $ at every line" in PCRE2
//              \b \B          defined by \w;  \Q \E  quoting in PCRE2 alone
//
// Both know the characters of their own Unicode version (PCRE2 10.42: version 14); characters assigned later are
// unassigned.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace lodestone {

// The PCRE2 pattern (options UTF, UCP, MULTILINE) that matches what `pattern` does. The error says which construct, and
// at which byte of the pattern.
Result<std::string> TranslatePattern(std::string_view pattern);

}  // namespace lodestone
