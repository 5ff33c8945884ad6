#include "cli/command.h"

#include <gtest/gtest.h>

namespace lodestone::cli {
namespace {

struct Output {
  int code;
  std::string out, err;
};

Output RunMain(const std::vector<std::string>& words) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int code = Main(words);
  return {code, ::testing::internal::GetCapturedStdout(), ::testing::internal::GetCapturedStderr()};
}

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Command, HelpListsEveryCommand) {
  const Output output = RunMain({"--help"});
  EXPECT_EQ(output.code, 0);
  for (const auto& command : AllCommands()) {
    EXPECT_TRUE(Has(output.out, "\n  " + command->Line().name + " ")) << command->Line().name;
  }
}

TEST(Command, ANameMayBeTwoWords) {
  const Output output = RunMain({"bench", "limits", "--help"});
  EXPECT_EQ(output.code, 0);
  EXPECT_TRUE(output.out.starts_with("lodestone bench limits")) << output.out;
  const Output unknown_option = RunMain({"bench", "limits", "--nonsense"});
  EXPECT_EQ(unknown_option.code, 2);
  EXPECT_TRUE(Has(unknown_option.err, "'lodestone bench limits --help'")) << unknown_option.err;
}

TEST(Command, TheSharedWordAloneListsItsFamily) {
  const Output alone = RunMain({"bench"}), help = RunMain({"bench", "--help"});
  EXPECT_EQ(alone.code, 2);
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(alone.out, help.out);
  EXPECT_TRUE(Has(help.out, "\n  bench limits ")) << help.out;
  EXPECT_FALSE(Has(help.out, "\n  demo ")) << help.out;
}

TEST(Command, AnUnknownNameGetsTheNearest) {
  for (const auto& [words, expected] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{{{"bench", "limit"}, "'bench limits'"},
                                                                     {{"bnch", "limits"}, "'bench limits'"},
                                                                     {{"modles"}, "'models'"},
                                                                     {{"modles", "--json"}, "'models'"}}) {
    const Output output = RunMain(words);
    EXPECT_EQ(output.code, 2);
    EXPECT_EQ(output.out, "");
    EXPECT_TRUE(Has(output.err, "did you mean " + expected)) << output.err;
  }
  const Output family = RunMain({"bench", "everything"});
  EXPECT_EQ(family.code, 2);
  EXPECT_TRUE(Has(family.err, "'bench everything'")) << family.err;
  EXPECT_TRUE(Has(family.err, "bench limits")) << family.err;
  EXPECT_FALSE(Has(family.err, "simulate")) << family.err;
}

// A shared first word that is a command of its own would hide the family.
TEST(Command, NoCommandIsTheFirstWordOfAnother) {
  for (const auto& command : AllCommands()) {
    for (const auto& other : AllCommands()) {
      EXPECT_FALSE(other->Line().name.starts_with(command->Line().name + " ")) << other->Line().name;
    }
  }
}

TEST(Command, KernelsSaysWhatComputesHere) {
  const Output output = RunMain({"kernels", "--json"});
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_TRUE(Has(output.out, "\"matmul int8·int4\"")) << output.out;
  EXPECT_TRUE(Has(output.out, "chosen")) << output.out;
  setenv("LODESTONE_ISA", "reference", 1);
  const Output reference = RunMain({"kernels", "--json"});
  setenv("LODESTONE_ISA", "nonsense", 1);
  const Output refused = RunMain({"kernels"});
  unsetenv("LODESTONE_ISA");
  EXPECT_TRUE(Has(reference.out, "\"isa\": \"reference\"")) << reference.out;
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(Has(refused.err, "nonsense")) << refused.err;
}

}  // namespace
}  // namespace lodestone::cli
