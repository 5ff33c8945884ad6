#include "report/published_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "base/json.h"
#include "fixtures.h"
#include "report/csv.h"

namespace lodestone {
namespace {

std::span<const PublishedRow> Rows() {
  const auto rows = CatalogPublishedRows();
  EXPECT_TRUE(rows.ok()) << rows.error().message;
  return rows.ok() ? *rows : std::span<const PublishedRow>();
}

template <typename Accept>
std::vector<const PublishedRow*> Where(const Accept& accept) {
  std::vector<const PublishedRow*> found;
  for (const PublishedRow& row : Rows()) {
    if (accept(row)) found.push_back(&row);
  }
  return found;
}

std::string Refused(const std::string& csv) {
  const auto rows = ParsePublishedRows(csv, "p.csv");
  return rows.ok() ? "" : rows.error().message;
}

TEST(PublishedRows, ReadsColumnsInAnyOrderAndFillsInWhatIsMeant) {
  const auto rows = ParsePublishedRows(
      "metric,value,source,system,machine,devices,batch,prompt_tokens,kind,power_basis,note\n"
      "power,402.5,s,\"GPU, eight\",a100-40gb,8,16,1024,derived,limit,n\n"
      "training_throughput,1e3,s,X,,,,,,,\n",
      "p.csv");
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  ASSERT_EQ(rows->size(), 2u);
  const PublishedRow& row = rows->front();
  EXPECT_EQ(row.system, "GPU, eight");
  EXPECT_EQ(row.machine, "a100-40gb");
  EXPECT_EQ(row.devices, 8);
  EXPECT_EQ(row.batch, 16);
  EXPECT_EQ(row.prompt_tokens, 1024);
  EXPECT_EQ(row.value, 402.5);
  EXPECT_EQ(row.unit, "W");
  EXPECT_EQ(row.kind, FigureKind::kDerived);
  EXPECT_EQ(row.power_basis, "limit");
  EXPECT_EQ(row.file, "p.csv");
  EXPECT_EQ(row.line, 2);
  EXPECT_EQ((*rows)[1].devices, 1);
  EXPECT_EQ((*rows)[1].batch, 0);
  EXPECT_EQ((*rows)[1].unit, "samples/s");
  EXPECT_EQ((*rows)[1].kind, FigureKind::kQuoted);
}

TEST(PublishedRows, RefusesWithFileAndLine) {
  const std::string head = "source,system,metric,value,unit,kind,power_basis,devices\n";
  EXPECT_EQ(Refused(head + "s,x,power,1,W,quoted,,1\n"), "");
  const std::pair<std::string, std::string> cases[] = {
      {"", "p.csv: found nothing"},
      {"source,system,metric\n", "p.csv:1: found no column 'value'"},
      {"source,system,metric,value,colour\n", "p.csv:1: unknown column 'colour'; known are source, place"},
      {"source,system,metric,value,value\n", "p.csv:1: column 'value' is named twice"},
      {head + "s,x,power,1\n", "p.csv:2: found 4 fields, expected the 8"},
      {head + "s,x,power,1,,,,\n\n", "p.csv:3: found 1 fields"},
      {head + "s,x,speed,1,,,,\n", "p.csv:2: column 'metric': found 'speed', expected one of output_throughput"},
      {head + "s,x,power,1,mW,,,\n", "p.csv:2: column 'unit': found 'mW', expected W for power"},
      {head + "s,x,power,1,,guessed,,\n", "p.csv:2: column 'kind': found 'guessed', expected 'quoted', 'derived'"},
      {head + "s,x,power,1,,,TDP,\n", "p.csv:2: column 'power_basis': found 'TDP'"},
      {head + "s,x,power,1,,,,-1\n", "p.csv:2: column 'devices': found '-1', expected a whole number"},
      {head + "s,x,power,1,,,,1.5\n", "p.csv:2: column 'devices'"},
      {head + "s,x,power,1,,,,9999999999999999999999\n", "p.csv:2: column 'devices'"},
      {head + ",x,power,1,,,,\n", "p.csv:2: column 'source'"},
      {head + "s,,power,1,,,,\n", "p.csv:2: column 'system'"},
      {head + "s,\"x,power,1,,,,\n", "p.csv:2: a quote that is not closed"},
  };
  for (const auto& [csv, message] : cases) {
    EXPECT_EQ(Refused(csv).substr(0, message.size()), message) << csv;
  }
  for (const char* value : {"", "0", "-3", "nan", "inf", "1e999", "1,5", "0x10", "12 ", "twelve"}) {
    EXPECT_NE(Refused(head + "s,x,power," + CsvField(value) + ",,,,\n").find("expected a positive number"),
              std::string::npos)
        << value;
  }
}

TEST(PublishedRows, WhatIsWrittenReadsBack) {
  std::vector<const PublishedRow*> all;
  for (const PublishedRow& row : Rows()) all.push_back(&row);
  const std::string csv = PublishedCsv(all);
  const auto back = ParsePublishedRows(csv, "p.csv");
  ASSERT_TRUE(back.ok()) << back.error().message;
  ASSERT_EQ(back->size(), all.size());
  std::vector<const PublishedRow*> again;
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ((*back)[i].value, all[i]->value);
    EXPECT_TRUE(SameRun((*back)[i], *all[i]));
    again.push_back(&(*back)[i]);
  }
  EXPECT_EQ(PublishedCsv(again), csv);
}

TEST(PublishedRows, EveryRowOfTheCatalogueHasASourceAndEverySourceRows) {
  const auto sources = CatalogPublishedSources();
  ASSERT_TRUE(sources.ok()) << sources.error().message;
  std::set<std::string> known, used;
  for (const PublishedSource& source : *sources) {
    EXPECT_FALSE(source.title.empty()) << source.key;
    EXPECT_TRUE(known.insert(source.key).second) << source.key;
  }
  for (const PublishedRow& row : Rows()) {
    EXPECT_TRUE(known.contains(row.source)) << row.file << ":" << row.line;
    used.insert(row.source);
  }
  EXPECT_EQ(used, known);
}

TEST(PublishedRows, PowerBelongsToTheRunOnTheRowBefore) {
  const auto rows = Rows();
  int powers = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].metric != "power") continue;
    ++powers;
    ASSERT_GT(i, 0u);
    if (rows[i].source == "northpole-rack2025") continue;
    EXPECT_EQ(PowerOf(rows, i - 1), &rows[i]) << rows[i].file << ":" << rows[i].line;
    EXPECT_FALSE(rows[i].power_basis.empty()) << rows[i].file << ":" << rows[i].line;
  }
  EXPECT_GT(powers, 300);
}

// Nothing of a run is told apart by more than its key; what stands there twice says so.
TEST(PublishedRows, ARunThatStandsTwiceInASweepSaysSo) {
  std::map<std::vector<std::string>, const PublishedRow*> seen;
  for (const PublishedRow& row : Rows()) {
    if (row.source != "llm-inference-bench" || row.place != "All_results" || !row.caution.empty()) continue;
    const auto [at, inserted] =
        seen.try_emplace({row.system, std::to_string(row.devices), row.stack, row.model, std::to_string(row.batch),
                          std::to_string(row.prompt_tokens), row.metric},
                         &row);
    EXPECT_TRUE(inserted) << row.line << " repeats " << at->second->line;
  }
}

TEST(PublishedRows, SpotValuesAreThoseOfTheDocuments) {
  const auto one = [&](const char* system, int devices, const char* stack, const char* shape, int batch,
                       int64_t length) {
    const auto found = Where([&](const PublishedRow& row) {
      return row.place == "All_results" && row.system == system && row.devices == devices && row.stack == stack &&
             row.shape == shape && row.batch == batch && row.prompt_tokens == length && row.caution.empty();
    });
    EXPECT_EQ(found.size(), 1u) << system << " " << shape;
    return found.size() == 1 ? *found.front() : PublishedRow();
  };
  const PublishedRow a100 = one("Nvidia A100 GPU", 1, "tensorrt-llm", "llama-3-8b", 64, 1024);
  EXPECT_NEAR(a100.value, 3889, 0.5);
  EXPECT_EQ(a100.metric, "total_throughput");
  EXPECT_EQ(a100.machine, "a100-40gb");
  EXPECT_EQ(a100.recipe, "bf16");
  EXPECT_EQ(a100.output_tokens, 1024);
  EXPECT_NEAR(one("Nvidia H100 GPU", 4, "vllm", "llama-2-70b", 64, 1024).value, 3730, 0.5);
  EXPECT_NEAR(one("AMD MI250 GPU", 1, "vllm", "qwen2-7b", 1, 1024).value, 127, 0.5);

  const auto power = Where([](const PublishedRow& row) {
    return row.place == "power_results" && row.metric == "power" && row.machine == "h100-sxm" &&
           row.stack == "tensorrt-llm" && row.shape == "llama-3-8b" && row.batch == 16;
  });
  ASSERT_EQ(power.size(), 1u);
  EXPECT_NEAR(power.front()->value, 450, 0.5);  // milliwatt in the document
  for (const PublishedRow* row : Where([](const PublishedRow& r) { return r.metric == "power"; })) {
    EXPECT_LT(row->value, 20000) << row->file << ":" << row->line;
  }
}

// The traps that are known, each by a row of it.
TEST(PublishedRows, KnownTrapsAreFlagged) {
  const auto flagged = [&](const auto& accept) {
    const auto found = Where(accept);
    EXPECT_FALSE(found.empty());
    return std::all_of(found.begin(), found.end(), [](const PublishedRow* row) { return !row->caution.empty(); });
  };
  EXPECT_TRUE(flagged([](const PublishedRow& r) { return r.place == "All_results" && r.stack == "llama.cpp"; }));
  for (const PublishedRow* row : Where([](const PublishedRow& r) { return r.place == "All_results"; })) {
    if (row->stack == "llama.cpp") EXPECT_EQ(row->batch, 1) << row->line;
  }
  EXPECT_TRUE(flagged([](const PublishedRow& r) {
    return r.place == "All_results" && r.machine == "h100-sxm" && r.stack == "tensorrt-llm" && r.shape == "qwen2-72b" &&
           r.prompt_tokens == 1024 && r.batch == 1;
  }));
  EXPECT_TRUE(flagged([](const PublishedRow& r) {
    return r.place == "All_results" && r.machine == "h100-sxm" && r.stack == "tensorrt-llm" && r.shape == "qwen2-7b" &&
           r.prompt_tokens == 2048;
  }));
  EXPECT_TRUE(flagged([](const PublishedRow& r) {
    return r.source == "survey-2410.04466" && r.metric == "power" && (r.machine == "cs-3" || r.machine == "groq-lpu");
  }));
  EXPECT_TRUE(flagged([](const PublishedRow& r) { return r.place.starts_with("sheet") && r.value == 9.95; }));
}

// Cautions begin with a phrase of a short list, so that they can be counted; docs/published.md explains each.
TEST(PublishedRows, CautionsAreExplained) {
  std::ifstream file(std::filesystem::path(LODESTONE_SOURCE_DIR) / "docs/published.md");
  const std::string page{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::set<std::string> cautions;
  for (const PublishedRow& row : Rows()) {
    if (!row.caution.empty()) cautions.insert(row.caution.substr(0, row.caution.find_first_of(":;")));
  }
  EXPECT_GE(cautions.size(), 5u);
  for (const std::string& caution : cautions) {
    EXPECT_NE(page.find("`" + caution + "`"), std::string::npos) << caution << " is not in docs/published.md";
  }
  for (const PublishedMetric& metric : PublishedMetrics()) {
    EXPECT_NE(page.find("`" + std::string(metric.name) + "`"), std::string::npos) << metric.name;
  }
}

TEST(PublishedRows, TableOneStandsBesideItsPaper) {
  const auto p2 =
      Where([](const PublishedRow& row) { return row.source == "northpole-hpec2024" && row.place == "P2"; });
  std::map<std::string, const PublishedRow*> by_metric;
  for (const PublishedRow* row : p2) by_metric[row->metric] = row;
  ASSERT_TRUE(by_metric.contains("output_throughput"));
  const PublishedRow& rate = *by_metric["output_throughput"];
  EXPECT_NEAR(rate.value, 406.3, 0.05);
  EXPECT_EQ(rate.machine, "h100-sxm");
  EXPECT_EQ(rate.stack, "vllm");
  EXPECT_EQ(rate.recipe, "w4a16");
  EXPECT_EQ(rate.shape, "granite-3b-14l");
  EXPECT_EQ(rate.batch, 1);
  EXPECT_EQ(rate.kind, FigureKind::kDerived);
  ASSERT_TRUE(by_metric.contains("power"));
  EXPECT_EQ(by_metric["power"]->power_basis, "limit");
  const auto northpole = Where([](const PublishedRow& row) {
    return row.source == "northpole-hpec2024" && row.place == "results" && row.metric == "output_throughput";
  });
  ASSERT_EQ(northpole.size(), 1u);
  EXPECT_EQ(northpole.front()->value, 28356);
  EXPECT_EQ(northpole.front()->devices, 16);
}

int64_t RecordsOf(const std::string& name) {
  std::ifstream file(testing::SharedDir() / "published" / name, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  CsvReader reader(text, name);
  std::vector<std::string> fields;
  int64_t records = -1;  // the header
  while (*reader.Next(fields)) {
    if (std::any_of(fields.begin(), fields.end(), [](const std::string& field) { return !field.empty(); })) ++records;
  }
  return records;
}

TEST(PublishedRows, NoRowOfTheTablesIsLost) {
  LODESTONE_REQUIRE_FIXTURE("published/llm-inference-bench");
  const auto count = [](const char* place) {
    return static_cast<int64_t>(Where([&](const PublishedRow& row) {
                                  return row.source == "llm-inference-bench" && row.place == place &&
                                         row.metric != "power" && row.metric != "perplexity";
                                }).size());
  };
  const std::string folder = "llm-inference-bench/";
  EXPECT_EQ(count("All_results"), RecordsOf(folder + "throughput_all.csv"));
  EXPECT_EQ(count("power_results"), RecordsOf(folder + "power.csv"));
  EXPECT_EQ(count("Power dashboard"), RecordsOf(folder + "power_dashboard.csv"));
  EXPECT_EQ(count("Fig_10"), RecordsOf(folder + "perplexity_power.csv"));
  EXPECT_EQ(count("Fig_22"), 2 * RecordsOf(folder + "ttft_itl.csv"));  // first token, and seconds a token
  EXPECT_EQ(count("Fig_3"), RecordsOf(folder + "weight_kv_dtype_fig3.csv"));
  EXPECT_EQ(count("KV dashboard"), RecordsOf(folder + "weight_kv_dtype_dashboard.csv"));
  EXPECT_EQ(count("Fig_3 FP8 H100"), RecordsOf(folder + "fp8_h100.csv"));
  EXPECT_EQ(count("Fig_3 FP8 MI300X"), RecordsOf(folder + "fp8_mi300x.csv"));
  EXPECT_EQ(count("Fig_4_b"), RecordsOf(folder + "speculative_decoding.csv"));
  EXPECT_EQ(count("Fig_2_b"), RecordsOf(folder + "kv_block_size.csv"));
  EXPECT_EQ(count("Fig_1_b"), RecordsOf(folder + "heatmap_input_vs_output.csv"));
  EXPECT_EQ(count("TP_PP_Results"), RecordsOf(folder + "parallelism.csv") - 243);  // those are figures of All_results
  const auto survey = Where([](const PublishedRow& row) {
    return row.place.starts_with("sheet") && row.source == "survey-2410.04466" && row.metric != "power";
  });
  EXPECT_EQ(survey.size(), 202u);
}

}  // namespace
}  // namespace lodestone
