// What a program in the sandbox can do, and what it cannot.
#include "lab/code/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "base/temporary_folder.h"

namespace lodestone::testing {
namespace {

// Time of the processor ends what loops, so that a busy machine changes no verdict.
constexpr SandboxLimits kSmall{.wall_s = 300, .processor_s = 1, .memory_bytes = 512 << 20, .files_bytes = 4 << 20};

class SandboxTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override { Open(kSmall); }

  void Open(SandboxLimits limits) {
    limits.namespaces = GetParam();
    Result<Sandbox> sandbox = Sandbox::Open("/usr/bin/python3", limits);
    if (!sandbox.ok()) GTEST_SKIP() << sandbox.error().message;
    if (GetParam() && !sandbox->strong()) GTEST_SKIP() << "no namespaces here: " << sandbox->missing();
    sandbox_ = std::make_unique<Sandbox>(*std::move(sandbox));
  }

  SandboxOutcome Run(std::string_view program) const {
    const Result<SandboxOutcome> outcome = sandbox_->Run(program);
    EXPECT_TRUE(outcome.ok()) << outcome.error().message;
    return outcome.ok() ? *outcome : SandboxOutcome();
  }
  void ExpectFailure(std::string_view program, std::string_view says) const {
    const SandboxOutcome outcome = Run(program);
    EXPECT_EQ(outcome.verdict, SandboxVerdict::kFailed) << program;
    EXPECT_NE(outcome.output.find(says), std::string::npos) << program << "\n" << outcome.output;
  }

  std::unique_ptr<Sandbox> sandbox_;
};

INSTANTIATE_TEST_SUITE_P(Strong, SandboxTest, ::testing::Values(true));
INSTANTIATE_TEST_SUITE_P(Weak, SandboxTest, ::testing::Values(false));

TEST_P(SandboxTest, AProgramThatReachesItsEndPasses) {
  const SandboxOutcome outcome = Run("import math, re, typing\nassert math.gcd(4, 6) == 2\nprint('done')");
  EXPECT_EQ(outcome.verdict, SandboxVerdict::kPassed) << outcome.output;
  EXPECT_EQ(outcome.output, "done\n");
  EXPECT_GT(outcome.seconds, 0);
}

TEST_P(SandboxTest, AnExceptionFailsWithItsText) {
  ExpectFailure("assert 1 == 2, 'not equal'", "AssertionError: not equal");
  ExpectFailure("def f(:\n", "SyntaxError");
  ExpectFailure("x = '\\ud800'.encode()", "UnicodeEncodeError");
}

TEST_P(SandboxTest, AnExitBeforeTheEndIsNoSuccess) {
  EXPECT_EQ(Run("import sys; sys.exit(0)").verdict, SandboxVerdict::kFailed);
  EXPECT_EQ(Run("import os; os._exit(0)").verdict, SandboxVerdict::kFailed);
  EXPECT_EQ(Run("raise SystemExit").verdict, SandboxVerdict::kFailed);
  EXPECT_EQ(Run("import os; os.write(4, b'passed'); os._exit(0)").verdict, SandboxVerdict::kFailed);
}

TEST_P(SandboxTest, AnEndlessLoopIsStopped) { EXPECT_EQ(Run("while True: pass").verdict, SandboxVerdict::kTimedOut); }

TEST_P(SandboxTest, ASleeperIsStopped) {
  Open({.wall_s = 2});
  const SandboxOutcome outcome = Run("import time; time.sleep(1000)");
  EXPECT_EQ(outcome.verdict, SandboxVerdict::kTimedOut);
  EXPECT_GE(outcome.seconds, 2);
}

TEST_P(SandboxTest, NoProcessesAreMade) {
  ExpectFailure("import os\nwhile True: os.fork()", "PermissionError");
  ExpectFailure("import subprocess; subprocess.run(['/bin/true'])", "PermissionError");
  ExpectFailure("import multiprocessing as m; m.Process(target=print).start()", "PermissionError");
  EXPECT_EQ(Run("import threading; t = threading.Thread(target=print); t.start(); t.join()").verdict,
            SandboxVerdict::kPassed);
}

TEST_P(SandboxTest, MemoryIsBounded) {
  ExpectFailure("x = []\nwhile True: x.append(bytearray(1 << 24))", "MemoryError");
  ExpectFailure("x = bytearray(1 << 40)", "MemoryError");
}

TEST_P(SandboxTest, FilesAreBounded) {
  EXPECT_EQ(Run("open('a', 'w').write('x'); assert open('a').read() == 'x'").verdict, SandboxVerdict::kPassed);
  ExpectFailure("open('a', 'wb').write(b'x' * (1 << 23))", "File too large");
}

TEST_P(SandboxTest, ThereIsNoNetwork) {
  ExpectFailure("import socket; socket.create_connection(('127.0.0.1', 22))", "PermissionError");
  ExpectFailure("import socket; socket.socket(socket.AF_UNIX)", "PermissionError");
}

TEST_P(SandboxTest, NobodyElseIsSignalledOrTraced) {
  ExpectFailure("import os; os.kill(" + std::to_string(getpid()) + ", 9)", "PermissionError");
  ExpectFailure(
      "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
      "libc.unshare(0x10000000)\nraise OSError(ctypes.get_errno(), 'unshare')",
      "PermissionError");
}

TEST_P(SandboxTest, OutputIsBoundedAndItsEndIsKept) {
  const SandboxOutcome outcome = Run("for i in range(100000): print('x' * 100)\nprint('the end')");
  EXPECT_EQ(outcome.verdict, SandboxVerdict::kPassed);
  EXPECT_EQ(outcome.output.size(), kSmall.output_bytes);
  EXPECT_TRUE(outcome.output.ends_with("the end\n"));
}

TEST_P(SandboxTest, ACrashIsAVerdict) {
  EXPECT_EQ(Run("import ctypes; ctypes.string_at(0)").verdict, SandboxVerdict::kKilled);
  EXPECT_EQ(Run("import os; os.abort()").verdict, SandboxVerdict::kKilled);
}

TEST_P(SandboxTest, TheEnvironmentIsEmptyAndTheFolderToo) {
  setenv("LODESTONE_SECRET", "secret", 1);
  const SandboxOutcome outcome =
      Run("import os\nassert 'LODESTONE_SECRET' not in os.environ\nassert os.listdir('.') == []\n"
          "assert input.__name__ == 'input'\ntry:\n  input()\nexcept EOFError: pass\nelse: raise SystemExit");
  EXPECT_EQ(outcome.verdict, SandboxVerdict::kPassed) << outcome.output;
  unsetenv("LODESTONE_SECRET");
}

TEST_P(SandboxTest, ManyRunAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> passed = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 3; ++i) {
        const bool good = (thread + i) % 2 == 0;
        const SandboxOutcome outcome = Run(good ? "pass" : "raise ValueError");
        EXPECT_EQ(outcome.verdict, good ? SandboxVerdict::kPassed : SandboxVerdict::kFailed) << outcome.output;
        ++passed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(passed, 12);
}

// Whoever starts this program may leave a folder open in it.
TEST_P(SandboxTest, DescriptorsOfThisProcessAreNotTheSamples) {
  const int folder = open("/", O_RDONLY | O_DIRECTORY);  // not close-on-exec
  ASSERT_GE(folder, 0);
  const int high = fcntl(folder, F_DUPFD, 100);
  for (const int fd : {folder, high}) {
    ExpectFailure("import os\nprint(os.listdir(" + std::to_string(fd) + "))", fd > 4 ? "Bad file descriptor" : "Error");
  }
  close(folder);
  close(high);
}

class StrongSandbox : public SandboxTest {};
INSTANTIATE_TEST_SUITE_P(Only, StrongSandbox, ::testing::Values(true));

TEST_P(StrongSandbox, FilesOfTheSystemAndTheUserAreNotThere) {
  const TemporaryFolder folder;
  const std::filesystem::path secret = folder.Write("secret", "secret");
  ExpectFailure("open('/etc/shadow')", "FileNotFoundError");
  ExpectFailure("open('/etc/passwd')", "FileNotFoundError");
  ExpectFailure("open('" + secret.string() + "')", "FileNotFoundError");
  ExpectFailure("import os; os.listdir('/proc')", "FileNotFoundError");
  ExpectFailure("open('/usr/lib/lodestone-was-here', 'w')", "Read-only file system");
  ExpectFailure("import os; os.remove('/usr/bin/python3')", "Read-only file system");
}

TEST_P(StrongSandbox, ManyFilesFillTheirOwnMemoryOnly) {
  ExpectFailure("for i in range(10000): open(str(i), 'w').write('x' * 100000)", "No space left on device");
}

TEST_P(StrongSandbox, SaysWhatIsActive) {
  EXPECT_NE(sandbox_->Describe().find("namespaces"), std::string::npos);
  EXPECT_EQ(sandbox_->missing(), "");
}

TEST(Sandbox, WithoutNamespacesItSaysSo) {
  const Result<Sandbox> sandbox = Sandbox::Open("/usr/bin/python3", {.namespaces = false});
  if (!sandbox.ok()) GTEST_SKIP() << sandbox.error().message;
  EXPECT_FALSE(sandbox->strong());
  EXPECT_EQ(sandbox->missing(), "namespaces are switched off");
  EXPECT_EQ(sandbox->Describe().find("namespaces"), std::string::npos);
}

TEST(Sandbox, NoInterpreterIsRefused) {
  for (const char* python : {"/nowhere/python3", "no-such-python", "it's none", "/bin/true"}) {
    const Result<Sandbox> sandbox = Sandbox::Open(python, {});
    ASSERT_FALSE(sandbox.ok()) << python;
    EXPECT_NE(sandbox.error().message.find("no Python 3 that runs"), std::string::npos) << sandbox.error().message;
  }
}

}  // namespace
}  // namespace lodestone::testing
