// The command line of one command: declared as data, parsed, and explained.
//
// Two kinds of fault are told apart, because scripts do: a line that cannot be understood (an unknown option, a missing
// value, a word where a number belongs) is kUnsupported and ends with exit code 2; a value that is understood and
// refused (zero users) is kInvalid and ends with 1, like any other bad input.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"

namespace lodestone::cli {

struct Option {
  // A bool is a switch; a vector collects every use of the option; an optional stays empty where the option is not
  // given.
  using Target = std::variant<bool*, int64_t*, double*, std::string*, std::optional<int64_t>*, std::optional<double>*,
                              std::optional<std::string>*, std::vector<std::string>*>;

  std::string name;   // "--users"
  std::string value;  // what stands for the value in the help: "N"; empty for a switch
  std::string help;   // one sentence, defaults included
  Target target;
  double min = 0, max = 0;  // of a number, both inclusive
  bool required = false;
  bool writes = false;  // names a file that the command writes at its end, after minutes perhaps: tried before
};

struct Example {
  std::string what, line;  // "the same tokens on sixteen simulated cards", "lodestone generate …"
};

// One command: `lodestone NAME`, where NAME is one word or two.
struct CommandLine {
  std::string name, summary;
  std::string details{};
  std::vector<Option> options{};
  // Words that are no options: at most one, such as the NAME of `lodestone models NAME`, or any number ("FILE...").
  std::string operand{}, operand_help{};
  std::optional<std::string>* operand_target = nullptr;
  std::vector<std::string>* operands_target = nullptr;
  std::vector<Example> examples{};
};

enum class Parsed { kRun, kHelp };

// Fills the targets from the words after the command's name. -h and --help win over every other fault of the line.
Result<Parsed> Parse(const CommandLine& line, std::span<const std::string> words);

// The text of --help: usage, what it does, options, examples; lines of at most 100 columns.
std::string HelpText(const CommandLine& line);

}  // namespace lodestone::cli
