// UTF-8: checking, walking and repairing it. No Unicode tables; those are in unicode.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lodestone {

// The bytes at one position, read as UTF-8 (Unicode 15, table 3-7).
struct Utf8Unit {
  enum class Kind {
    kCharacter,  // a whole character
    kInvalid,    // `length` bytes that no character begins with: the maximal subpart, which one U+FFFD replaces
    kTruncated,  // the text ends within a character of which `length` bytes are there
  };
  Kind kind = Kind::kCharacter;
  uint32_t length = 1;  // bytes, at least 1
  char32_t value = 0;   // of a whole character
};

// `position` < text.size().
Utf8Unit ReadUtf8(std::string_view text, size_t position);

// Offset of the first byte that is not part of a character, if any.
std::optional<size_t> FindInvalidUtf8(std::string_view text);

// Where the character that ends before `position` starts; the text is valid and 0 < position.
size_t PreviousCharacter(std::string_view text, size_t position);

size_t CountCharacters(std::string_view text);
void AppendUtf8(std::string& text, char32_t character);

// Turns a stream of bytes into characters: each maximal subpart that is not UTF-8 becomes U+FFFD, and a character that
// is cut by a push waits for its rest. The concatenated result does not depend on how the bytes were cut.
class Utf8Repair {
 public:
  std::string Push(std::string_view bytes);
  std::string Finish();  // U+FFFD for a character that never came to its end

 private:
  std::string pending_;
};

}  // namespace lodestone
