#include "report/html.h"

#include <gtest/gtest.h>

#include "report/markup_check.h"
#include "report/svg_bars.h"

namespace lodestone {
namespace {

using testing::CountOf;
using testing::MarkupFault;

constexpr const char* kHostile = "<script>alert(\"x\")</script> & 'y'";

std::string EveryPart(const std::string& text) {
  HtmlPage page(text, text);
  page.Section(text);
  page.Heading(text);
  page.Paragraph(text);
  page.Note(text);
  page.List(std::vector<std::string>{text, text});
  page.Tiles(std::vector<HtmlTile>{
      {.label = text, .value = "1", .unit = text, .provenance = Provenance::kSimulated, .lines = {text}}});
  page.Section(text);
  page.OpenFold(text);
  page.Table({.caption = text,
              .columns = {{.heading = text, .number = false},
                          {.heading = text, .unit = text, .provenance = Provenance::kPublished}},
              .rows = {{text, HtmlCell("2", Provenance::kEstimated, text)}, {text}}});
  page.CloseFold();
  page.Figure(Render(StackedBars{.title = text,
                                 .description = text,
                                 .axis = text,
                                 .parts = {{text}},
                                 .bars = {{text, {1}, text}},
                                 .limit = 2,
                                 .limit_name = text}),
              text, Provenance::kSimulated);
  return std::move(page).Finish();
}

TEST(Html, EscapesWhatMarkupUses) {
  EXPECT_EQ(EscapeMarkup("a<b & \"c\" > 'd'"), "a&lt;b &amp; &quot;c&quot; &gt; &#39;d&#39;");
  EXPECT_EQ(EscapeMarkup("10⁶ µs – ×"), "10⁶ µs – ×");
}

TEST(Html, ReplacesBytesThatAreNoText) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(EscapeMarkup("a\xFFz"), "a" + replacement + "z");
  EXPECT_EQ(EscapeMarkup("\xC0\xAF"), replacement + replacement);     // overlong
  EXPECT_EQ(EscapeMarkup("\xED\xA0\x80").substr(0, 3), replacement);  // a surrogate
  EXPECT_EQ(EscapeMarkup(std::string_view("a\0b", 3)), "a" + replacement + "b");
  EXPECT_EQ(EscapeMarkup("\xE2\x82"), replacement + replacement);  // cut short
}

TEST(Html, PageIsWellFormedWhateverTheTextHolds) {
  for (const std::string& text : {std::string("plain"), std::string(kHostile), std::string("\xFF\x01")}) {
    const std::string page = EveryPart(text);
    EXPECT_EQ(MarkupFault(page), "");
    EXPECT_EQ(CountOf(page, "alert(\"x\")"), 0u);
  }
}

TEST(Html, CheckerSeesFaults) {
  EXPECT_NE(MarkupFault("<p>a"), "");
  EXPECT_NE(MarkupFault("<b><i></b></i>"), "");
  EXPECT_NE(MarkupFault("a & b"), "");
  EXPECT_NE(MarkupFault("<p class=x></p>"), "");
  EXPECT_NE(MarkupFault("<script>1</script>"), "");
  EXPECT_NE(MarkupFault("<a href=\"https://example.com\"></a>"), "");
  EXPECT_NE(MarkupFault("<p id=\"a\"></p><p id=\"a\"></p>"), "");
}

TEST(Html, PageAsksNothingOfAnyNetwork) {
  const std::string page = EveryPart("plain");
  EXPECT_EQ(CountOf(page, "url("), 0u);
  EXPECT_EQ(CountOf(page, "@import"), 0u);
  EXPECT_EQ(CountOf(page, "http"), CountOf(page, "http-equiv") + CountOf(page, "xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_EQ(CountOf(page, "default-src 'none'"), 1u);
}

TEST(Html, ServesScreenReadersAndBothColourSchemes) {
  const std::string page = EveryPart("plain");
  EXPECT_EQ(CountOf(page, "<html lang=\"en\">"), 1u);
  EXPECT_EQ(CountOf(page, "<h1>"), 1u);
  EXPECT_EQ(CountOf(page, "<caption>"), CountOf(page, "<table>"));
  EXPECT_EQ(CountOf(page, "role=\"img\""), CountOf(page, "<desc>"));
  EXPECT_EQ(CountOf(page, "<th scope=\"row\">"), 2u);
  EXPECT_GE(CountOf(page, "prefers-color-scheme:dark"), 1u);
  EXPECT_EQ(CountOf(page, "<li><a href=\"#s2\">plain</a></li>"), 1u);
}

TEST(Html, FiguresSayWhereTheyComeFrom) {
  const std::string page = EveryPart("plain");
  EXPECT_EQ(CountOf(page, "<span class=\"from\">simulated</span>"), 2u);  // the tile and the drawing
  EXPECT_EQ(CountOf(page, "<span class=\"from\">published</span>"), 1u);
  EXPECT_EQ(CountOf(page, "<span class=\"from\">estimated</span>"), 1u);
}

TEST(Html, IsTheSameEveryTime) { EXPECT_EQ(EveryPart(kHostile), EveryPart(kHostile)); }

}  // namespace
}  // namespace lodestone
