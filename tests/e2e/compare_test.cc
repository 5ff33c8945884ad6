// One workload on many targets, as a user asks for it.
#include <gtest/gtest.h>

#include <map>

#include "base/file.h"
#include "base/json.h"
#include "e2e/program.h"

namespace lodestone::testing {
namespace {

constexpr const char* kComparison =
    "kind = \"compare\"\nname = \"mine\"\n[workload]\nmodel = \"tiny-4l\"\nrecipe = \"w8a8\"\nbatch = [1, 2]\n"
    "prompt_tokens = 16\noutput_tokens = 8\n"
    "[[measured]]\nthreads = 1\n"
    "[[simulated]]\nappliance = \"northpole-16\"\nrecipe = \"w4a4\"\n"
    "[[estimated]]\nhardware = [\"a100-40gb\", \"raspberry-pi-5\"]\n"
    "[[published]]\nsource = \"northpole-hpec2024\"\nshape = \"any\"\ntokens = \"any\"\n";

TEST(Compare, ManyKindsOfTargetsInOneTable) {
  const TemporaryFolder folder;
  const std::string file = folder.Write("mine.toml", kComparison);
  const Json json = RunJson({"compare", file, "--json"});
  const Json::Array& rows = *json.Find("rows")->as_array();
  std::map<std::string, int> provenances;
  for (const Json& row : rows) {
    EXPECT_EQ(*row.Find("status")->as_string(), "ok") << row.Dump();
    ++provenances[*row.Find("provenance")->as_string()];
    EXPECT_GT(*row.Find("system_throughput_tokens_per_s")->Find("value")->as_number(), 0);
    EXPECT_FALSE(row.Find("source")->is_null());
  }
  EXPECT_EQ(provenances["measured"], 2);
  EXPECT_EQ(provenances["simulated"], 2);
  EXPECT_EQ(provenances["estimated"], 4);
  EXPECT_EQ(provenances["published"], 2);  // P2 and P4, of one user each
}

TEST(Compare, WritesPageAndCsvBesideTheTable) {
  const TemporaryFolder folder;
  const std::string page = folder.path() + "/page.html", csv = folder.path() + "/rows.csv";
  const Outcome outcome = RunProgram({"compare", "compare-northpole", "--report", page, "--csv", csv});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("northpole-16 w4a4"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("Written: " + page), std::string::npos) << outcome.out;
  const Result<std::string> html = ReadFile(page, size_t{1} << 24), text = ReadFile(csv, size_t{1} << 24);
  ASSERT_TRUE(html.ok() && text.ok());
  EXPECT_TRUE(html->starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(text->starts_with("target,provenance,status,"));
}

TEST(Compare, RefusesWhatItCannotRead) {
  const TemporaryFolder folder;
  const struct {
    std::string name, contents, says;
  } cases[] = {{"empty.toml", "", "key 'kind'"},
               {"none.toml",
                "kind = \"compare\"\nname = \"n\"\n[workload]\nmodel = \"tiny-4l\"\nrecipe = \"w8a8\"\n"
                "prompt_tokens = 1\noutput_tokens = 1\n",
                "no target"},
               {"model.toml", std::string(kComparison).replace(std::string(kComparison).find("tiny-4l"), 7, "tinny4l"),
                "tinny4l"}};
  for (const auto& [name, contents, says] : cases) {
    const Outcome outcome = RunProgram({"compare", folder.Write(name, contents)});
    EXPECT_EQ(outcome.exit_code, 1) << name;
    EXPECT_NE(outcome.err.find(says), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_NE(RunProgram({"compare", "compare-surve"}).err.find("did you mean 'compare-survey'"), std::string::npos);
  EXPECT_EQ(RunProgram({"compare"}).exit_code, 1);
}

}  // namespace
}  // namespace lodestone::testing
