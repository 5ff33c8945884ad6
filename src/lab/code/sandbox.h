// Runs Python programs that nobody has read: without network, in a file system of their own, within limits.
//
// On Linux a program gets its own user, mount, process, network and IPC namespaces: it sees the read-only folders that
// Python needs and an empty working folder in memory, no other process and no network. A filter of system calls
// (seccomp) keeps it from making processes, sockets and namespaces, limits (setrlimit) bound its processor time, memory
// and files, and all of it ends when its time is up.
//
// This holds code that is wrong, greedy or rude, as models write it. It does not hold an attack on the kernel itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace lodestone {

struct SandboxLimits {
  double wall_s = 10;
  int64_t processor_s = 10;
  int64_t memory_bytes = int64_t{1} << 30;  // of the address space
  int64_t files_bytes = int64_t{16} << 20;  // of each file and, in namespaces, of all together
  size_t output_bytes = size_t{64} << 10;   // that are kept: the last ones
  bool namespaces = true;                   // false: as on a kernel that refuses them
};

enum class SandboxVerdict {
  kPassed,    // it ran to its last line
  kFailed,    // an exception, or an exit before its last line
  kTimedOut,  // of wall or processor time
  kKilled,    // by another signal
};
const char* ToString(SandboxVerdict verdict);  // "passed", "failed", "timed out", "killed"

struct SandboxOutcome {
  SandboxVerdict verdict = SandboxVerdict::kFailed;
  std::string output;  // standard output and error, the last bytes
  double seconds = 0;  // of wall time, Python's start included
};

// An interpreter and the folders that it lives in.
struct SandboxPython {
  std::string path;
  std::vector<std::string> prefixes;  // sys.prefix and sys.base_prefix
};

class Sandbox {
 public:
  // Asks `python`, a path or a name in $PATH, where it lives, and finds out what this kernel allows by a run of an
  // empty program. Refused: no Python 3, one that does not run even with the limits alone.
  static Result<Sandbox> Open(const std::string& python, SandboxLimits limits);

  // Whether namespaces hold the program. Otherwise the filter and the limits do, and it can read, change and delete
  // what this user can.
  bool strong() const { return missing_.empty(); }
  const std::string& missing() const { return missing_; }  // why not: "no user namespaces: Operation not permitted"
  std::string Describe() const;                            // what is active, for records

  // Any number of threads may call. An error is a fault of the system, never of the program.
  Result<SandboxOutcome> Run(std::string_view program) const;

 private:
  Sandbox(SandboxPython python, SandboxLimits limits);
  Result<SandboxOutcome> RunWith(std::string_view program, bool strong) const;

  SandboxPython python_;
  SandboxLimits limits_;
  std::string missing_;
};

}  // namespace lodestone
