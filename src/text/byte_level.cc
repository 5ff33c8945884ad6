#include "text/byte_level.h"

#include <array>

#include "text/utf8.h"

namespace lodestone {
namespace {

constexpr char32_t kFirstShifted = 0x100;
constexpr size_t kShifted = 68;

constexpr bool StandsForItself(unsigned byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<uint8_t, kFirstShifted + kShifted> byte{};
  std::array<bool, kFirstShifted + kShifted> known{};
};

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  char32_t next = kFirstShifted;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char32_t character = StandsForItself(byte) ? byte : next++;
    alphabet.character[byte] = character;
    alphabet.byte[character] = static_cast<uint8_t>(byte);
    alphabet.known[character] = true;
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();
static_assert(kAlphabet.character[' '] == 0x120);
static_assert(kAlphabet.character[0xAD] == kFirstShifted + kShifted - 1, "the soft hyphen is the last shifted byte");

}  // namespace

void AppendByteLevel(std::string& out, std::string_view bytes) {
  for (const char byte : bytes) AppendUtf8(out, kAlphabet.character[static_cast<uint8_t>(byte)]);
}

std::string ToByteLevel(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 2);
  AppendByteLevel(out, bytes);
  return out;
}

std::optional<std::string> FromByteLevel(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Unit unit = ReadUtf8(text, i);
    if (unit.value >= kAlphabet.known.size() || !kAlphabet.known[unit.value]) return std::nullopt;
    out.push_back(static_cast<char>(kAlphabet.byte[unit.value]));
    i += unit.length;
  }
  return out;
}

}  // namespace lodestone
