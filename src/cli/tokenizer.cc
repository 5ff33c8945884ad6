// `lodestone tokenizer train`, `tokenizer encode` and `tokenizer show`.
#include "text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/file.h"
#include "base/quote.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "cli/text_files.h"
#include "learn/codons.h"
#include "learn/training_data.h"
#include "report/run_record.h"
#include "text/tokenizer_trainer.h"
#include "text/vocabulary.h"

namespace lodestone::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kCodonsName = "codons";

std::string Grouped(int64_t value) { return FormatNumber(static_cast<double>(value)); }
double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Which files a command reads.
struct Files {
  std::vector<std::string> paths, exclude;
  std::string suffix;

  void AddTo(CommandLine& line) {
    line.operand = "FILE|DIR...";
    line.operand_help = "Text files, UTF-8; a directory stands for every file below it.";
    line.operands_target = &paths;
    line.options.push_back({.name = "--suffix",
                            .value = "TEXT",
                            .help = "Of directories, the files whose name ends so, such as .py (default: all).",
                            .target = &suffix});
    line.options.push_back({.name = "--exclude",
                            .value = "PART",
                            .help = "Leaves out files whose path contains this; may be given several times.",
                            .target = &exclude});
  }
  Result<std::vector<fs::path>> Find(const char* command) const {
    if (paths.empty()) return Invalid(fmt::format("'{}' needs a file or a directory to read", command));
    return DataFiles(PathsOf(paths), suffix, exclude);
  }
};

// A tokenizer.json, a directory with one, or "codons".
Result<std::shared_ptr<const Tokenizer>> OpenTokenizer(const std::string& name) {
  if (name == kCodonsName) return Tokenizer::Parse(CodonTokenizerJson(), "the codons");
  std::error_code ignored;
  const fs::path path(name);
  return Tokenizer::Load((fs::is_directory(path, ignored) ? path / "tokenizer.json" : path).string());
}

Option TokenizerOption(std::string& target) {
  return {.name = "--tokenizer",
          .value = "DIR|FILE",
          .help = "A tokenizer.json or a directory with one; 'codons': GenSLM's, for FASTA.",
          .target = &target,
          .required = true};
}

Option JsonOption(bool& target) {
  return {.name = "--json", .value = "", .help = "JSON instead of a table.", .target = &target};
}

class TrainCommand final : public Command {
 public:
  CommandLine Line() override {
    CommandLine line{
        .name = "tokenizer train",
        .summary = "Learns a byte-level BPE vocabulary from text and writes it as tokenizer.json.",
        .details =
            "The most frequent pair of neighbouring tokens becomes a token, until the vocabulary is full. Every "
            "byte has a token, so no text is unknown and every text comes back exactly. The same text gives the "
            "same file, in whatever order its files come.",
        .options = {{.name = "--output",
                     .value = "FILE",
                     .help = "Where to write, usually DIR/tokenizer.json; folders are made.",
                     .target = &output_,
                     .required = true},
                    {.name = "--vocab",
                     .value = "N",
                     .help = "Tokens in all: 256 bytes, the special ones, and what is learned (default 4096).",
                     .target = &vocabulary_,
                     .min = 256,
                     .max = kMaxVocabulary},
                    {.name = "--special",
                     .value = "TOKEN",
                     .help = "A control token; may be given several times (default <|endoftext|>).",
                     .target = &special_},
                    {.name = "--pattern",
                     .value = "gpt-2|llama3",
                     .help = "How a text is cut into words, within which pairs merge (default gpt-2).",
                     .target = &pattern_}},
        .examples = {{"4,096 tokens for Python",
                      "lodestone tokenizer train --vocab 4096 --suffix .py --output m/tokenizer.json ./src"}}};
    files_.AddTo(line);
    line.options.push_back(JsonOption(json_));
    return line;
  }

  Status Run() override {
    const auto start = Clock::now();
    if (special_.empty()) special_ = {"<|endoftext|>"};
    LODESTONE_ASSIGN_OR_RETURN(
        TokenizerTrainer trainer,
        TokenizerTrainer::Make(
            {.vocabulary = static_cast<int32_t>(vocabulary_), .cutting = pattern_, .special = special_}));
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<fs::path> files, files_.Find("tokenizer train"));
    Progress progress("files", static_cast<int64_t>(files.size()));
    for (const fs::path& file : files) {
      LODESTONE_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(file));
      LODESTONE_RETURN_IF_ERROR(trainer.Add(text));
      progress.Advance();
    }
    progress.Erase();
    LODESTONE_ASSIGN_OR_RETURN(const Json tokenizer, trainer.Train());
    const std::string text = tokenizer.Dump();
    // What is written is read before, so that a fault of ours is seen here and not by whoever uses the file.
    LODESTONE_RETURN_IF_ERROR(Tokenizer::Parse(text, output_).status());
    std::error_code error;
    if (fs::path(output_).has_parent_path()) fs::create_directories(fs::path(output_).parent_path(), error);
    LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(output_, text));
    Show(static_cast<int64_t>(files.size()), trainer, SecondsSince(start));
    return {};
  }

 private:
  void Show(int64_t files, const TokenizerTrainer& trainer, double seconds) const {
    if (json_) {
      Json json;
      json.Set("file", output_).Set("tokens", vocabulary_).Set("text_files", files).Set("text_bytes", trainer.bytes());
      json.Set("distinct_words", trainer.distinct_words()).Set("seconds", seconds);
      return PrintJson(json);
    }
    Print(fmt::format("{}\n  {} tokens from {}, {} bytes, {} different words; {}\n", output_, Grouped(vocabulary_),
                      Counted(files, "file"), Grouped(trainer.bytes()), Grouped(trainer.distinct_words()),
                      FormatSeconds(seconds)));
  }

  Files files_;
  std::vector<std::string> special_;
  std::string output_, pattern_ = "gpt-2";
  int64_t vocabulary_ = 4096;
  bool json_ = false;
};

class EncodeCommand final : public Command {
 public:
  CommandLine Line() override {
    CommandLine line{
        .name = "tokenizer encode",
        .summary = "Turns text into a file of token ids, which training maps instead of reading.",
        .details =
            "Each text ends with the tokenizer's end-of-text token, where it has one. With the "
            "tokenizer 'codons' the files are FASTA.",
        .options = {TokenizerOption(tokenizer_),
                    {.name = "--output",
                     .value = "FILE",
                     .help = "Where to write, such as book.tokens.",
                     .target = &output_,
                     .required = true}},
        .examples = {{"a folder of Python as ids",
                      "lodestone tokenizer encode --tokenizer ./m --suffix .py --output py.tokens ./src"}}};
    files_.AddTo(line);
    line.options.push_back(JsonOption(json_));
    return line;
  }

  Status Run() override {
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<fs::path> files, files_.Find("tokenizer encode"));
    LODESTONE_ASSIGN_OR_RETURN(const auto tokenizer, OpenTokenizer(tokenizer_));
    const int64_t vocabulary = tokenizer->vocab_size();
    const bool codons = tokenizer_ == kCodonsName;
    LODESTONE_ASSIGN_OR_RETURN(
        const std::unique_ptr<TokenData> data,
        codons ? TokensOfFasta(files, vocabulary) : TokensOfText(files, "", *tokenizer, vocabulary));
    LODESTONE_RETURN_IF_ERROR(WriteTokenFile(output_, *data, vocabulary));
    if (json_) {
      Json json;
      json.Set("file", output_).Set("tokens", data->size()).Set("text_bytes", data->source_bytes());
      json.Set("vocabulary", vocabulary);
      PrintJson(json);
    } else {
      Print(fmt::format("{}\n  {}; {} ids in the vocabulary\n", output_, data->Describe(), Grouped(vocabulary)));
    }
    return {};
  }

 private:
  Files files_;
  std::string tokenizer_, output_;
  bool json_ = false;
};

// What one file becomes.
struct Encoded {
  std::string file;
  int64_t bytes = 0, characters = 0, tokens = 0;
};

class ShowCommand final : public Command {
 public:
  CommandLine Line() override {
    CommandLine line{.name = "tokenizer show",
                     .summary = "What a tokenizer holds, and how many tokens it makes of texts.",
                     .details = {},
                     .options = {TokenizerOption(tokenizer_)},
                     .examples = {{"bytes a token on a text", "lodestone tokenizer show --tokenizer ./m book.txt"}}};
    files_.AddTo(line);
    line.options.push_back(JsonOption(json_));
    return line;
  }

  Status Run() override {
    LODESTONE_ASSIGN_OR_RETURN(const auto tokenizer, OpenTokenizer(tokenizer_));
    std::vector<Encoded> encoded;
    if (!files_.paths.empty()) {
      LODESTONE_ASSIGN_OR_RETURN(const std::vector<fs::path> files, files_.Find("tokenizer show"));
      for (const fs::path& file : files) {
        LODESTONE_ASSIGN_OR_RETURN(Encoded one, Encode(*tokenizer, file));
        encoded.push_back(std::move(one));
      }
    }
    json_ ? PrintJson(AsJson(*tokenizer, encoded)) : Show(*tokenizer, encoded);
    return {};
  }

 private:
  static Result<Encoded> Encode(const Tokenizer& tokenizer, const fs::path& file) {
    LODESTONE_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(file));
    const Result<std::vector<int32_t>> ids = tokenizer.Encode(text, {.add_special_tokens = false});
    if (!ids.ok()) return Error{ids.error().code, fmt::format("{}: {}", file.string(), ids.error().message)};
    return Encoded{file.string(), static_cast<int64_t>(text.size()), Columns(text), static_cast<int64_t>(ids->size())};
  }

  static std::vector<std::string> SpecialTokens(const Tokenizer& tokenizer) {
    std::vector<std::string> special;
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
      if (tokenizer.IsSpecial(id)) special.emplace_back(tokenizer.IdToToken(id));
    }
    return special;
  }

  static Encoded Sum(const std::vector<Encoded>& encoded) {
    Encoded sum{.file = "together"};
    for (const Encoded& one : encoded) {
      sum.bytes += one.bytes;
      sum.characters += one.characters;
      sum.tokens += one.tokens;
    }
    return sum;
  }

  static double Ratio(int64_t amount, int64_t tokens) {
    return tokens == 0 ? 0 : static_cast<double>(amount) / static_cast<double>(tokens);
  }

  static void Show(const Tokenizer& tokenizer, const std::vector<Encoded>& encoded) {
    const std::vector<std::string> special = SpecialTokens(tokenizer);
    constexpr size_t kShown = 8;
    std::string names;
    for (size_t i = 0; i < std::min(special.size(), kShown); ++i) names += (i > 0 ? ", " : ": ") + special[i];
    if (special.size() > kShown) names += ", …";
    Print(Wrap(fmt::format("{} ids, {} special{}", Grouped(tokenizer.vocab_size()), special.size(),
                           WithoutControls(names)),
               kWidth, 2) +
          "\n");
    if (encoded.empty()) return;
    std::vector<std::vector<std::string>> rows{{"Text", "Bytes", "Tokens", "Bytes a token", "Characters a token"}};
    const auto add = [&rows](const Encoded& one) {
      constexpr size_t kNameWidth = 40;
      const std::string name =
          one.file.size() <= kNameWidth ? one.file : "…" + one.file.substr(one.file.size() - kNameWidth + 1);
      rows.push_back({name, Grouped(one.bytes), Grouped(one.tokens),
                      fmt::format("{:.3f}", Ratio(one.bytes, one.tokens)),
                      fmt::format("{:.3f}", Ratio(one.characters, one.tokens))});
    };
    constexpr size_t kMostRows = 30;
    for (size_t i = 0; i < std::min(encoded.size(), kMostRows); ++i) add(encoded[i]);
    Encoded sum = Sum(encoded);
    sum.file = Counted(static_cast<int64_t>(encoded.size()), "file") + " together";
    if (encoded.size() > 1) add(sum);
    Print("\n" + RenderTable(rows));
  }

  static Json AsJson(const Tokenizer& tokenizer, const std::vector<Encoded>& encoded) {
    const auto entry = [](const Encoded& one) {
      Json json;
      json.Set("file", one.file).Set("bytes", one.bytes).Set("characters", one.characters).Set("tokens", one.tokens);
      json.Set("bytes_per_token", Ratio(one.bytes, one.tokens));
      return json;
    };
    Json::Array special, texts;
    for (const std::string& token : SpecialTokens(tokenizer)) special.emplace_back(token);
    for (const Encoded& one : encoded) texts.push_back(entry(one));
    Json json;
    json.Set("ids", int64_t{tokenizer.vocab_size()}).Set("special", std::move(special));
    json.Set("texts", std::move(texts)).Set("together", entry(Sum(encoded)));
    return json;
  }

  Files files_;
  std::string tokenizer_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeTokenizerTrain() { return std::make_unique<TrainCommand>(); }
std::unique_ptr<Command> MakeTokenizerEncode() { return std::make_unique<EncodeCommand>(); }
std::unique_ptr<Command> MakeTokenizerShow() { return std::make_unique<ShowCommand>(); }

}  // namespace lodestone::cli
