// What the tests start under mpirun: one scenario a call, its outcome in the exit code and on standard output.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <numeric>
#include <string_view>
#include <thread>
#include <vector>

#include "host/thread_pool.h"
#include "learn/reducer.h"

namespace lodestone {
namespace {

// A value of its own for each rank and index, small enough that every sum is exact.
float ValueOf(int rank, size_t i) { return static_cast<float>((rank + 1) * (static_cast<int>(i % 1000) - 500)); }

Status CheckSums(Reducer& reducer) {
  const float all = static_cast<float>(reducer.ranks() * (reducer.ranks() + 1)) / 2;
  std::vector<std::vector<float>> buckets;
  for (const size_t size : {0u, 1u, 3u, 1000u, 999'999u, 3'000'001u}) {
    buckets.emplace_back(size);
    for (size_t i = 0; i < size; ++i) buckets.back()[i] = ValueOf(reducer.rank(), i);
    LODESTONE_RETURN_IF_ERROR(reducer.Begin(buckets.back()));
  }
  LODESTONE_RETURN_IF_ERROR(reducer.Finish());
  for (const auto& bucket : buckets) {
    for (size_t i = 0; i < bucket.size(); ++i) {
      const float expected = all * ValueOf(0, i);
      if (bucket[i] != expected) {
        return Invalid(fmt::format("value {} of {}: {} and not {}", i, bucket.size(), bucket[i], expected));
      }
    }
  }
  return {};
}

// Hashes of sums whose bits depend on the order of additions: every rank prints the same.
Status PrintHash(Reducer& reducer) {
  std::vector<float> values(1'000'003);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = 1.0F / (static_cast<float>(i) + 0.37F * static_cast<float>(reducer.rank()) + 0.1F);
  }
  LODESTONE_RETURN_IF_ERROR(reducer.Begin(values));
  LODESTONE_RETURN_IF_ERROR(reducer.Finish());
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const std::byte byte : std::as_bytes(std::span(values))) {
    hash = (hash ^ static_cast<uint64_t>(byte)) * 1099511628211u;
  }
  fmt::print("hash {:016x}\n", hash);
  return {};
}

// The last rank is lost in the way that `how` says while the others wait for it.
Status LoseTheLast(Reducer& reducer, std::string_view how) {
  LODESTONE_RETURN_IF_ERROR(reducer.Sum(std::vector<double>{1}).status());
  if (reducer.rank() == reducer.ranks() - 1) {
    if (how == "kill") kill(getpid(), SIGKILL);
    if (how == "stop") kill(getpid(), SIGSTOP);
    if (how == "leave") return reducer.Leave("it saw a NaN"), Invalid("a NaN");
  }
  std::vector<float> values(how == "mismatch" && reducer.rank() == 0 ? 99 : 100);
  LODESTONE_RETURN_IF_ERROR(reducer.Begin(values));
  return reducer.Finish();
}

// Sums of `megabytes` while nothing else happens, and the seconds that each takes.
Status Time(Reducer& reducer, size_t megabytes) {
  std::vector<float> values(megabytes << 18);
  for (int round = 0; round < 5; ++round) {
    const auto start = std::chrono::steady_clock::now();
    LODESTONE_RETURN_IF_ERROR(reducer.Begin(values));
    LODESTONE_RETURN_IF_ERROR(reducer.Finish());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print("rank {}: {} MiB in {:.4f} s, {:.2f} GB/s\n", reducer.rank(), megabytes, seconds,
               static_cast<double>(megabytes << 20) / seconds / 1e9);
  }
  return {};
}

Status Run(std::string_view scenario) {
  LODESTONE_ASSIGN_OR_RETURN(const std::unique_ptr<Reducer> reducer, ReducerOfEnvironment());
  fmt::print("rank {} of {}, {} threads\n", reducer->Describe(), reducer->ranks(), AvailableThreads());
  if (scenario == "sums") return CheckSums(*reducer);
  if (scenario == "hash") return PrintHash(*reducer);
  if (scenario == "time") return Time(*reducer, 256);
  return LoseTheLast(*reducer, scenario);
}

}  // namespace
}  // namespace lodestone

int main(int argc, char** argv) {
  const lodestone::Status status = lodestone::Run(argc > 1 ? argv[1] : "sums");
  if (!status.ok()) fmt::print("error: {}\n", status.error().message);
  std::fflush(stdout);
  return status.ok() ? 0 : 1;
}
