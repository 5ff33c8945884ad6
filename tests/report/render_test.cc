#include <gtest/gtest.h>

#include "report/run_record.h"
#include "report/text_width.h"

namespace lodestone {
namespace {

size_t WidestLine(const std::string& text) {
  size_t widest = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    widest = std::max(widest, TextWidth(std::string_view(text).substr(begin, end - begin)));
    begin = end + 1;
  }
  return widest;
}

RunRecord Hpec() {
  BatchRun run;
  run.users = 28;
  run.tokens_generated = 28 * 1024;
  run.prompt_time_s = 0.1;
  run.token_gen_time_s = 0.9;
  run.cards = 16;
  run.transistors_per_card = 22e9;
  run.power_reason = "this host has no energy counter that an ordinary user may read, and --power-w was not given";
  run.ttft_s = 0.0514;
  run.itl_s = 0.0000987;
  run.provenance = Provenance::kSimulated;
  RunRecord record;
  record.measures = MeasuresOf(run);
  return record;
}

RunRecord HpecBesidePublished() {
  RunRecord record = Hpec();
  const std::string source = "Appuswamy et al., HPEC 2024";
  record.published = {{"system_throughput_tokens_per_s", 28356, source},
                      {"latency_s_per_token", 0.987e-3, source},
                      {"energy_metric_tokens_per_j", 42.2, source},
                      {"not_measured_here", 1, "another paper"}};
  return record;
}

TEST(RenderMeasures, LooksLikeThis) {
  EXPECT_EQ(RenderMeasures(Hpec(), 100),
            "  Measure                      Value  Unit                          Provenance\n"
            "  Tokens generated            28,672  tokens                        simulated\n"
            "  Prompt time                    100  ms                            simulated\n"
            "  Token generation time          900  ms                            simulated\n"
            "  System throughput           28,672  tokens/s                      simulated\n"
            "  Throughput a card            1,792  tokens/s                      simulated\n"
            "  Latency                      0.977  ms/token                      simulated\n"
            "  Space metric                  81.5  tokens/s per 1e9 transistors  simulated\n"
            "  Energy metric          unavailable\n"
            "  Time to first token           51.4  ms                            simulated\n"
            "  Time between tokens           98.7  µs                            simulated\n"
            "\n"
            "  Energy metric: unavailable, this host has no energy counter that an ordinary user may read, and\n"
            "    --power-w was not given.\n");
}

TEST(RenderMeasures, PublishedFiguresStandBesideWithTheError) {
  const std::string text = RenderMeasures(HpecBesidePublished(), 100);
  EXPECT_NE(text.find("Provenance  Published   Error\n"), std::string::npos) << text;
  EXPECT_NE(text.find("simulated      28,356  +1.1 %\n"), std::string::npos) << text;
  EXPECT_NE(text.find("simulated       0.987  -1.1 %\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Published by Appuswamy et al., HPEC 2024; another paper."), std::string::npos) << text;
}

TEST(RenderMeasures, FitsItsWidth) {
  for (const RunRecord& record : {Hpec(), HpecBesidePublished()}) {
    for (int width : {100, 80}) {
      const std::string text = RenderMeasures(record, width);
      EXPECT_LE(WidestLine(text), static_cast<size_t>(width)) << text;
    }
  }
}

TEST(RenderMeasures, NarrowTablesPutPublishedFiguresBelow) {
  const std::string text = RenderMeasures(HpecBesidePublished(), 80);
  EXPECT_NE(text.find("  System throughput: published 28,356 tokens/s, error +1.1 %.\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  Energy metric: published 42.2 tokens/J.\n"), std::string::npos) << text;
}

TEST(RenderMeasures, RangesAndOtherMeasuresAreShownAsTheyAre) {
  RunRecord record;
  Measure measure = Measure::Of("latency_s_per_token", 1e-3, "s/token", Provenance::kEstimated);
  measure.low = 0.8e-3;
  measure.high = 1.5e-3;
  record.measures = {measure, Measure::Of("goodput", 12.5, "requests/s", Provenance::kMeasured)};
  EXPECT_EQ(RenderMeasures(record, 100),
            "  Measure  Value  Unit                        Range  Provenance\n"
            "  Latency   1.00  ms/token    0.800 – 1.50 ms/token  estimated\n"
            "  goodput   12.5  requests/s                         measured\n");
}

TEST(RenderTable, TextIsLeftAndNumbersAreRight) {
  EXPECT_EQ(RenderTable({{"name", "count", "note"}, {"µ", "5", "x"}, {"longer", "−1,000", ""}}),
            "  name     count  note\n"
            "  µ            5  x\n"
            "  longer  −1,000\n");
  EXPECT_EQ(RenderTable({{"a", "b"}, {"c"}}, "> "), "> a  b\n> c\n");
  EXPECT_EQ(RenderTable({{"ms"}, {"–"}, {"–"}, {"2.80"}}), "    ms\n     –\n     –\n  2.80\n") << "– is no text";
  EXPECT_EQ(RenderTable({}), "");
}

TEST(TextWidth, CountsCodePoints) {
  EXPECT_EQ(TextWidth(""), 0u);
  EXPECT_EQ(TextWidth("µs – x"), 6u);
  EXPECT_EQ(TextWidth("日本"), 2u);
}

TEST(TextWidth, WrapsAtSpaces) {
  EXPECT_EQ(WrapText("one two  three", 7), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(WrapText("unbreakable ab", 4), (std::vector<std::string>{"unbreakable", "ab"}));
  EXPECT_TRUE(WrapText("  ", 4).empty());
}

}  // namespace
}  // namespace lodestone
