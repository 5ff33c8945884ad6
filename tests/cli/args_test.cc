#include "cli/args.h"

#include <gtest/gtest.h>

#include "cli/command.h"
#include "cli/layout.h"

namespace lodestone::cli {
namespace {

// Every kind of target once.
struct Values {
  bool loud = false;
  int64_t users = 1;
  double heat = 0;
  std::string model;
  std::optional<int64_t> context;
  std::optional<double> power;
  std::optional<std::string> file;
  std::vector<std::string> stop;
  std::optional<std::string> name;

  CommandLine Line() {
    return {
        .name = "try",
        .summary = "For tests.",
        .options = {{"--loud", "", "A switch.", &loud},
                    {.name = "--users", .value = "N", .help = "A count.", .target = &users, .min = 1, .max = 10},
                    {.name = "--heat", .value = "T", .help = "A real.", .target = &heat, .min = 0, .max = 2},
                    {.name = "--model", .value = "DIR", .help = "A text.", .target = &model, .required = true},
                    {.name = "--context", .value = "C", .help = "A count.", .target = &context, .min = 1, .max = 1e9},
                    {.name = "--power-w", .value = "W", .help = "Watts.", .target = &power, .min = 0, .max = 1e6},
                    {.name = "--file", .value = "FILE", .help = "A file.", .target = &file},
                    {.name = "--stop", .value = "TEXT", .help = "Texts.", .target = &stop}},
        .operand = "NAME",
        .operand_help = "A name.",
        .operand_target = &name,
        .examples = {{"an example", "lodestone try --model m"}}};
  }
  Result<Parsed> Read(std::vector<std::string> words) { return Parse(Line(), words); }
};

TEST(Args, FillsEveryKindOfTarget) {
  Values values;
  const auto parsed = values.Read({"--loud", "--users", "3", "--heat=0.5", "--model", "m", "--context", "2048",
                                   "--power-w", "42", "--file", "f", "--stop", "a", "--stop", "b", "here"});
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(*parsed, Parsed::kRun);
  EXPECT_TRUE(values.loud);
  EXPECT_EQ(values.users, 3);
  EXPECT_EQ(values.heat, 0.5);
  EXPECT_EQ(values.model, "m");
  EXPECT_EQ(values.context, 2048);
  EXPECT_EQ(values.power, 42);
  EXPECT_EQ(values.file, "f");
  EXPECT_EQ(values.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(values.name, "here");
}

TEST(Args, LeavesWhatIsNotGiven) {
  Values values;
  ASSERT_TRUE(values.Read({"--model", "m"}).ok());
  EXPECT_EQ(values.users, 1);
  EXPECT_FALSE(values.context.has_value());
  EXPECT_FALSE(values.name.has_value());
}

TEST(Args, OperandsOfAnyNumberStandAnywhere) {
  std::vector<std::string> files;
  bool loud = false;
  std::string out;
  const CommandLine line{.name = "try",
                         .summary = "For tests.",
                         .options = {{"--loud", "", "A switch.", &loud}, {"--out", "FILE", "A file.", &out}},
                         .operand = "FILE...",
                         .operand_help = "Files.",
                         .operands_target = &files};
  const std::vector<std::string> words{"a", "--loud", "b", "--out", "c", "d e"};
  const auto parsed = Parse(line, words);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(files, (std::vector<std::string>{"a", "b", "d e"}));
  EXPECT_EQ(out, "c");
  EXPECT_NE(HelpText(line).find("lodestone try [FILE...] [--loud]"), std::string::npos) << HelpText(line);
  const std::vector<std::string> unknown{"a", "--lud"};
  const auto refused = Parse(line, unknown);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("did you mean --loud?"), std::string::npos) << refused.error().message;
}

// Texts arrive as they were written, whatever they look like.
TEST(Args, TextsAreTakenLiterally) {
  for (const std::string text : {"", "[a,b]", "a b\nc", "{}", "-", "ünï", "%s", "\"quoted\""}) {
    Values values;
    const auto parsed = values.Read({"--model", text});
    ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.error().message;
    EXPECT_EQ(values.model, text);
    Values repeated;
    ASSERT_TRUE(repeated.Read({"--model", "m", "--stop", text, "--stop", "x"}).ok()) << text;
    EXPECT_EQ(repeated.stop, (std::vector<std::string>{text, "x"}));
  }
  Values dashes;
  ASSERT_TRUE(dashes.Read({"--model=--users"}).ok());
  EXPECT_EQ(dashes.model, "--users");
}

TEST(Args, WhatCannotBeUnderstoodIsAUsageFault) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
      {{"--model", "m", "--user", "3"}, "did you mean --users?"},
      {{"--model", "m", "--nonsense"}, "'try' has no option '--nonsense';"},
      {{"--model", "m", "--users", "three"}, "--users takes a whole number, not 'three'"},
      {{"--model", "m", "--users", "3.5"}, "--users takes a whole number"},
      {{"--model", "m", "--users", "99999999999999999999"}, "--users takes a whole number"},
      {{"--model", "m", "--heat", "nan"}, "--heat takes a number"},
      {{"--model", "m", "--users"}, "--users"},
      {{"--users", "3"}, "'try' needs --model DIR"},
      {{"--model", "m", "one", "two"}, "'two' was not expected"},
  };
  for (const auto& [words, expected] : cases) {
    Values values;
    const auto parsed = values.Read(words);
    ASSERT_FALSE(parsed.ok()) << expected;
    EXPECT_EQ(parsed.error().code, ErrorCode::kUnsupported) << parsed.error().message;
    EXPECT_NE(parsed.error().message.find(expected), std::string::npos) << parsed.error().message;
    EXPECT_NE(parsed.error().message.find("lodestone try --help"), std::string::npos) << parsed.error().message;
  }
}

TEST(Args, RefusedValuesAreInputFaults) {
  for (const char* users : {"0", "-1", "11"}) {
    Values values;
    const auto parsed = values.Read({"--model", "m", "--users", users});
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(parsed.error().message, std::string("--users is '") + users + "'; it must lie between 1 and 10");
  }
}

TEST(Args, HelpWinsOverFaults) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--help"}, {"-h"}, {"--nonsense", "--help"}}) {
    Values values;
    const auto parsed = values.Read(words);
    ASSERT_TRUE(parsed.ok()) << words[0];
    EXPECT_EQ(*parsed, Parsed::kHelp);
  }
}

// The words of an example behind the command's name, as a shell splits them: quotes group, a backslash joins lines.
std::vector<std::string> WordsOf(const std::string& example, const std::string& command) {
  std::vector<std::string> words;
  bool quoted = false, inside = false;
  std::string word;
  for (const char c : example.substr(example.find("lodestone " + command) + 10 + command.size()) + " ") {
    if (c == '"') {
      quoted = !quoted;
      inside = true;
    } else if (!quoted && (c == ' ' || c == '\n' || c == '\\')) {
      if (inside) words.push_back(word);
      word.clear();
      inside = false;
    } else {
      word += c;
      inside = true;
    }
  }
  return words;
}

TEST(Args, ExamplesParse) {
  for (const auto& command : AllCommands()) {
    const CommandLine line = command->Line();
    for (const Example& example : line.examples) {
      ASSERT_NE(example.line.find("lodestone " + line.name), std::string::npos) << example.line;
      const auto parsed = Parse(command->Line(), WordsOf(example.line, line.name));
      EXPECT_TRUE(parsed.ok()) << example.line << ": " << parsed.error().message;
    }
  }
}

// Help of every command: its options, examples, lines that fit.
TEST(Args, HelpTeachesEveryCommand) {
  for (const auto& command : AllCommands()) {
    const CommandLine line = command->Line();
    const std::string help = HelpText(line);
    for (const Option& option : line.options)
      EXPECT_NE(help.find("\n  " + option.name), std::string::npos) << option.name;
    for (size_t begin = 0; begin < help.size(); begin = help.find('\n', begin) + 1) {
      const std::string text = help.substr(begin, help.find('\n', begin) - begin);
      EXPECT_LE(Columns(text), kWidth) << text;
    }
    EXPECT_FALSE(line.examples.empty()) << line.name;
    EXPECT_NE(help.find("--json"), std::string::npos) << line.name;
  }
}

}  // namespace
}  // namespace lodestone::cli
