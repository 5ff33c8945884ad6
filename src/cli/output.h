// Standard output for results, standard error for progress.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"

namespace lodestone::cli {

void Print(std::string_view text);
void PrintJson(const Json& json);  // and a line end
bool OutputIsTerminal();

// One line on standard error that is rewritten while work goes on: on a terminal only.
class Progress {
 public:
  // "tokens", and how many there will be.
  Progress(std::string what, int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Advance(int64_t by = 1);
  void Erase();  // so that something else can be printed

 private:
  std::string what_;
  int64_t total_, done_ = 0, shown_ms_ = 0;
  bool terminal_, visible_ = false;
};

}  // namespace lodestone::cli
