#include "learn/reducer.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <optional>

#include "base/quote.h"
#include "learn/mpi/load.h"
#include "learn/ranks/rank_reducer.h"

namespace lodestone {
namespace {

class OneRank final : public Reducer {
 public:
  int rank() const override { return 0; }
  int ranks() const override { return 1; }
  Status Begin(std::span<float>) override { return {}; }
  Status Finish() override { return {}; }
  Result<std::vector<double>> Sum(std::span<const double> values) override {
    return std::vector<double>(values.begin(), values.end());
  }
  std::string Describe() const override { return "1 rank"; }
};

constexpr const char* kTimeoutVariable = "LODESTONE_RANK_TIMEOUT";
constexpr double kMinTimeout_s = 0.1, kMaxTimeout_s = 1e6;

// How many ranks mpirun started: Open MPI, then MPICH and those that descend from it. 1 where none did.
int RanksOfEnvironment() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    const char* const text = std::getenv(name);
    if (text != nullptr) return std::atoi(text);
  }
  return 1;
}

Result<double> TimeLimit() {
  const char* const text = std::getenv(kTimeoutVariable);
  if (text == nullptr) return RankReducerOptions().time_limit_s;
  const std::string_view digits(text);
  double seconds = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  if (error != std::errc() || end != digits.data() + digits.size() || !(seconds >= kMinTimeout_s) ||
      seconds > kMaxTimeout_s) {
    return Invalid(fmt::format("{}: found {}, expected seconds from {} to {}", kTimeoutVariable, Quoted(text),
                               kMinTimeout_s, kMaxTimeout_s));
  }
  return seconds;
}

}  // namespace

std::unique_ptr<Reducer> SingleRank() { return std::make_unique<OneRank>(); }

Result<std::unique_ptr<Reducer>> ReducerOfEnvironment() {
  if (RanksOfEnvironment() <= 1) return SingleRank();
  LODESTONE_ASSIGN_OR_RETURN(const double time_limit_s, TimeLimit());
  LODESTONE_ASSIGN_OR_RETURN(const MpiModule* module, LoadMpiModule(MpiModulePaths()));
  return MakeRankReducer([module] { return OpenMpi(*module); }, {.time_limit_s = time_limit_s});
}

}  // namespace lodestone
