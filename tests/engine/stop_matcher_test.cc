#include "engine/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

namespace lodestone {
namespace {

TEST(StopMatcher, WithoutStopTextsNothingIsHeld) {
  StopMatcher matcher;
  EXPECT_EQ(matcher.Push("any").text, "any");
  EXPECT_EQ(matcher.Finish(), "");
}

TEST(StopMatcher, AMatchAcrossPiecesIsNeverShown) {
  StopMatcher matcher({"</end>"});
  EXPECT_EQ(matcher.Push("text <").text, "text ");
  EXPECT_EQ(matcher.Push("/en").text, "");
  const auto last = matcher.Push("d> more");
  EXPECT_TRUE(last.stopped);
  EXPECT_EQ(last.text, "");
  EXPECT_TRUE(matcher.Push("more").stopped);
  EXPECT_EQ(matcher.Push("more").text, "");
  EXPECT_EQ(matcher.Finish(), "");
}

TEST(StopMatcher, WhatTurnsOutNotToMatchIsShownLater) {
  StopMatcher matcher({"abac"});
  EXPECT_EQ(matcher.Push("xaba").text, "x");
  // "abab" is no match, but its end "ab" may begin one.
  EXPECT_EQ(matcher.Push("b").text, "ab");
  EXPECT_EQ(matcher.Finish(), "ab");
}

TEST(StopMatcher, TheMatchThatIsCompleteFirstWins) {
  StopMatcher matcher({"abc", "b"});
  const auto piece = matcher.Push("abc");
  EXPECT_TRUE(piece.stopped);
  EXPECT_EQ(piece.text, "a");
  // Of two that end together, the longer.
  StopMatcher both({"b", "ab"});
  EXPECT_EQ(both.Push("xab").text, "x");
}

TEST(StopMatcherProperty, PiecesMakeNoDifference) {
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    const auto word = [&](int low, int high) {
      std::string text(static_cast<size_t>(pick(low, high)), ' ');
      for (char& c : text) c = static_cast<char>('a' + pick(0, 1));
      return text;
    };
    std::vector<std::string> stops;
    for (int i = pick(1, 3); i > 0; --i) stops.push_back(word(1, 5));
    const std::string text = word(0, 20);

    // By definition: the shortest prefix that ends with a stop text, less the longest such.
    std::string expected = text;
    bool expect_stop = false;
    for (size_t end = 1; end <= text.size() && !expect_stop; ++end) {
      size_t longest = 0;
      for (const std::string& stop : stops) {
        if (text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
      }
      expect_stop = longest > 0;
      if (expect_stop) expected = text.substr(0, end - longest);
    }

    StopMatcher matcher(stops);
    std::string shown;
    bool stopped = false;
    for (size_t at = 0; at < text.size() && !stopped;) {
      const size_t length = std::min(static_cast<size_t>(pick(1, 4)), text.size() - at);
      const auto piece = matcher.Push(std::string_view(text).substr(at, length));
      shown += piece.text;
      EXPECT_TRUE(expected.starts_with(shown)) << "seed " << seed << ": showed a part of a stop text";
      stopped = piece.stopped;
      at += length;
    }
    shown += matcher.Finish();
    EXPECT_EQ(shown, expected) << "seed " << seed;
    EXPECT_EQ(stopped, expect_stop) << "seed " << seed;
  }
}

}  // namespace
}  // namespace lodestone
