// What prepares data and judges models on it: tokenizers, genomes, the n-gram.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "e2e/program.h"

namespace lodestone::testing {
namespace {

std::string Code(int functions) {
  std::string text;
  for (int i = 0; i < functions; ++i) {
    text += "def function_" + std::to_string(i % 7) + "(value, other=None):\n    if value is None:\n        return " +
            std::to_string(i) + "\n    return value + other\n\n\n";
  }
  return text;
}

std::string Contents(const std::string& path) {
  const Result<std::string> text = ReadFile(path, 1 << 24);
  EXPECT_TRUE(text.ok()) << text.error().message;
  return *text;
}

TEST(TokenizerCommands, TrainShowAndEncode) {
  const TemporaryFolder folder;
  folder.Write("a.py", Code(40));
  folder.Write("b.py", Code(10));
  folder.Write("c.txt", "not read");
  const std::string out = folder.path() + "/deeper/tokenizer.json";
  const Json trained =
      RunJson({"tokenizer", "train", "--vocab", "300", "--suffix", ".py", "--output", out, folder.path()});
  EXPECT_EQ(*trained.Find("tokens")->as_int(), 300);
  EXPECT_EQ(*trained.Find("text_files")->as_int(), 2);

  const Json shown = RunJson({"tokenizer", "show", "--tokenizer", folder.path() + "/deeper", folder.path() + "/a.py"});
  EXPECT_EQ(*shown.Find("ids")->as_int(), 300);
  EXPECT_EQ(*(*shown.Find("special")->as_array())[0].as_string(), "<|endoftext|>");
  EXPECT_GT(*shown.Find("together")->Find("bytes_per_token")->as_number(), 2.5);

  const std::string ids = folder.path() + "/a.tokens";
  const Json encoded = RunJson({"tokenizer", "encode", "--tokenizer", out, "--output", ids, folder.path() + "/a.py"});
  // The text's tokens and the one that ends it.
  EXPECT_EQ(*encoded.Find("tokens")->as_int(), *shown.Find("together")->Find("tokens")->as_int() + 1);
  EXPECT_EQ(std::filesystem::file_size(ids), 64u + 2 * static_cast<uintmax_t>(*encoded.Find("tokens")->as_int()));
}

TEST(TokenizerCommands, TheSameTextGivesTheSameFile) {
  const TemporaryFolder folder;
  const std::string a = folder.Write("a.py", Code(40)), b = folder.Write("b.py", Code(11));
  const std::string one = folder.path() + "/one.json", two = folder.path() + "/two.json";
  RunJson({"tokenizer", "train", "--vocab", "290", "--output", one, a, b});
  RunJson({"tokenizer", "train", "--vocab", "290", "--output", two, b, a});
  EXPECT_EQ(Contents(one), Contents(two));
}

TEST(TokenizerCommands, BadInputSaysWhatToDo) {
  using namespace std::string_literals;
  const TemporaryFolder folder;
  const std::string out = folder.path() + "/t.json";
  const std::string binary = folder.Write("binary", "ab\0cd"s), empty = folder.Write("empty", ""),
                    latin = folder.Write("latin", "caf\xE9"), little = folder.Write("little", "ab ab");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
      {{binary}, "a NUL at byte 2"},
      {{empty}, "the file is empty"},
      {{latin}, "byte 0xE9 at 3"},
      {{little}, "give more text"},
      {{folder.path() + "/none"}, "does not exist"},
      {{folder.path(), "--suffix", ".rs"}, "ends in '.rs'"},
      {{little, "--pattern", "words"}, "gpt-2 and llama3"},
      {{}, "needs a file"}};
  for (const auto& [words, expected] : cases) {
    std::vector<std::string> line{"tokenizer", "train", "--output", out};
    line.insert(line.end(), words.begin(), words.end());
    const Outcome outcome = RunProgram(line);
    EXPECT_EQ(outcome.exit_code, 1) << expected;
    EXPECT_NE(outcome.err.find(expected), std::string::npos) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(out)) << expected;
  }
  const Outcome full = RunProgram({"tokenizer", "train", "--vocab", "257", "--output", "/dev/full", little});
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_FALSE(full.err.empty());
}

TEST(GenomeCommands, MakeCheckAndEncode) {
  const TemporaryFolder folder;
  const std::string train = folder.path() + "/train.fasta", held = folder.path() + "/held.fasta";
  const std::vector<std::string> make{
      "genome",       "make", "--genes",        "120", "--mean-codons",        "60", "--seed", "3", "--output", train,
      "--validation", held,   "--family-genes", "4",   "--validation-percent", "20"};
  const Json parts = RunJson(make);
  ASSERT_EQ(parts.as_array()->size(), 2u);
  const int64_t genes = *(*parts.as_array())[0].Find("genes")->as_int();
  EXPECT_EQ(genes + *(*parts.as_array())[1].Find("genes")->as_int(), 120);

  const Json census = RunJson({"genome", "check", train});
  EXPECT_EQ(*census.Find("sequences")->as_int(), genes);
  EXPECT_EQ(*census.Find("start_codons")->as_int(), genes);
  EXPECT_EQ(*census.Find("stop_codons")->as_int(), genes);
  EXPECT_EQ(*census.Find("stops_inside")->as_int(), 0);
  EXPECT_NEAR(*census.Find("gc_share")->as_number(), 0.51, 0.03);

  const std::string ids = folder.path() + "/train.tokens";
  const Json encoded = RunJson({"tokenizer", "encode", "--tokenizer", "codons", "--output", ids, train});
  EXPECT_EQ(*encoded.Find("tokens")->as_int(), *(*parts.as_array())[0].Find("codons")->as_int() + genes);
  EXPECT_EQ(*encoded.Find("vocabulary")->as_int(), 69);

  const std::string before = Contents(train);
  RunJson(make);
  EXPECT_EQ(Contents(train), before);
}

TEST(GenomeCommands, BadInputSaysWhatToDo) {
  const TemporaryFolder folder;
  const std::string out = folder.path() + "/g.fasta";
  const std::string protein = folder.Write("p.fasta", ">a\nATG\nMKLV\n");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
      {{"genome", "make", "--output", out, "--organism", "yeast"}, "ecoli-high"},
      {{"genome", "make", "--output", out, "--genes", "0"}, "must lie between 1"},
      {{"genome", "make", "--output", out, "--validation-percent", "5"}, "--validation"},
      {{"genome", "make", "--output", out, "--validation", out}, "would replace"},
      {{"genome", "check"}, "needs a FASTA file"},
      {{"genome", "check", protein}, "p.fasta:3: found 'L' at column 3"},
      {{"genome", "check", folder.path() + "/none"}, "none"}};
  for (const auto& [words, expected] : cases) {
    const Outcome outcome = RunProgram(words);
    EXPECT_EQ(outcome.exit_code, 1) << expected;
    EXPECT_NE(outcome.err.find(expected), std::string::npos) << outcome.err;
  }
}

TEST(EvalNgram, HeldOutTextIsNotCounted) {
  const TemporaryFolder folder;
  const std::string a = folder.Write("a.py", Code(200)), b = folder.Write("b.py", Code(30));
  const Json apart = RunJson({"eval", "ngram", "--train", a, "--test", b});
  const Json under = RunJson({"eval", "ngram", "--train", folder.path(), "--test", folder.path() + "/./b.py"});
  EXPECT_EQ(*apart.Find("bits_per_byte")->as_number(), *under.Find("bits_per_byte")->as_number());
  EXPECT_EQ(*under.Find("train_bytes")->as_int(), *apart.Find("train_bytes")->as_int());
  EXPECT_LT(*apart.Find("bits_per_byte")->as_number(), 1.0);
  const Json unigram = RunJson({"eval", "ngram", "--order", "1", "--train", a, "--test", b});
  EXPECT_GT(*unigram.Find("bits_per_byte")->as_number(), 3.5);
}

TEST(EvalNgram, BadInputSaysWhatToDo) {
  const TemporaryFolder folder;
  const std::string a = folder.Write("a.py", Code(2));
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
      {{"--train", a}, "needs --train and --test"},
      {{"--train", a, "--test", a}, "nothing is left"},
      {{"--train", a, "--config", "x.toml"}, "drop --train"},
      {{"--train", a, "--test", folder.path() + "/none"}, "does not exist"}};
  for (const auto& [words, expected] : cases) {
    std::vector<std::string> line{"eval", "ngram"};
    line.insert(line.end(), words.begin(), words.end());
    const Outcome outcome = RunProgram(line);
    EXPECT_EQ(outcome.exit_code, 1) << expected;
    EXPECT_NE(outcome.err.find(expected), std::string::npos) << outcome.err;
  }
}

TEST(EvalNgram, ATrainingFileBringsItsOwnFiles) {
  const TemporaryFolder folder;
  for (int i = 0; i < 5; ++i) folder.Write(std::to_string(i) + ".py", Code(20 + i));
  const auto config = [&](const std::string& data) {
    return folder.Write("train.toml",
                        "kind = \"training\"\nname = \"t\"\n[model]\nshape = \"tiny-4l\"\n[data]\ntrain = [\"" +
                            folder.path() + "\"]\nsuffix = \".py\"\n" + data + "[run]\nsteps = 1\nsequence = 8\n");
  };
  const Json held = RunJson({"eval", "ngram", "--config", config("validation_fraction = 0.3\n")});
  EXPECT_EQ(*held.Find("train_files")->as_int() + *held.Find("test_files")->as_int(), 5);
  EXPECT_GE(*held.Find("test_files")->as_int(), 1);
  const Json named = RunJson({"eval", "ngram", "--config", config("validation = [\"" + folder.path() + "/2.py\"]\n")});
  EXPECT_EQ(*named.Find("train_files")->as_int(), 4);
  EXPECT_EQ(*named.Find("test_bytes")->as_int(), static_cast<int64_t>(Code(22).size()));
  const Outcome none = RunProgram({"eval", "ngram", "--config", config("")});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_NE(none.err.find("data.validation"), std::string::npos) << none.err;
}

// GenSLM from end to end: sequences, codons, training, generation, perplexity.
TEST(GenomeCommands, AModelOfCodonsIsTrainedAndRuns) {
  const TemporaryFolder folder;
  const std::string train = folder.path() + "/train.fasta", held = folder.path() + "/held.fasta";
  RunJson({"genome", "make", "--genes", "60", "--mean-codons", "40", "--output", train, "--validation", held,
           "--validation-percent", "25", "--family-genes", "3"});
  const std::string shape = folder.Write("shape.toml", R"(
name = "genslm-tiny"
description = "for a test"
source = "made up"
bos_id = 0
eos_ids = [0]
architecture = "gpt-neox"
layers = 2
hidden = 64
ffn = 128
heads = 2
kv_heads = 2
head_dim = 32
vocab = 69
max_positions = 128
norm = "layer"
norm_eps = 1e-5
activation = "gelu-tanh"
gated_mlp = false
parallel_residual = true
position = "rotary"
rope = { theta = 10000.0, rotary_dim = 8 }
qkv_bias = true
attention_output_bias = true
mlp_bias = true
tied_embeddings = false
)");
  const std::string model = folder.path() + "/model";
  const std::string config = folder.Write(
      "train.toml", "kind = \"training\"\nname = \"t\"\n[model]\nshape = \"" + shape +
                        "\"\n[data]\nkind = \"fasta\"\ntrain = [\"" + train + "\"]\nvalidation = [\"" + held +
                        "\"]\n[run]\nsteps = 20\nsequence = 32\nmicro_batch = 4\n[optimizer]\nlearning_rate = 3e-3\n" +
                        "[output]\ndirectory = \"" + model + "\"\n");
  const Outcome trained = RunProgram({"train", config});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;

  const auto generate = [&](const std::string& prompt) {
    return RunJson({"generate", "--model", model, "--prompt", prompt, "--tokens", "6", "--recipe", "f32"});
  };
  const Json spaced = generate("ATG GGC");
  EXPECT_EQ(TokensOf(spaced), TokensOf(generate("ATGGGC")));
  const std::string text = spaced.Dump();
  EXPECT_EQ(text.find("[UNK]"), std::string::npos) << text;

  const Json perplexity = RunJson({"perplexity", "--model", model, "--fasta", held, "--recipe", "f32"});
  const double nats = *(*perplexity.Find("rows")->as_array())[0].Find("nats_per_token")->as_number();
  EXPECT_LT(nats, 4.23);  // ln 69: it has learned something
  EXPECT_GT(nats, 2.5);   // and cannot know what was never seen
  const Outcome both = RunProgram({"perplexity", "--model", model, "--fasta", held, "--text", held});
  EXPECT_EQ(both.exit_code, 1);
}

TEST(DataTools, ScreensFitAHundredColumns) {
  const TemporaryFolder folder;
  const std::string text = folder.Write("a.py", Code(60)), fasta = folder.path() + "/g.fasta";
  const std::string tokenizer = folder.path() + "/tokenizer.json";
  const std::vector<std::vector<std::string>> lines{
      {"tokenizer", "train", "--vocab", "290", "--output", tokenizer, text},
      {"tokenizer", "show", "--tokenizer", tokenizer, text, text},
      {"tokenizer", "show", "--tokenizer", "codons"},
      {"tokenizer", "encode", "--tokenizer", tokenizer, "--output", folder.path() + "/t", text},
      {"genome", "make", "--genes", "20", "--output", fasta},
      {"genome", "check", fasta},
      {"eval", "ngram", "--train", text, "--test", tokenizer},
      {"tokenizer", "train", "--help"},
      {"genome", "make", "--help"},
      {"eval", "ngram", "--help"}};
  for (const std::vector<std::string>& words : lines) {
    const Outcome outcome = RunProgram(words);
    EXPECT_EQ(outcome.exit_code, 0) << words[0] << ": " << outcome.err;
    EXPECT_EQ(outcome.err, "") << words[0];
    for (size_t begin = 0; begin < outcome.out.size();) {
      const size_t end = std::min(outcome.out.find('\n', begin), outcome.out.size());
      const auto columns =
          std::count_if(outcome.out.begin() + static_cast<ptrdiff_t>(begin),
                        outcome.out.begin() + static_cast<ptrdiff_t>(end), [](char c) { return (c & 0xC0) != 0x80; });
      EXPECT_LE(columns, 100) << outcome.out.substr(begin, end - begin);
      begin = end + 1;
    }
  }
}

}  // namespace
}  // namespace lodestone::testing
