// GPT-2's printable alphabet for bytes: byte-level BPE spells every byte as one visible character, so that a vocabulary
// is plain text and no input is unknown. Bytes 33..126, 161..172 and 174..255 are the characters of the same number;
// the other 68, in order, are U+0100, U+0101, … (a space is U+0120, "Ġ"). Source: Radford et al., "Language Models are
// Unsupervised Multitask Learners", 2019, `bytes_to_unicode`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lodestone {

void AppendByteLevel(std::string& out, std::string_view bytes);
std::string ToByteLevel(std::string_view bytes);
// The bytes that `text` (valid UTF-8) spells, or nothing where a character is not of the alphabet.
std::optional<std::string> FromByteLevel(std::string_view text);

}  // namespace lodestone
