#include "lab/code/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <sstream>
#include <utility>

#include "base/quote.h"
#include "lab/code/sandbox_child.h"

namespace lodestone {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { Close(); }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  // Out of the way of the descriptors that the program gets.
  void Raise() { *this = Descriptor(fcntl(fd_, F_DUPFD_CLOEXEC, 10)); }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read, write;
};

Result<Pipe> MakePipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return IoError(fmt::format("no pipe: {}", std::strerror(errno)));
  Pipe pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
  pipe.write.Raise();
  return pipe;
}

// A file in memory with this text, at its beginning.
Result<Descriptor> TextFile(std::string_view first, std::string_view second) {
  Descriptor file(memfd_create("program", MFD_CLOEXEC));
  for (const std::string_view text : {first, second}) {
    if (file.get() < 0 || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return IoError(fmt::format("cannot hold a program in memory: {}", std::strerror(errno)));
    }
  }
  lseek(file.get(), 0, SEEK_SET);
  file.Raise();
  return file;
}

// Appends what has come, keeping the last `keep` bytes. False at the end.
bool Drain(int fd, std::string& text, size_t keep) {
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got <= 0) return got < 0 && errno == EAGAIN;
    text.append(buffer.data(), static_cast<size_t>(got));
    if (text.size() > keep) text.erase(0, text.size() - keep);
    if (static_cast<size_t>(got) < buffer.size()) return true;
  }
}

std::string RandomToken() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

// A working folder for a program without namespaces, writable for whoever it becomes.
class WorkFolder {
 public:
  Status Make() {
    std::error_code error;
    std::string name = (std::filesystem::temp_directory_path(error) / "lodestone-sample-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr || chmod(name.c_str(), 0777) != 0) {
      return IoError(fmt::format("{}: cannot make a folder: {}", name, std::strerror(errno)));
    }
    path_ = name;
    return {};
  }
  ~WorkFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The interpreter's own word: what a name in $PATH leads to may be a link, a script or a virtual environment.
Result<SandboxPython> AskPython(const std::string& name) {
  const std::string command = ShellQuoted(name) +
                              " -s -c 'import sys; print(sys.executable, sys.prefix, sys.base_prefix, sep=chr(10))'"
                              " 2>/dev/null </dev/null";
  std::string answer;
  if (std::FILE* const pipe = popen(command.c_str(), "r")) {
    std::array<char, 4096> buffer;
    while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) answer.append(buffer.data(), got);
    if (pclose(pipe) != 0) answer.clear();
  }
  SandboxPython python;
  std::istringstream lines(answer);
  std::getline(lines, python.path);
  for (std::string prefix; std::getline(lines, prefix);) python.prefixes.push_back(prefix);
  if (python.path.empty() || python.path[0] != '/' || python.prefixes.size() != 2) {
    return NotFound(
        fmt::format("{} is no Python 3 that runs: install it (Debian: python3), or name another", Quoted(name)));
  }
  return python;
}

}  // namespace

const char* ToString(SandboxVerdict verdict) {
  switch (verdict) {
    case SandboxVerdict::kPassed:
      return "passed";
    case SandboxVerdict::kFailed:
      return "failed";
    case SandboxVerdict::kTimedOut:
      return "timed out";
    case SandboxVerdict::kKilled:
      return "killed";
  }
  return "";
}

Sandbox::Sandbox(SandboxPython python, SandboxLimits limits) : python_(std::move(python)), limits_(limits) {}

Result<Sandbox> Sandbox::Open(const std::string& python, SandboxLimits limits) {
  LODESTONE_ASSIGN_OR_RETURN(SandboxPython interpreter, AskPython(python));
  Sandbox sandbox(std::move(interpreter), limits);
  const Result<SandboxOutcome> strong =
      limits.namespaces ? sandbox.RunWith("", true) : Unsupported("namespaces are switched off");
  if (strong.ok() && strong->verdict == SandboxVerdict::kPassed) return sandbox;
  LODESTONE_ASSIGN_OR_RETURN(const SandboxOutcome weak, sandbox.RunWith("", false));
  if (weak.verdict != SandboxVerdict::kPassed) {
    return Invalid(fmt::format("{} does not run an empty program within {} s and {} MiB: {}",
                               Quoted(sandbox.python_.path), limits.wall_s, limits.memory_bytes >> 20,
                               Quoted(weak.output, 200)));
  }
  sandbox.missing_ = strong.ok() ? fmt::format("the interpreter does not start: {}", Quoted(strong->output, 200))
                                 : strong.error().message;
  return sandbox;
}

std::string Sandbox::Describe() const {
  return fmt::format("{}system call filter, {:.3g} s, {} MiB of memory, {} MiB of files",
                     strong() ? "own user, mount, process, network and IPC namespaces, read-only root, " : "",
                     limits_.wall_s, limits_.memory_bytes >> 20, limits_.files_bytes >> 20);
}

Result<SandboxOutcome> Sandbox::Run(std::string_view program) const { return RunWith(program, strong()); }

Result<SandboxOutcome> Sandbox::RunWith(std::string_view program, bool with_namespaces) const {
  SandboxPlan plan(python_, limits_, with_namespaces);
  WorkFolder folder;
  if (!with_namespaces) LODESTONE_RETURN_IF_ERROR(folder.Make());
  plan.folder = folder.path();
  const std::string token = RandomToken();
  LODESTONE_ASSIGN_OR_RETURN(Descriptor text, TextFile(token + "\n", program));
  LODESTONE_ASSIGN_OR_RETURN(Pipe output, MakePipe());
  LODESTONE_ASSIGN_OR_RETURN(Pipe report, MakePipe());
  Descriptor input(open("/dev/null", O_RDONLY | O_CLOEXEC));
  input.Raise();
  plan.program = text.get();
  plan.output = output.write.get();
  plan.report = report.write.get();
  plan.input = input.get();

  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const int child = ForkSandbox(plan);
  if (child < 0) return IoError(fmt::format("no namespaces of its own: {}", std::strerror(errno)));
  output.write.Close();
  report.write.Close();
  const Descriptor watch(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));

  const auto elapsed = [start] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  SandboxOutcome outcome;
  std::string said;
  bool ended = false;
  std::array<pollfd, 3> events{{{.fd = watch.get(), .events = POLLIN, .revents = 0},
                                {.fd = output.read.get(), .events = POLLIN, .revents = 0},
                                {.fd = report.read.get(), .events = POLLIN, .revents = 0}}};
  while (!ended && watch.get() >= 0 && elapsed() < limits_.wall_s) {
    const double left_ms = std::ceil((limits_.wall_s - elapsed()) * 1e3);
    if (poll(events.data(), events.size(), static_cast<int>(std::clamp(left_ms, 0.0, 1e6))) < 0 && errno != EINTR)
      break;
    ended = events[0].revents != 0;
    if (events[1].fd >= 0 && !Drain(events[1].fd, outcome.output, limits_.output_bytes)) events[1].fd = -1;
    if (events[2].fd >= 0 && !Drain(events[2].fd, said, 64)) events[2].fd = -1;
  }
  if (!ended) kill(child, SIGKILL);  // whoever it started ends with it
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  outcome.seconds = elapsed();
  Drain(output.read.get(), outcome.output, limits_.output_bytes);
  Drain(report.read.get(), said, 64);
  if (watch.get() < 0) return Unsupported("the sandbox needs Linux 5.3 (pidfd_open)");
  if (said.starts_with(kStepFailed)) return IoError(ExplainStep(said));

  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  const bool late = !ended || code == 128 + SIGXCPU || outcome.seconds >= limits_.wall_s;
  outcome.verdict = said == token                             ? SandboxVerdict::kPassed
                    : late                                    ? SandboxVerdict::kTimedOut
                    : code > 128 && code < 128 + SIGRTMAX + 1 ? SandboxVerdict::kKilled
                                                              : SandboxVerdict::kFailed;
  return outcome;
}

}  // namespace lodestone
