#include "report/csv.h"

#include <gtest/gtest.h>

#include <random>

namespace lodestone {
namespace {

using Records = std::vector<std::vector<std::string>>;

Result<Records> ReadAll(std::string_view text) {
  CsvReader reader(text, "t.csv");
  Records records;
  std::vector<std::string> fields;
  while (true) {
    LODESTONE_ASSIGN_OR_RETURN(const bool more, reader.Next(fields));
    if (!more) return records;
    records.push_back(fields);
  }
}

std::string Refused(std::string_view text) {
  const Result<Records> records = ReadAll(text);
  return records.ok() ? "" : records.error().message;
}

TEST(Csv, ReadsFieldsAndLineEnds) {
  EXPECT_EQ(*ReadAll("a,b\n1,2\n"), (Records{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(*ReadAll("a,b\r\n1,2"), (Records{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(*ReadAll(",\n\n"), (Records{{"", ""}, {""}}));
  EXPECT_EQ(*ReadAll(""), Records{});
}

TEST(Csv, QuotesHoldCommasQuotesAndLines) {
  EXPECT_EQ(*ReadAll("\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\"\"\n"),
            (Records{{"a,b", "say \"x\"", "two\nlines", ""}}));
}

TEST(Csv, LinesAreThoseOfTheTextNotOfTheRecords) {
  const std::string text = "a\n\"1\n2\n3\"\nb\n";
  CsvReader reader(text, "t.csv");
  std::vector<std::string> fields;
  for (const int line : {1, 2, 5}) {
    ASSERT_TRUE(*reader.Next(fields));
    EXPECT_EQ(reader.line(), line);
  }
  EXPECT_FALSE(*reader.Next(fields));
}

TEST(Csv, RefusesWithFileAndLine) {
  EXPECT_EQ(Refused("a\n\"b\n"), "t.csv:2: a quote that is not closed");
  EXPECT_NE(Refused("a\nb\"c\n").find("t.csv:2: a quote inside a field"), std::string::npos);
  EXPECT_NE(Refused("\"a\"b\n").find("t.csv:1: text behind a closing quote"), std::string::npos);
  EXPECT_NE(Refused("a\rb\n").find("carriage return"), std::string::npos);
  const std::string longest(CsvReader::kMaxField, 'x');
  EXPECT_EQ(Refused(longest), "");
  EXPECT_EQ(Refused('"' + longest + '"'), "");
  EXPECT_NE(Refused(longest + "x").find("longer than 4096"), std::string::npos);
  EXPECT_NE(Refused("\"" + longest + "\"\"\"").find("longer than 4096"), std::string::npos);
}

TEST(CsvProperty, WhatIsWrittenReadsBack) {
  std::mt19937 random(7);
  const std::string letters = "ab,\"\n\r ";
  for (int round = 0; round < 200; ++round) {
    Records records(1 + random() % 4);
    std::string text;
    for (auto& record : records) {
      record.resize(1 + random() % 4);
      for (size_t i = 0; i < record.size(); ++i) {
        for (size_t n = random() % 5; n > 0; --n) record[i] += letters[random() % letters.size()];
        text += (i ? "," : "") + CsvField(record[i]);
      }
      text += '\n';
    }
    const Result<Records> back = ReadAll(text);
    ASSERT_TRUE(back.ok()) << back.error().message << "\n" << text;
    EXPECT_EQ(*back, records) << text;
  }
}

}  // namespace
}  // namespace lodestone
