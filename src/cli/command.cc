#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/log.h"
#include "base/nearest.h"
#include "base/quote.h"
#include "cli/output.h"
#include "cli/version.h"

namespace lodestone::cli {
namespace {

constexpr int kSuccess = 0, kRefused = 1, kUsage = 2;

// The commands whose name begins with `prefix`, a line each.
std::string CommandList(const std::vector<std::unique_ptr<Command>>& commands, std::string_view prefix) {
  size_t width = 0;
  for (const auto& command : commands) width = std::max(width, command->Line().name.size());
  std::string text;
  for (const auto& command : commands) {
    const CommandLine line = command->Line();
    if (line.name.starts_with(prefix)) text += fmt::format("  {:<{}} {}\n", line.name, width, line.summary);
  }
  return text;
}

std::string ProgramHelp(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string text =
      "Lodestone runs, simulates and compares large language models on chains of accelerator cards.\n\n"
      "lodestone COMMAND [options]\n\n";
  text += CommandList(commands, "");
  text +=
      "\n'lodestone COMMAND --help' explains one command with examples. Every command has --json.\n"
      "Environment: LODESTONE_THREADS (threads), LODESTONE_PIN (0: threads move freely),\n"
      "LODESTONE_ISA (instruction set), LODESTONE_LOG (messages).\n";
  return text;
}

int Fail(const Error& error, int code) {
  Log(LogLevel::kError, error.message);
  return code;
}

int Flushed() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return kSuccess;
  return Fail(IoError(fmt::format("cannot write to standard output: {}", std::strerror(errno))), kRefused);
}

// `words` are those behind the command's name.
int RunCommand(Command& command, std::span<const std::string> words) {
  const CommandLine line = command.Line();
  const Result<Parsed> parsed = Parse(line, words);
  if (!parsed.ok()) return Fail(parsed.error(), parsed.error().code == ErrorCode::kUnsupported ? kUsage : kRefused);
  if (*parsed == Parsed::kHelp) {
    Print(HelpText(line));
    return Flushed();
  }
  if (const Status status = command.Run(); !status.ok()) {
    std::fflush(stdout);
    return Fail(status.error(), kRefused);
  }
  return Flushed();
}

}  // namespace

std::vector<std::unique_ptr<Command>> AllCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(MakeDemo());
  commands.push_back(MakeGenerate());
  commands.push_back(MakePlan());
  commands.push_back(MakeSimulate());
  commands.push_back(MakeTraffic());
  commands.push_back(MakeSweep());
  commands.push_back(MakeEstimate());
  commands.push_back(MakeCompare());
  commands.push_back(MakeTrain());
  commands.push_back(MakePerplexity());
  commands.push_back(MakeCompareLogits());
  commands.push_back(MakeQuantize());
  commands.push_back(MakeBenchInference());
  commands.push_back(MakeBenchLimits());
  commands.push_back(MakeBenchPredict());
  commands.push_back(MakeBenchBlock());
  commands.push_back(MakeBenchGpt2());
  commands.push_back(MakeBenchGenslm());
  commands.push_back(MakeValidate());
  commands.push_back(MakeTokenizerTrain());
  commands.push_back(MakeTokenizerEncode());
  commands.push_back(MakeTokenizerShow());
  commands.push_back(MakeGenomeMake());
  commands.push_back(MakeGenomeCheck());
  commands.push_back(MakeEvalNgram());
  commands.push_back(MakeEvalHumaneval());
  commands.push_back(MakeModels());
  commands.push_back(MakeHardware());
  commands.push_back(MakePublished());
  commands.push_back(MakeKernels());
  commands.push_back(MakeVersion());
  return commands;
}

int Main(const std::vector<std::string>& words) {
  const std::vector<std::unique_ptr<Command>> commands = AllCommands();
  const auto asks_for_help = [](const std::string& word) { return word == "--help" || word == "-h" || word == "help"; };
  if (words.empty() || asks_for_help(words[0])) {
    Print(ProgramHelp(commands));
    return words.empty() ? kUsage : Flushed();
  }
  const std::string first = words[0] == "--version" ? "version" : words[0];
  const std::string both = words.size() > 1 ? fmt::format("{} {}", first, words[1]) : first;
  const std::string family = first + " ";
  bool is_family = false;
  std::vector<std::string> names;
  for (const auto& command : commands) {
    const CommandLine line = command->Line();
    names.push_back(line.name);
    is_family |= line.name.starts_with(family);
    if (line.name == first) return RunCommand(*command, std::span(words).subspan(1));
    if (line.name == both) return RunCommand(*command, std::span(words).subspan(2));
  }
  if (is_family && (words.size() == 1 || asks_for_help(words[1]))) {
    Print(fmt::format("lodestone {} is a family of commands:\n\n{}", first, CommandList(commands, family)));
    return words.size() == 1 ? kUsage : Flushed();
  }
  std::optional<std::string> nearest = Nearest(both, names);
  if (!nearest && !is_family) nearest = Nearest(first, names);
  if (is_family) std::erase_if(names, [&family](const std::string& name) { return !name.starts_with(family); });
  return Fail(
      Unsupported(fmt::format("there is no command {}{}; the {}commands are {}", Quoted(is_family ? both : first),
                              nearest ? fmt::format(" (did you mean '{}'?)", *nearest) : "", is_family ? family : "",
                              fmt::join(names, ", "))),
      kUsage);
}

}  // namespace lodestone::cli
