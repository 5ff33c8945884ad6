#include "text/regex.h"

#include <gtest/gtest.h>

#include "text/regex_dialect.h"

namespace lodestone {
namespace {

// The parts of `text` that match, in brackets.
std::string Marked(std::string_view pattern, std::string_view text) {
  const Result<Regex> regex = Regex::Compile(pattern);
  if (!regex.ok()) return regex.error().message;
  RegexSearch search(*regex);
  const auto found = search.FindAll(text);
  if (!found.ok()) return found.error().message;
  std::string out;
  size_t done = 0;
  for (const TextRange& range : *found) {
    out += text.substr(done, range.begin - done);
    out += "[" + std::string(text.substr(range.begin, range.end - range.begin)) + "]";
    done = range.end;
  }
  return out + std::string(text.substr(done));
}

TEST(Regex, FindsAllMatchesFromLeftToRight) {
  EXPECT_EQ(Marked("a+", "aabaa"), "[aa]b[aa]");
  EXPECT_EQ(Marked("x", "aabaa"), "aabaa");
  EXPECT_EQ(Marked(R"(\s+(?!\S))", "a   b  "), "a[  ] b[  ]");
  EXPECT_EQ(Marked("(?i:'s)", "'S's'\u017f"), "['S]['s]['\u017f]");
  EXPECT_EQ(Marked(".", "\u6f22\U0001F44D"), "[\u6f22][\U0001F44D]");
}

TEST(Regex, EmptyMatchesMoveOnByACharacter) {
  EXPECT_EQ(Marked("x*", "a\u00e9x"), "[]a[]\u00e9[x]");
  EXPECT_EQ(Marked("(?=b)", "abab"), "a[]ba[]b");
  EXPECT_EQ(Marked("x*", ""), "[]");
}

TEST(Regex, LineEndsAreThoseOfRuby) {
  EXPECT_EQ(Marked("^a$", "a\na"), "[a]\n[a]");
  EXPECT_EQ(Marked(".", "\r\n"), "[\r]\n");
}

// Each line is what the reference implementation does with the construct, not what PCRE2 would.
TEST(RegexDialect, ReadsClassesAsOnigurumaDoes) {
  EXPECT_EQ(Marked(R"(\s)", " \u180e\u0085"), "[ ]\u180e[\u0085]");
  EXPECT_EQ(Marked(R"(\S)", " \u180e"), " [\u180e]");
  EXPECT_EQ(Marked(R"([^\S\n])", " \n\u180e"), "[ ]\n\u180e");
  EXPECT_EQ(Marked(R"(\w+)", "a\u0301\u00bd-b"), "[a\u0301\u00bd]-[b]");
  EXPECT_EQ(Marked(R"([\w]+)", "a\u0301\u00bd-b"), "[a\u0301]\u00bd-[b]");
  EXPECT_EQ(Marked(R"(\W)", "a\u0301-"), "a\u0301[-]");
  EXPECT_EQ(Marked(R"(\h+\H)", "0aFg "), "[0aFg] ");
  EXPECT_EQ(Marked(R"([x\s-])", "-y x"), "[-]y[ ][x]");
  EXPECT_EQ(Marked(R"([[:punct:]])", "+\u20ac!a"), "[+][\u20ac][!]a");
  EXPECT_EQ(Marked(R"([[:alpha:]_]+)", "a\u0345_1"), "[a\u0345_]1");
  EXPECT_EQ(Marked(R"(\p{Han}+)", "\u6f22\u3001\u5b57"), "[\u6f22]\u3001[\u5b57]");
  EXPECT_EQ(Marked(R"(\P{Han}+)", "\u6f22\u3001a"), "\u6f22[\u3001a]");
  EXPECT_EQ(Marked(R"(\u00e9{,2})", "\u00e9\u00e9\u00e9"), "[\u00e9\u00e9][\u00e9]");
  EXPECT_EQ(Marked(R"([]a]+)", "a]b"), "[a]]b");
  EXPECT_EQ(Marked(R"(a{,b}|\p{L}{2})", "a{,b}xy"), "[a{,b}][xy]");
  EXPECT_EQ(Marked(R"([\p{Lu}&\[]+)", "A&[b"), "[A&[]b");
}

TEST(RegexDialect, RefusesWhatTheLibrariesReadDifferently) {
  for (const char* pattern : {R"(\p{N}{1,3}+)", R"(\bword)", R"(\B)", R"([a[bc]])", R"([a-z&&[^b]])", "(?m:.)",
                              "(?im)a", R"(\Qa\E)", R"([\W])", R"([[:graph:]])", R"(\u12)"}) {
    const Result<std::string> translated = TranslatePattern(pattern);
    ASSERT_FALSE(translated.ok()) << pattern << " became " << *translated;
    EXPECT_EQ(translated.error().code, ErrorCode::kUnsupported);
    EXPECT_NE(translated.error().message.find("of the pattern"), std::string::npos) << translated.error().message;
  }
}

TEST(Regex, RefusesPatternsThatDoNotCompile) {
  EXPECT_NE(Marked("(a", "").find("does not compile"), std::string::npos);
  EXPECT_NE(Marked(R"([\s-x])", "").find("invalid range"), std::string::npos);
  EXPECT_NE(Marked(R"(\C)", "").find("does not compile"), std::string::npos) << "a single byte of a character";
  EXPECT_NE(Marked(R"(\p{Klingonian})", "").find("does not compile"), std::string::npos);
  EXPECT_FALSE(Regex::Compile(std::string(100000, 'a')).ok());
  EXPECT_FALSE(Regex::Compile(std::string(1000, '(') + std::string(1000, ')')).ok());
}

TEST(Regex, GivesUpWithAnErrorInsteadOfHanging) {
  const std::string message = Marked("(?:a|aa)+[bc]", std::string(64, 'a'));
  EXPECT_NE(message.find("gave up at byte 0"), std::string::npos) << message;
  EXPECT_NE(message.find("limit"), std::string::npos) << message;
}

TEST(Regex, PatternsThatOverflowTheMachineStackStillMatch) {
  const std::string text(200000, 'a');
  EXPECT_EQ(Marked("(?:a|b)+", text), "[" + text + "]");
}

}  // namespace
}  // namespace lodestone
