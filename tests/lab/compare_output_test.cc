#include <gtest/gtest.h>

#include <map>

#include "compare_sample.h"
#include "report/csv.h"
#include "report/markup_check.h"

namespace lodestone::testing {
namespace {

// Every field of a CSV by the name of its column, a map a row.
std::vector<std::map<std::string, std::string>> ReadCsv(const std::string& text) {
  CsvReader reader(text, "compare.csv");
  std::vector<std::string> header, fields;
  EXPECT_TRUE(*reader.Next(header));
  std::vector<std::map<std::string, std::string>> rows;
  while (*reader.Next(fields)) {
    EXPECT_EQ(fields.size(), header.size());
    for (size_t i = 0; i < header.size() && i < fields.size(); ++i) {
      if (i == 0) rows.emplace_back();
      rows.back()[header[i]] = fields[i];
    }
  }
  return rows;
}

constexpr const char* kTable =
    R"table(  target                    batch  tokens/s       low – high  /device  /user    TTFT      TPOT      W  basis  tokens/J   memory
  this host              m      1       120         96 – 150      120    120  250 ms   4.17 ms     40  limit         3        –
  northpole-16           s      8    28,356  22,685 – 35,445   28,356  3,544       –  0.141 ms  9,452  limit         3        –
  a100-40gb × 4, <fast>  e      1      90.5       72.4 – 113     22.6   90.5       –   5.52 ms   30.2  limit         3  1.5 KiB
  a100-40gb × 4, <fast>  e      8       724        579 – 905      181   90.5       –   5.52 ms    241  limit         3  1.5 KiB
  A100                   p      1        57      45.6 – 71.2       57     57       –   8.77 ms     19  limit         3        –  [1]
  kv260                  e      1         –                         –      –       –         –      –                –        –  [2]

  m measured on this host, s simulated by the event model, e estimated by a roofline, p published.
  Tokens are generated ones. /user is 1 / TPOT, or throughput / batch where no TPOT is known. W is of all
  devices together; memory is of the fullest device.
  [1] throughput counts prompt tokens
  [2] 13.0 GiB of weights do not fit into 4.0 GiB
)table";

TEST(CompareOutput, TableIsAsDocumented) { EXPECT_EQ(CompareTable(SampleComparison()), kTable); }

TEST(CompareOutput, CsvReadsBack) {
  const ComparisonResult result = SampleComparison();
  const auto rows = ReadCsv(CompareCsv(result));
  ASSERT_EQ(rows.size(), result.rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const ComparedRow& row = result.rows[i];
    std::map<std::string, std::string> read = rows[i];
    EXPECT_EQ(read["target"], row.label);
    EXPECT_EQ(read["provenance"], ToString(row.provenance));
    EXPECT_EQ(read["status"], row.ok() ? "ok" : "refused");
    EXPECT_EQ(read["source"], row.source);
    EXPECT_EQ(read["reason"], row.reason);
    EXPECT_EQ(read["weight_bytes"], row.memory ? std::to_string(row.memory->weights) : "");
    for (const CompareMetric& metric : CompareMetrics()) {
      const std::optional<ComparedFigure>& figure = row.*metric.figure;
      const std::string name(metric.name);
      ASSERT_EQ(read[name].empty(), !figure) << name;
      if (!figure) continue;
      EXPECT_EQ(std::stod(read[name]), figure->value);
      EXPECT_EQ(read[name + "_low"].empty(), !figure->low);
      if (figure->low) EXPECT_EQ(std::stod(read[name + "_low"]), *figure->low);
      if (figure->high) EXPECT_EQ(std::stod(read[name + "_high"]), *figure->high);
    }
  }
}

TEST(CompareOutput, JsonReadsBack) {
  const ComparisonResult result = SampleComparison();
  const Result<Json> json = ParseJson(ToJson(result).Dump(), "compare.json");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(*json->Find("workload")->Find("model")->as_string(), "tiny-4l");
  const Json::Array& rows = *json->Find("rows")->as_array();
  ASSERT_EQ(rows.size(), result.rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const ComparedRow& row = result.rows[i];
    EXPECT_EQ(*rows[i].Find("target")->as_string(), row.label);
    EXPECT_EQ(rows[i].Find("reason")->is_null(), row.ok());
    for (const CompareMetric& metric : CompareMetrics()) {
      const Json* figure = rows[i].Find(metric.name);
      ASSERT_NE(figure, nullptr) << metric.name;
      ASSERT_EQ(figure->is_null(), !(row.*metric.figure)) << metric.name;
      if (!figure->is_null()) EXPECT_EQ(figure->Find("value")->as_number(), (row.*metric.figure)->value);
    }
  }
  const Json::Array& decode = *rows[2].Find("decode_step")->as_array();
  ASSERT_EQ(decode.size(), 3u);
  EXPECT_EQ(*decode[2].Find("bound")->as_string(), "launch");
}

// The page without the script, which is the project's own and no markup.
std::string PageMarkup(std::string page) {
  const size_t begin = page.find("<script>"), end = page.find("</script>");
  EXPECT_NE(begin, std::string::npos);
  EXPECT_NE(end, std::string::npos);
  page.erase(begin, end + 9 - begin);
  // Files that the page carries are links, but not out of it.
  for (size_t at = page.find("href=\"data:"); at != std::string::npos; at = page.find("href=\"data:")) {
    page.replace(at, page.find('"', at + 6) - at, "href=\"#file");
  }
  return page;
}

TEST(ComparePage, IsWellFormedAndCarriesItsData) {
  const std::string page = ComparePage(SampleComparison(), {{"version", "1 & 2"}});
  EXPECT_EQ(CountOf(page, "<script>"), 1u);
  EXPECT_EQ(MarkupFault(PageMarkup(page)), "");
  EXPECT_EQ(CountOf(page, "download=\"comparison.csv\""), 1u);
  EXPECT_EQ(CountOf(page, "download=\"comparison.json\""), 1u);
  EXPECT_EQ(CountOf(page, "<table class=\"live\">"), 1u);
  EXPECT_EQ(CountOf(page, "13.0 GiB of weights do not fit into 4.0 GiB"), 1u);
  EXPECT_EQ(page, ComparePage(SampleComparison(), {{"version", "1 & 2"}}));
}

TEST(ComparePage, EveryMarkSaysItsProvenanceAndSource) {
  const std::string page = PageMarkup(ComparePage(SampleComparison()));
  size_t marks = 0;
  for (const char* css : {"class=\"dot ", "class=\"ring ", "class=\"bar "}) {
    for (size_t at = page.find(css); at != std::string::npos; at = page.find(css, at + 1)) {
      const size_t open = page.find('>', at);
      if (page[open - 1] == '/') continue;  // a swatch of a legend
      const std::string_view tip = std::string_view(page).substr(open + 1, page.find("</title>", open) - open - 1);
      EXPECT_TRUE(tip.starts_with("<title>")) << tip;
      EXPECT_NE(tip.find("Source: "), std::string_view::npos) << tip;
      const bool provenance =
          CountOf(tip, "measured") + CountOf(tip, "simulated") + CountOf(tip, "estimated") + CountOf(tip, "published") >
          0;
      EXPECT_TRUE(provenance) << tip;
      ++marks;
    }
  }
  EXPECT_GE(marks, 20u);
}

TEST(ComparePage, DrawsWhatThereIs) {
  const std::string page = ComparePage(SampleComparison());
  for (const char* heading :
       {"Tokens/s against watts", "Energy against latency", "A device against a user", "Throughput, low to high",
        "All figures", "Memory", "Where the time goes", "Roofline", "What could not be done"}) {
    EXPECT_EQ(CountOf(page, std::string(heading) + "</h2>"), 1u) << heading;
  }
  ComparisonResult nothing = SampleComparison();
  for (ComparedRow& row : nothing.rows) row = nothing.rows.back();
  const std::string empty = ComparePage(nothing);
  EXPECT_EQ(MarkupFault(PageMarkup(empty)), "");
  EXPECT_EQ(CountOf(empty, "<svg"), 0u);
}

TEST(ComparePage, HostileTextStaysText) {
  ComparisonResult result = SampleComparison();
  const std::string hostile = "</script><script>alert(\"x\")</script> & 'y'";
  result.comparison.name = result.comparison.description = hostile;
  for (ComparedRow& row : result.rows) row.label = row.source = row.note = row.power_basis = hostile;
  result.rows.back().reason = hostile;
  const std::string page = ComparePage(result);
  EXPECT_EQ(CountOf(page, "<script>"), 1u);
  EXPECT_EQ(CountOf(page, "alert(\"x\")"), 0u);
  EXPECT_EQ(MarkupFault(PageMarkup(page)), "");
}

}  // namespace
}  // namespace lodestone::testing
