#include "lab/code/sandbox_child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "lab/code/sandbox_filter.h"

namespace lodestone {
namespace {

constexpr int kNobody = 65534;
constexpr int kProgramFd = 3, kReportFd = 4;
// The new root is put together on top of a folder that exists everywhere and is nobody's source.
constexpr const char* kStage = "/proc";
constexpr const char* kWorkFolder = "/work";

// The sample runs to its end or the token is not written. What it prints is its own.
constexpr const char* kDriver = R"(import os
with os.fdopen(3, encoding="utf-8") as file:
    token, source = file.read().split("\n", 1)
exec(compile(source, "sample.py", "exec"), {"__name__": "__main__"})
os.write(4, token.encode())
)";

// Steps that may fail, and what it means.
enum Step : char { kNamespaces = 'a', kIds, kRoot, kViews, kPivot, kLimits, kUser, kFilter, kExec };
constexpr std::array kStepTexts{"no namespaces of its own",
                                "no user of its own",
                                "no file system in memory",
                                "no read-only view of a folder",
                                "no root of its own",
                                "no limits",
                                "no change of user",
                                "no filter of system calls",
                                "the interpreter does not start"};

// ---- Between fork and exec: system calls only

[[noreturn]] void Stop(const SandboxPlan& plan, Step step) {
  std::array<char, 8> text{kStepFailed, step};
  size_t size = 2;
  for (int divisor = 1000; divisor > 0; divisor /= 10) text[size++] = static_cast<char>('0' + errno / divisor % 10);
  static_cast<void>(!write(plan.report, text.data(), size));
  _exit(126);
}

void Require(const SandboxPlan& plan, bool done, Step step) {
  if (!done) Stop(plan, step);
}

bool WriteText(const char* path, std::string_view text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  const bool written = fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) close(fd);
  return written;
}

// The second limit is that of the processor time at which SIGKILL follows SIGXCPU.
bool Limit(int resource, int64_t value, int64_t more = 0) {
  const rlimit limit{static_cast<rlim_t>(value), static_cast<rlim_t>(value + more)};
  return setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0;
}

// `target` begins with '/', and the current folder is the root to be.
bool AddView(const SandboxView& view) {
  const char* const target = view.target.c_str() + 1;
  for (const char* slash = std::strchr(target, '/'); slash != nullptr; slash = std::strchr(slash + 1, '/')) {
    std::array<char, 4096> parent{};
    std::memcpy(parent.data(), target, static_cast<size_t>(slash - target));
    mkdir(parent.data(), 0755);
  }
  if (view.folder) {
    mkdir(target, 0755);
  } else {
    close(open(target, O_CREAT | O_CLOEXEC, 0644));
  }
  if (mount(view.source.c_str(), target, nullptr, MS_BIND | MS_REC, nullptr) != 0) return false;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID;
  return mount_setattr(AT_FDCWD, target, AT_RECURSIVE, &attributes, sizeof(attributes)) == 0;
}

void EnterOwnRoot(const SandboxPlan& plan) {
  Require(plan, mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, kRoot);
  Require(plan, mount("tmpfs", kStage, "tmpfs", MS_NOSUID | MS_NODEV, plan.files_option.c_str()) == 0, kRoot);
  Require(plan, chdir(kStage) == 0, kRoot);
  for (const SandboxView& view : plan.views) Require(plan, AddView(view), kViews);
  Require(plan, mkdir("tmp", 0777) == 0 && mkdir(kWorkFolder + 1, 0777) == 0, kRoot);
  // Old root and new root on one place; the old one is then on top and goes.
  Require(plan, syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0, kPivot);
  Require(plan, chdir(kWorkFolder) == 0, kPivot);
}

// What this program itself was given by whoever started it is not for the sample: a descriptor of a folder would lead
// out of its root.
void CloseFromOnExec(int first) {
  if (syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  for (int fd = first; fd < 65536; ++fd) fcntl(fd, F_SETFD, FD_CLOEXEC);  // before Linux 5.11
}

// Limits, user, descriptors, filter, and then the interpreter.
[[noreturn]] void Become(const SandboxPlan& plan) {
  signal(SIGPIPE, SIG_DFL);
  const bool limited = Limit(RLIMIT_CPU, plan.limits.processor_s, 1) && Limit(RLIMIT_AS, plan.limits.memory_bytes) &&
                       Limit(RLIMIT_FSIZE, plan.limits.files_bytes) && Limit(RLIMIT_CORE, 0) &&
                       Limit(RLIMIT_NOFILE, 64);
  Require(plan, limited, kLimits);
  if (!plan.strong) {
    Require(plan, chdir(plan.folder.c_str()) == 0, kRoot);
    // The system calls themselves: the C library's functions would wait for threads that this process does not have.
    const bool dropped = geteuid() != 0 || (syscall(SYS_setgroups, 0, nullptr) == 0 &&
                                            syscall(SYS_setresgid, kNobody, kNobody, kNobody) == 0 &&
                                            syscall(SYS_setresuid, kNobody, kNobody, kNobody) == 0);
    Require(plan, dropped, kUser);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // after the change of user, which forgets it
  // The plan's descriptors are above 9: none is overwritten before it was copied.
  dup2(plan.input, STDIN_FILENO);
  dup2(plan.output, STDOUT_FILENO);
  dup2(plan.output, STDERR_FILENO);
  dup2(plan.program, kProgramFd);
  dup2(plan.report, kReportFd);
  CloseFromOnExec(kReportFd + 1);
  const sock_fprog filter{static_cast<unsigned short>(plan.filter.size()),
                          const_cast<sock_filter*>(plan.filter.data())};
  Require(plan, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0,
          kFilter);
  execve(plan.python.c_str(), plan.word_pointers.data(), plan.environment_pointers.data());
  Stop(plan, kExec);
}

// The first process of its namespaces: it waits for the program and ends with its status; with it, all end.
[[noreturn]] void Guard(const SandboxPlan& plan) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (plan.strong) {
    Require(plan, WriteText("/proc/self/setgroups", "deny"), kIds);
    Require(plan, WriteText("/proc/self/uid_map", plan.uid_map), kIds);
    Require(plan, WriteText("/proc/self/gid_map", plan.gid_map), kIds);
    EnterOwnRoot(plan);
  }
  const auto child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (child == 0) Become(plan);
  Require(plan, child > 0, kNamespaces);
  close(plan.output);
  close(plan.report);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

// ---- Before the fork

std::vector<SandboxView> ViewsFor(const SandboxPython& python) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  std::vector<std::string> paths{"/usr",      "/bin",      "/lib",        "/lib64", "/lib32", "/etc/ld.so.cache",
                                 "/dev/null", "/dev/zero", "/dev/urandom"};
  // An interpreter that lies elsewhere brings the folders that are its own, and nothing beside them.
  for (const fs::path prefix : python.prefixes) {
    if (prefix == "/" || prefix == "/usr" || prefix.string().starts_with("/usr/")) continue;
    for (const char* part : {"bin", "lib", "lib64", "pyvenv.cfg"}) paths.push_back((prefix / part).string());
  }
  std::vector<SandboxView> views;
  for (const std::string& path : paths) {
    if (fs::exists(path, ignored)) views.push_back({path, path, fs::is_directory(path, ignored)});
  }
  return views;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

SandboxPlan::SandboxPlan(const SandboxPython& interpreter, const SandboxLimits& sandbox_limits, bool with_namespaces)
    : strong(with_namespaces),
      limits(sandbox_limits),
      python(interpreter.path),
      uid_map(fmt::format("{} {} 1", kNobody, geteuid())),
      gid_map(fmt::format("{} {} 1", kNobody, getegid())),
      files_option(fmt::format("size={},nr_inodes=1024,mode=0755", limits.files_bytes)),
      views(ViewsFor(interpreter)),
      filter(SandboxFilter()),
      words{interpreter.path, "-B", "-s", "-c", kDriver},
      // One order of sets and dictionaries in every run.
      environment{"PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", "PYTHONHASHSEED=0"},
      word_pointers(Pointers(words)),
      environment_pointers(Pointers(environment)) {}

int ForkSandbox(const SandboxPlan& plan) {
  constexpr unsigned long kOwn =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  // The system call and not fork: flags, and no handlers of other libraries in the child.
  const unsigned long flags = SIGCHLD | (plan.strong ? kOwn : 0);
  const auto child = static_cast<pid_t>(syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr));
  if (child == 0) Guard(plan);
  return child;
}

std::string ExplainStep(std::string_view report) {
  const auto step = static_cast<size_t>(report.size() > 1 ? report[1] - kNamespaces : 0);
  const int error = std::atoi(std::string(report.substr(std::min<size_t>(report.size(), 2))).c_str());
  return fmt::format("{}: {}", kStepTexts[std::min(step, kStepTexts.size() - 1)], std::strerror(error));
}

}  // namespace lodestone
