// The model that comes with the program: both of its forms, what they predict, and the cards that write with it.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "e2e/program.h"

namespace lodestone::testing {
namespace {

namespace fs = std::filesystem;

const fs::path kNano = fs::path(LODESTONE_SOURCE_DIR) / "models/nano";
constexpr const char* kHeldOut = "/usr/lib/python3.11/textwrap.py";

TEST(Nano, StaysSmall) {
  uint64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kNano)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  EXPECT_GT(bytes, 5'000'000u);
  EXPECT_LT(bytes, 25'000'000u);
}

TEST(Nano, ItsRecordsAreThoseOfItsTraining) {
  for (const auto& [file, recipe] : {std::pair("bf16.record.json", "bf16"), {"w4a4.record.json", "w4a4:static"}}) {
    const Result<std::string> text = ReadFile(kNano / file, 1 << 20);
    ASSERT_TRUE(text.ok()) << text.error().message;
    const Result<Json> json = ParseJson(*text, file);
    ASSERT_TRUE(json.ok()) << json.error().message;
    EXPECT_EQ(*json->Find("recipe")->as_string(), recipe);
    const Json* loss = json->Find("measures")->Find("validation_bits_per_byte");
    ASSERT_NE(loss, nullptr);
    // 0.8 of what a byte-level 5-gram needs (1.9095, 'lodestone eval ngram --config nano').
    EXPECT_LT(*loss->Find("value")->as_number(), 0.8 * 1.9095);
  }
}

TEST(Nano, FourBitsPredictHeldOutPythonAsWell) {
  if (!fs::exists(kHeldOut)) GTEST_SKIP() << "there is no " << kHeldOut;
  const auto nats = [](const char* form, const char* recipe) {
    const Json record =
        RunJson({"perplexity", "--model", (kNano / form).string(), "--recipe", recipe, "--text", kHeldOut});
    return *record.Find("rows")->as_array()->front().Find("nats_per_token")->as_number();
  };
  const double full = nats("bf16", "bf16"), four = nats("w4a4", "w4a4:static");
  EXPECT_LT(full, 0.6 * std::log(4096));  // knowing nothing: log of the vocabulary
  EXPECT_LT(four, 1.05 * full);
}

TEST(Nano, SixteenCardsWriteWhatThisHostWrites) {
  const auto tokens = [](const char* appliance) {
    return TokensOf(RunJson({"generate", "--model", (kNano / "w4a4").string(), "--appliance", appliance, "--prompt",
                             "class Queue:\n", "--users", "3", "--tokens", "40", "--temperature", "0.6"}));
  };
  const std::vector<std::vector<int64_t>> cards = tokens("northpole-16");
  EXPECT_EQ(cards, tokens("cpu"));
  EXPECT_EQ(cards.size(), 3u);
}

}  // namespace
}  // namespace lodestone::testing
