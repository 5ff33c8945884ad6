#include "report/run_record.h"

#include <gtest/gtest.h>

namespace lodestone {
namespace {

RunRecord Small() {
  RunRecord record;
  record.workload = {.model = "granite-3b-14l",
                     .recipe = "w4a4",
                     .users = 28,
                     .micro_batches = 14,
                     .prompt_tokens = 1024,
                     .output_tokens = 1024,
                     .prefill_chunk = 128,
                     .seed = 7};
  record.target = {.appliance = "northpole-16", .cards = 16, .power_w_per_card = 42.0, .transistors_per_card = {}};
  record.measures = {Measure::Of("itl_s", 0.5, "s", Provenance::kSimulated)};
  record.assumed = {{.name = "card.link_latency_s", .value = 1e-6, .note = "no source"}};
  record.environment = {{"version", "0.1.0"}, {"isa", "avx2"}};
  return record;
}

TEST(RunRecord, JsonIsThatOfTheIssue) {
  EXPECT_EQ(
      ToJson(Small()).Dump(-1),
      R"({"workload":{"model":"granite-3b-14l","recipe":"w4a4","users":28,"micro_batches":14,"prompt_tokens":1024,)"
      R"("output_tokens":1024,"prefill_chunk":128,"seed":7},)"
      R"("target":{"appliance":"northpole-16","cards":16,"power_w_per_card":42.0,"transistors_per_card":null},)"
      R"("measures":{"itl_s":{"value":0.5,"unit":"s","provenance":"simulated","low":null,"high":null,"reason":null}},)"
      R"("assumed":[{"name":"card.link_latency_s","value":1e-06,"note":"no source"}],)"
      R"("environment":{"version":"0.1.0","isa":"avx2"}})");
}

TEST(RunRecord, UsersAndPublishedFiguresAppearWhereThereAreAny) {
  RunRecord record = Small();
  record.users = {{.prompt = "a", .text = " \"b\"\n", .finish_reason = "stop", .token_ids = {3, -1}}};
  record.published = {{.name = "itl_s", .value = 0.25, .source = "a paper"}};
  const Json json = ToJson(record);
  ASSERT_NE(json.Find("users"), nullptr);
  EXPECT_EQ(json.Find("users")->Dump(-1),
            R"([{"prompt":"a","token_ids":[3,-1],"text":" \"b\"\n","finish_reason":"stop"}])");
  EXPECT_EQ(json.Find("published")->Dump(-1), R"([{"name":"itl_s","value":0.25,"source":"a paper"}])");
}

TEST(RunRecord, ASeedKeepsAllItsDigits) {
  RunRecord record = Small();
  record.workload.seed = 18446744073709551615u;
  EXPECT_EQ(ToJson(record).Find("workload")->Find("seed")->Dump(-1), "\"18446744073709551615\"");
  record.workload.seed = 9223372036854775807u;
  EXPECT_EQ(ToJson(record).Find("workload")->Find("seed")->Dump(-1), "9223372036854775807");
}

TEST(RunRecord, ReadsBackAsJson) {
  const std::string text = ToJson(Small()).Dump(2);
  const auto parsed = ParseJson(text, "record");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->Dump(2), text);
}

}  // namespace
}  // namespace lodestone
