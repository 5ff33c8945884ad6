// Gradients of data parallel ranks, averaged while the backward pass still runs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace lodestone {

// What the trainer needs of other ranks. One thread calls.
class Reducer {
 public:
  virtual ~Reducer() = default;
  virtual int rank() const = 0;
  virtual int ranks() const = 0;

  // `values` of every rank will be replaced by their sum over the ranks; communication may begin at once and go on
  // while the caller computes elsewhere. Every rank calls with the same sizes in the same order. Nobody touches the
  // values before Finish has returned.
  //
  // A sum is formed in double in the order of the ranks and rounded once, at one rank, which sends it to the others:
  // the same bits everywhere and in every run, within u |s| + R ε Σ|v| of the exact sum s of R values (u = 2⁻²⁴,
  // ε = 2⁻⁵³).
  virtual Status Begin(std::span<float> values) = 0;
  // Returns when every sum that was begun is in place. A rank that is lost, or silent for longer than the time limit,
  // is an error that names it; nothing hangs. After an error every call returns it.
  virtual Status Finish() = 0;
  // Sums of small vectors (losses, counts), in rank order: the same bits on every rank.
  virtual Result<std::vector<double>> Sum(std::span<const double> values) = 0;

  // This rank cannot go on: the others are told why, and their next Finish or Sum fails with it.
  virtual void Leave(std::string_view /*reason*/) {}

  struct Interval {  // for the trace: when a piece was under way, seconds since the reducer was made
    double begin = 0, end = 0;
    int64_t bytes = 0;  // of the summed values
  };
  virtual std::vector<Interval> TakeIntervals() { return {}; }
  virtual double Now() const { return 0; }   // on the clock of the intervals
  virtual std::string Describe() const = 0;  // "1 rank", "2 ranks over MPI (Open MPI v4.1.4)"
};

std::unique_ptr<Reducer> SingleRank();
// SingleRank outside mpirun; inside it the MPI module, which is loaded then and only then, so that the program starts
// without MPI's libraries. Refused with the reason where the module or MPI is absent. LODESTONE_RANK_TIMEOUT sets the
// time limit of a silent rank in seconds (default 60).
Result<std::unique_ptr<Reducer>> ReducerOfEnvironment();

}  // namespace lodestone
