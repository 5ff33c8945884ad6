#include "cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "base/units.h"

namespace lodestone::cli {
namespace {

int64_t NowMs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace

void Print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void PrintJson(const Json& json) {
  Print(json.Dump());
  Print("\n");
}

bool OutputIsTerminal() { return isatty(STDOUT_FILENO) == 1; }

Progress::Progress(std::string what, int64_t total)
    : what_(std::move(what)), total_(total), shown_ms_(NowMs()), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { Erase(); }

void Progress::Advance(int64_t by) {
  done_ += by;
  if (!terminal_) return;
  constexpr int64_t kIntervalMs = 100;  // quick work shows nothing; slow work ten times a second
  const int64_t now = NowMs();
  if (now - shown_ms_ < kIntervalMs) return;
  shown_ms_ = now;
  visible_ = true;
  fmt::print(stderr, "\r\033[K{} of {} {}", FormatNumber(static_cast<double>(done_)),
             FormatNumber(static_cast<double>(total_)), what_);
  std::fflush(stderr);
}

void Progress::Erase() {
  if (!visible_) return;
  visible_ = false;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
}

}  // namespace lodestone::cli
