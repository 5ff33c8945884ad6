// `lodestone eval ngram`: the baseline that a language model must beat.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "cli/text_files.h"
#include "lab/ngram.h"
#include "learn/data_split.h"
#include "learn/train_config.h"
#include "learn/training_data.h"

namespace lodestone::cli {
namespace {

namespace fs = std::filesystem;

// Texts of all files, whole.
Result<std::vector<std::string>> ReadAll(const std::vector<fs::path>& files) {
  std::vector<std::string> texts;
  for (const fs::path& file : files) {
    LODESTONE_ASSIGN_OR_RETURN(std::string text, ReadTextFile(file));
    texts.push_back(std::move(text));
  }
  return texts;
}

int64_t BytesOf(const std::vector<std::string>& texts) {
  int64_t bytes = 0;
  for (const std::string& text : texts) bytes += static_cast<int64_t>(text.size());
  return bytes;
}

class EvalNgramCommand final : public Command {
 public:
  CommandLine Line() override {
    return {.name = "eval ngram",
            .summary = "How many bits a byte an n-gram over bytes needs for held-out text.",
            .details =
                "Interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998), with the discounts of the paper. "
                "Every byte of the test files is predicted from the order − 1 bytes before it. A file under both "
                "--train and --test is used for the test alone.",
            .options = {{.name = "--order",
                         .value = "N",
                         .help = "Bytes of an n-gram: what is predicted from N − 1 (default 5).",
                         .target = &order_,
                         .min = 1,
                         .max = kMaxNgramOrder},
                        {.name = "--train",
                         .value = "FILE|DIR",
                         .help = "Text to count, UTF-8; may be given several times.",
                         .target = &train_},
                        {.name = "--test",
                         .value = "FILE|DIR",
                         .help = "Text to predict; may be given several times.",
                         .target = &test_},
                        {.name = "--suffix",
                         .value = "TEXT",
                         .help = "Of directories, the files whose name ends so, such as .py (default: all).",
                         .target = &suffix_},
                        {.name = "--exclude",
                         .value = "PART",
                         .help = "Leaves out files whose path contains this; may be given several times.",
                         .target = &exclude_},
                        {.name = "--config",
                         .value = "FILE",
                         .help = "A training file of 'lodestone train': its own training and validation files, "
                                 "instead of the four options above.",
                         .target = &config_},
                        {.name = "--json", .value = "", .help = "JSON instead of text.", .target = &json_}},
            .examples = {{"the bound for a model trained by a file", "lodestone eval ngram --config train.toml"},
                         {"by hand", "lodestone eval ngram --train ./src --test ./src/json --suffix .py"}}};
  }

  Status Run() override {
    const auto start = std::chrono::steady_clock::now();
    LODESTONE_ASSIGN_OR_RETURN(const DataSplit files, config_ ? FilesOfConfig() : FilesOfOptions());
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<std::string> train, ReadAll(files.train));
    const std::vector<std::string_view> documents(train.begin(), train.end());
    LODESTONE_ASSIGN_OR_RETURN(const NgramModel model, NgramModel::Train(documents, static_cast<int>(order_)));
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<std::string> test, ReadAll(files.validation));
    double bits = 0;
    for (const std::string& text : test) bits += model.Bits(text);
    const double bits_a_byte = bits / static_cast<double>(BytesOf(test));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (json_) {
      Json json;
      json.Set("order", order_).Set("smoothing", "interpolated modified Kneser-Ney");
      json.Set("train_files", static_cast<int64_t>(train.size())).Set("train_bytes", BytesOf(train));
      json.Set("test_files", static_cast<int64_t>(test.size())).Set("test_bytes", BytesOf(test));
      json.Set("ngrams", model.ngrams()).Set("bits_per_byte", bits_a_byte).Set("provenance", "measured");
      json.Set("seconds", seconds);
      PrintJson(json);
      return {};
    }
    const auto count = [](int64_t value) { return FormatNumber(static_cast<double>(value)); };
    Print(fmt::format("{:.4f} bits a byte on {}, {} bytes\n", bits_a_byte,
                      Counted(static_cast<int64_t>(test.size()), "file"), count(BytesOf(test))));
    Print(fmt::format("  byte-level {}-gram, modified Kneser-Ney, from {}, {} bytes: {} different {}-grams; {}\n",
                      order_, Counted(static_cast<int64_t>(train.size()), "file"), count(BytesOf(train)),
                      count(model.ngrams()), order_, FormatSeconds(seconds)));
    return {};
  }

 private:
  Result<DataSplit> FilesOfOptions() const {
    if (train_.empty() || test_.empty()) {
      return Invalid("'eval ngram' needs --train and --test, or --config with a training file");
    }
    DataSplit files;
    LODESTONE_ASSIGN_OR_RETURN(files.train, DataFiles(PathsOf(train_), suffix_, exclude_));
    LODESTONE_ASSIGN_OR_RETURN(files.validation, DataFiles(PathsOf(test_), suffix_, exclude_));
    TakeOut(files.validation, files.train);
    if (files.train.empty()) return Invalid("every file of --train is a file of --test: nothing is left to count");
    return files;
  }

  Result<DataSplit> FilesOfConfig() const {
    if (!train_.empty() || !test_.empty() || !suffix_.empty() || !exclude_.empty()) {
      return Invalid("--config brings the files: drop --train, --test, --suffix and --exclude");
    }
    LODESTONE_ASSIGN_OR_RETURN(const TrainConfig config, LoadTrainConfig(*config_, {}));
    if (config.data.kind != DataKind::kText) {
      return Unsupported(fmt::format("{}: data.kind is \"{}\", and bytes are counted in text alone", *config_,
                                     ToString(config.data.kind)));
    }
    LODESTONE_ASSIGN_OR_RETURN(DataSplit files, SplitData(config.data));
    if (files.validation.empty()) {
      return Invalid(
          fmt::format("{}: the training file holds no file out: set data.validation, or "
                      "data.validation_fraction with several files",
                      *config_));
    }
    return files;
  }

  int64_t order_ = 5;
  std::vector<std::string> train_, test_, exclude_;
  std::string suffix_;
  std::optional<std::string> config_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeEvalNgram() { return std::make_unique<EvalNgramCommand>(); }

}  // namespace lodestone::cli
