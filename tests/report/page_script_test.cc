#include "report/page_script.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "report/html.h"
#include "report/markup_check.h"
#include "report/svg_ranges.h"

namespace lodestone {
namespace {

using testing::CountOf;
using testing::MarkupFault;

// "sha256-" and the base64 of what coreutils say of the text.
std::string HashOf(std::string_view text) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("lodestone_page_script_" + std::to_string(getpid()));
  std::ofstream(file, std::ios::binary) << text;
  const std::string command =
      "sha256sum " + file.string() + " | cut -c1-64 | tr -d '\\n' | tr a-f A-F | basenc -d --base16 | base64 -w0";
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[128] = {};
  const size_t size = fread(buffer, 1, sizeof(buffer) - 1, pipe);
  const int status = pclose(pipe);
  std::filesystem::remove(file);
  return status == 0 ? "sha256-" + std::string(buffer, size) : "";
}

TEST(PageScript, HashIsOfTheScript) { EXPECT_EQ(PageScriptHash(), HashOf(PageScript())); }

TEST(PageScript, EndsNowhereInside) { EXPECT_EQ(CountOf(PageScript(), "</"), 0u); }

std::string PageWith(bool live) {
  HtmlPage page("t", "l");
  page.Section("s");
  HtmlCell cell("1,234");
  cell.value = 1234.5;
  page.Table({.caption = "c", .columns = {{.heading = "a"}}, .rows = {{cell}}, .live = live});
  page.Downloads(std::vector<HtmlPage::Attachment>{{"<a>.csv", "text/csv", "any carnal pleas"}});
  return std::move(page).Finish();
}

TEST(PageScript, OnlyPagesWithLiveTablesHaveOne) {
  const std::string live = PageWith(true), still = PageWith(false);
  EXPECT_EQ(CountOf(live, "<script>"), 1u);
  EXPECT_EQ(CountOf(live, "script-src '" + std::string(PageScriptHash()) + "'"), 1u);
  EXPECT_EQ(CountOf(still, "script"), 0u);
  EXPECT_EQ(CountOf(live, "data-v=\"1234.5\""), 1u);
}

TEST(PageScript, DownloadsAreBase64) {
  // RFC 4648: one byte over a multiple of three.
  EXPECT_EQ(
      CountOf(PageWith(false), "<a download=\"&lt;a&gt;.csv\" href=\"data:text/csv;base64,YW55IGNhcm5hbCBwbGVhcw==\">"),
      1u);
}

TEST(RangeRows, DrawsBarsMarksAndLegend) {
  const RangeRows chart{.title = "t",
                        .description = "d",
                        .axis = {.label = "x", .scale = Scale::kLog},
                        .rows = {{.label = "one", .value = 10, .low = 5, .high = 20, .text = "10", .tip = "tip"},
                                 {.label = "two", .value = 100, .hollow = true},
                                 {.label = "none", .value = 0}},
                        .legend = {{.name = "kind", .mark = LegendEntry::Mark::kHollow}}};
  const std::string svg = Render(chart).text;
  EXPECT_EQ(MarkupFault(svg), "");
  EXPECT_EQ(CountOf(svg, "class=\"span c0\""), 1u);
  EXPECT_EQ(CountOf(svg, "class=\"dot c0\""), 1u);
  EXPECT_EQ(CountOf(svg, "class=\"ring c0\""), 2u);  // the row and the legend
  EXPECT_EQ(CountOf(svg, "none"), 0u);
}

TEST(RangeRows, DrawsNothingWithoutRows) { EXPECT_EQ(MarkupFault(Render(RangeRows{}).text), ""); }

}  // namespace
}  // namespace lodestone
