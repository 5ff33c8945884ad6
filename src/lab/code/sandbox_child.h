// What happens between fork and exec of a program in the sandbox.
#pragma once

#include <linux/filter.h>

#include <string>
#include <string_view>
#include <vector>

#include "lab/code/sandbox.h"

namespace lodestone {

// What the program sees of the file system: a folder or a file under `target`.
struct SandboxView {
  std::string source, target;
  bool folder = true;
};

// Everything that the child needs, made before the fork: after it, a process with other threads must not allocate.
struct SandboxPlan {
  SandboxPlan(const SandboxPython& interpreter, const SandboxLimits& limits, bool strong);
  SandboxPlan(const SandboxPlan&) = delete;
  SandboxPlan& operator=(const SandboxPlan&) = delete;

  bool strong = true;
  SandboxLimits limits;
  std::string python, uid_map, gid_map, files_option;
  std::string folder;  // without namespaces: the working folder
  std::vector<SandboxView> views;
  std::vector<sock_filter> filter;
  std::vector<std::string> words, environment;
  std::vector<char*> word_pointers, environment_pointers;  // of exec, null at the end
  // Read by the program as descriptor 3; its output; where the child says what failed, and the program, as descriptor
  // 4, that it reached its end; its empty input.
  int program = -1, output = -1, report = -1, input = -1;
};

// Forks the child; its process id, or −1 with errno. With namespaces, the child is the first process of its own.
int ForkSandbox(const SandboxPlan& plan);

// What the child writes where a step fails: kStepFailed, the step, and errno as decimal text.
inline constexpr char kStepFailed = '!';
// "no user namespaces: Operation not permitted", of a report that begins with kStepFailed.
std::string ExplainStep(std::string_view report);

}  // namespace lodestone
