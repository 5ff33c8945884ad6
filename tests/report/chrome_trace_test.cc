#include "report/chrome_trace.h"

#include <gtest/gtest.h>

namespace lodestone {
namespace {

struct Written {
  std::string text;
  int pieces = 0;
  std::function<void(std::string_view)> sink() {
    return [this](std::string_view piece) {
      text += piece;
      ++pieces;
    };
  }
  Json Parsed() const {
    const auto json = ParseJson(text, "trace");
    EXPECT_TRUE(json.ok()) << (json.ok() ? "" : json.error().message);
    return json.ok() ? *json : Json();
  }
};

const Json* EventNamed(const Json& trace, std::string_view name) {
  for (const Json& event : *trace.Find("traceEvents")->as_array()) {
    if (*event.Find("name")->as_string() == name) return &event;
  }
  return nullptr;
}

TEST(ChromeTrace, IsJsonWithExactTimes) {
  Written written;
  ChromeTrace trace(written.sink());
  trace.NameProcess(1, "card 0 \"quoted\"");
  trace.NameThread(1, 2, "array", 0);
  trace.Span(1, 2, "decode <1>", "pass", Time{1'234'567'890'123}, Time{1'234'567'890'124}, {{"rows", 2}});
  trace.Count(1, "framebuffer", "bytes", Time{5}, 1024);
  trace.Finish({{"provenance", "simulated"}});
  const Json json = written.Parsed();
  EXPECT_NE(written.text.find("\"ts\":1234567.890123,\"dur\":0.000001"), std::string::npos) << written.text;
  const Json* span = EventNamed(json, "decode <1>");
  ASSERT_TRUE(span);
  EXPECT_EQ(*span->Find("ph")->as_string(), "X");
  EXPECT_EQ(*span->Find("args")->Find("rows")->as_int(), 2);
  const Json* count = EventNamed(json, "framebuffer");
  ASSERT_TRUE(count);
  EXPECT_EQ(*count->Find("ph")->as_string(), "C");
  EXPECT_EQ(*count->Find("args")->Find("bytes")->as_number(), 1024);
  const Json* process = EventNamed(json, "process_name");
  ASSERT_TRUE(process);
  EXPECT_EQ(*process->Find("args")->Find("name")->as_string(), "card 0 \"quoted\"");
  EXPECT_EQ(*json.Find("otherData")->Find("provenance")->as_string(), "simulated");
}

TEST(ChromeTrace, OfNothingIsJson) {
  Written written;
  ChromeTrace trace(written.sink());
  trace.Finish({});
  EXPECT_EQ(written.Parsed().Find("traceEvents")->as_array()->size(), 0u);
}

TEST(ChromeTrace, StopsAtItsBoundAndSaysWhere) {
  Written written;
  ChromeTrace trace(written.sink(), 10);
  for (int i = 0; i < 25; ++i) trace.Span(1, 1, "s", "c", Time{i * 1'000'000}, Time{i * 1'000'000 + 1});
  EXPECT_EQ(trace.events(), 10);
  EXPECT_EQ(trace.left_out(), 15);
  trace.Finish({});
  const Json json = written.Parsed();
  const Json* cut = EventNamed(json, "Cut here: 10 events are shown, 15 more were left out");
  ASSERT_TRUE(cut) << written.text;
  EXPECT_EQ(*cut->Find("ts")->as_number(), 10);
  EXPECT_EQ(*json.Find("otherData")->Find("events_left_out")->as_int(), 15);
}

TEST(ChromeTrace, IsWrittenInPieces) {
  Written written;
  ChromeTrace trace(written.sink());
  for (int i = 0; i < 5000; ++i) trace.Span(1, 1, "span", "c", Time{i * 10}, Time{i * 10 + 5});
  trace.Finish({});
  EXPECT_GT(written.pieces, 3);
  EXPECT_EQ(written.Parsed().Find("traceEvents")->as_array()->size(), 5000u);
}

}  // namespace
}  // namespace lodestone
