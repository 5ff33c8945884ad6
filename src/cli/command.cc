#include "cli/command.h"

#include <fmt/format.h>

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

std::string ProgramHelp(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string text =
      "Lodestone runs, simulates and compares large language models on chains of accelerator cards.\n\n"
      "lodestone COMMAND [options]\n\n";
  for (const auto& command : commands) {
    const CommandLine line = command->Line();
    text += fmt::format("  {:<10} {}\n", line.name, line.summary);
  }
  text +=
      "\n'lodestone COMMAND --help' explains one command with examples. Every command has --json.\n"
      "Environment: LODESTONE_THREADS (threads), LODESTONE_ISA (instruction set), LODESTONE_LOG (messages).\n";
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

}  // namespace

std::vector<std::unique_ptr<Command>> AllCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(MakeDemo());
  commands.push_back(MakeGenerate());
  commands.push_back(MakePlan());
  commands.push_back(MakeSimulate());
  commands.push_back(MakeModels());
  commands.push_back(MakeHardware());
  commands.push_back(MakeVersion());
  return commands;
}

int Main(const std::vector<std::string>& words) {
  const std::vector<std::unique_ptr<Command>> commands = AllCommands();
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    Print(ProgramHelp(commands));
    return words.empty() ? kUsage : Flushed();
  }
  const std::string name = words[0] == "--version" ? "version" : words[0];
  std::vector<std::string> names;
  for (const auto& command : commands) {
    const CommandLine line = command->Line();
    names.push_back(line.name);
    if (line.name != name) continue;
    const Result<Parsed> parsed = Parse(line, std::span(words).subspan(1));
    if (!parsed.ok()) return Fail(parsed.error(), parsed.error().code == ErrorCode::kUnsupported ? kUsage : kRefused);
    if (*parsed == Parsed::kHelp) {
      Print(HelpText(line));
      return Flushed();
    }
    if (const Status status = command->Run(); !status.ok()) {
      std::fflush(stdout);
      return Fail(status.error(), kRefused);
    }
    return Flushed();
  }
  const std::optional<std::string> nearest = Nearest(name, names);
  return Fail(
      Unsupported(fmt::format("there is no command {}{}; the commands are {}", Quoted(name),
                              nearest ? fmt::format(" (did you mean '{}'?)", *nearest) : "", fmt::join(names, ", "))),
      kUsage);
}

}  // namespace lodestone::cli
