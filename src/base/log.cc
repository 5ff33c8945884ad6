#include "base/log.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace lodestone {
namespace {

constexpr LogLevel kLevels[] = {LogLevel::kQuiet, LogLevel::kError, LogLevel::kWarning, LogLevel::kInfo,
                                LogLevel::kDebug};

std::string_view Name(LogLevel level) {
  switch (level) {
    case LogLevel::kQuiet:
      return "quiet";
    case LogLevel::kError:
      return "error";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kDebug:
      return "debug";
  }
  return "unknown";
}

// One call for the whole line, so that lines of concurrent threads do not mix.
void Write(LogLevel level, std::string_view message) {
  const std::string line = fmt::format("lodestone: {}: {}\n", Name(level), message);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

LogLevel LevelFromEnvironment() {
  const char* text = std::getenv("LODESTONE_LOG");
  if (text == nullptr || *text == '\0') return LogLevel::kWarning;
  for (LogLevel level : kLevels) {
    if (Name(level) == text) return level;
  }
  Write(LogLevel::kWarning,
        fmt::format("LODESTONE_LOG: found '{}', expected quiet, error, warning, info or debug; using warning", text));
  return LogLevel::kWarning;
}

std::atomic<LogLevel>& Level() {
  static std::atomic<LogLevel> level{LevelFromEnvironment()};
  return level;
}

}  // namespace

void SetLogLevel(LogLevel level) { Level().store(level, std::memory_order_relaxed); }

LogLevel CurrentLogLevel() { return Level().load(std::memory_order_relaxed); }

void Log(LogLevel level, std::string_view message) {
  if (level == LogLevel::kQuiet || level > CurrentLogLevel()) return;
  Write(level, message);
}

}  // namespace lodestone
