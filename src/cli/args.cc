#include "cli/args.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <iterator>

#include "base/file.h"
#include "base/nearest.h"
#include "base/quote.h"
#include "cli/layout.h"

namespace lodestone::cli {
namespace {

constexpr int kHelpColumn = 30;

Error CannotUnderstand(const CommandLine& line, std::string message) {
  return Unsupported(fmt::format("{}; 'lodestone {} --help' shows what there is", message, line.name));
}

template <typename Number>
bool ReadNumber(const std::string& text, Number* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

std::string ShowNumber(double value) {
  return value == std::floor(value) && std::abs(value) < 1e15 ? fmt::format("{}", static_cast<int64_t>(value))
                                                              : fmt::format("{}", value);
}

Status CheckRange(const Option& option, const std::string& text, double value) {
  if (value >= option.min && value <= option.max) return {};
  return Invalid(fmt::format("{} is {}; it must lie between {} and {}", option.name, Quoted(text),
                             ShowNumber(option.min), ShowNumber(option.max)));
}

Result<int64_t> ReadInteger(const CommandLine& line, const Option& option, const std::string& text) {
  int64_t value = 0;
  if (!ReadNumber(text, &value)) {
    return CannotUnderstand(line, fmt::format("{} takes a whole number, not {}", option.name, Quoted(text)));
  }
  LODESTONE_RETURN_IF_ERROR(CheckRange(option, text, static_cast<double>(value)));
  return value;
}

Result<double> ReadReal(const CommandLine& line, const Option& option, const std::string& text) {
  double value = 0;
  if (!ReadNumber(text, &value) || !std::isfinite(value)) {
    return CannotUnderstand(line, fmt::format("{} takes a number, not {}", option.name, Quoted(text)));
  }
  LODESTONE_RETURN_IF_ERROR(CheckRange(option, text, value));
  return value;
}

// Puts the words that followed one option where the command wants them.
struct Store {
  const CommandLine& line;
  const Option& option;
  const std::vector<std::string>& values;  // every use, in order

  Status operator()(bool* target) const {
    *target = true;
    return {};
  }
  Status operator()(int64_t* target) const {
    LODESTONE_ASSIGN_OR_RETURN(*target, ReadInteger(line, option, values.back()));
    return {};
  }
  Status operator()(double* target) const {
    LODESTONE_ASSIGN_OR_RETURN(*target, ReadReal(line, option, values.back()));
    return {};
  }
  Status operator()(std::optional<int64_t>* target) const {
    LODESTONE_ASSIGN_OR_RETURN(*target, ReadInteger(line, option, values.back()));
    return {};
  }
  Status operator()(std::optional<double>* target) const {
    LODESTONE_ASSIGN_OR_RETURN(*target, ReadReal(line, option, values.back()));
    return {};
  }
  Status operator()(std::string* target) const {
    *target = values.back();
    return {};
  }
  Status operator()(std::optional<std::string>* target) const {
    *target = values.back();
    return {};
  }
  Status operator()(std::vector<std::string>* target) const {
    *target = values;
    return {};
  }
};

bool Repeats(const Option& option) { return std::holds_alternative<std::vector<std::string>*>(option.target); }

Error UnknownWord(const CommandLine& line, const std::string& word) {
  if (!word.starts_with('-')) {
    return CannotUnderstand(line, fmt::format("{} was not expected after '{}'", Quoted(word), line.name));
  }
  std::vector<std::string> names{"--help"};
  for (const Option& option : line.options) names.push_back(option.name);
  const std::string name = word.substr(0, word.find('='));
  const std::optional<std::string> nearest = Nearest(name, names);
  return CannotUnderstand(line, fmt::format("'{}' has no option {}{}", line.name, Quoted(name),
                                            nearest ? fmt::format(" (did you mean {}?)", *nearest) : ""));
}

}  // namespace

Result<Parsed> Parse(const CommandLine& line, std::span<const std::string> words) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  CLI::Option* help = app.add_flag("-h,--help");
  std::vector<CLI::Option*> handles;
  for (const Option& option : line.options) {
    // Values stay text here and are read below, so that every message names the option in the same way.
    CLI::Option* handle =
        option.value.empty() ? app.add_flag(option.name)->disable_flag_override() : app.add_option(option.name);
    if (Repeats(option)) handle->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    handles.push_back(handle);
  }
  std::vector<std::string> reversed(words.rbegin(), words.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    if (std::find(words.begin(), words.end(), "--help") != words.end()) return Parsed::kHelp;
    return CannotUnderstand(line, error.what());
  }
  if (help->count() > 0) return Parsed::kHelp;

  std::vector<std::string> extras = app.remaining();
  if (line.operand_target && !extras.empty() && !extras.front().starts_with('-')) {
    *line.operand_target = extras.front();
    extras.erase(extras.begin());
  }
  if (line.operands_target) {
    const auto is_option = [](const std::string& word) { return word.starts_with('-'); };
    std::remove_copy_if(extras.begin(), extras.end(), std::back_inserter(*line.operands_target), is_option);
    std::erase_if(extras, std::not_fn(is_option));
  }
  if (!extras.empty()) return UnknownWord(line, extras.front());
  for (size_t i = 0; i < line.options.size(); ++i) {
    const Option& option = line.options[i];
    if (handles[i]->count() == 0) {
      if (option.required) {
        return CannotUnderstand(line, fmt::format("'{}' needs {} {}", line.name, option.name, option.value));
      }
      continue;
    }
    LODESTONE_RETURN_IF_ERROR(std::visit(Store{line, option, handles[i]->results()}, option.target));
    if (option.writes) {
      const Status writable = CheckWritable(handles[i]->results().back());
      if (!writable.ok()) return Invalid(fmt::format("{}: {}", option.name, writable.error().message));
    }
  }
  return Parsed::kRun;
}

std::string HelpText(const CommandLine& line) {
  std::string usage = fmt::format("lodestone {}", line.name);
  if (!line.operand.empty()) usage += fmt::format(" [{}]", line.operand);
  for (const Option& option : line.options) {
    const std::string word = option.value.empty() ? option.name : fmt::format("{} {}", option.name, option.value);
    usage += option.required ? fmt::format(" {}", word) : fmt::format(" [{}]", word);
  }
  std::string text = fmt::format("{}\n\n{}\n", Wrap(usage, kWidth, 10), Wrap(line.summary, kWidth, 0));
  if (!line.details.empty()) text += fmt::format("\n{}\n", Wrap(line.details, kWidth, 0));
  text += "\n";
  const auto add = [&text](const std::string& head, const std::string& help) {
    const bool fits = head.size() + 4 <= kHelpColumn;
    text += fits ? "" : fmt::format("  {}\n", head);
    text += Wrap(fmt::format("{:<{}}{}", fits ? "  " + head : "", kHelpColumn, help), kWidth, kHelpColumn) + "\n";
  };
  if (!line.operand.empty()) add(line.operand, line.operand_help);
  for (const Option& option : line.options) {
    add(option.value.empty() ? option.name : fmt::format("{} {}", option.name, option.value), option.help);
  }
  add("-h, --help", "This text.");
  if (!line.examples.empty()) text += "\nExamples\n";
  for (const Example& example : line.examples) text += fmt::format("  # {}\n  {}\n", example.what, example.line);
  return text;
}

}  // namespace lodestone::cli
