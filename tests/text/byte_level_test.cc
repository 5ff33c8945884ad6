#include "text/byte_level.h"

#include <gtest/gtest.h>

#include <set>

namespace lodestone {
namespace {

TEST(ByteLevel, SpellsAsGpt2Does) {
  EXPECT_EQ(ToByteLevel(" world\n"), "Ġworld\u010a");
  EXPECT_EQ(ToByteLevel("\u00e9"), "\u00c3\u00a9");
  EXPECT_EQ(ToByteLevel("\xAD"), "\u0143");
}

TEST(ByteLevel, EveryByteHasALetterOfItsOwn) {
  std::set<std::string> letters;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    letters.insert(ToByteLevel(one));
    EXPECT_EQ(FromByteLevel(ToByteLevel(one)), one) << byte;
  }
  EXPECT_EQ(letters.size(), 256u);
}

TEST(ByteLevel, RefusesLettersOutsideTheAlphabet) {
  for (const char* text : {" ", "\u00ad", "a\u0144", "\u6f22"}) EXPECT_EQ(FromByteLevel(text), std::nullopt) << text;
}

}  // namespace
}  // namespace lodestone
