// Sums over ranks, piece by piece: who sends what to whom, and in which order values are added.
//
// Floats are reduced and gathered directly: a piece is cut into a share a rank; every rank sends each share to its
// owner, the owner adds the shares in the order of the ranks, and sends the sum to all. So each value is summed once,
// at one place, in one order, and 2 (R − 1) / R of a piece's bytes leave each rank, the least that any sum over ranks
// needs. A ring sends the same bytes in 2 (R − 1) steps that wait for each other, and its order of additions turns with
// the owner; worth it only where R is so large that R − 1 messages at once are too many.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/status.h"
#include "learn/ranks/transport.h"

namespace lodestone {

// The floats of a piece. Four MiB take a millisecond or two between ranks of one host, against which the microseconds
// of its messages and of waking up vanish. Pieces of 1 MiB took 1.3 times the processor time on a Zen 3 core, over Open
// MPI with single-copy shared memory.
inline constexpr int64_t kPieceFloats = int64_t{1} << 20;

// What rank `rank` of `ranks` adds of `count` values: [begin, end). The first shares are the larger ones.
std::pair<int64_t, int64_t> ShareOf(int64_t count, int rank, int ranks);

// out[i] = Σ parts[r][i] over r ascending, formed in double and rounded once. `out` may be one of the parts.
void SumInOrder(std::span<const float* const> parts, std::span<float> out);

// One piece of a sum on its way.
class Piece {
 public:
  virtual ~Piece() = default;
  // Whether the sum is in place. `moved` becomes true where a message left or came.
  virtual Result<bool> Advance(bool& moved) = 0;
  // Whether a message from or to this rank is under way.
  virtual bool WaitsFor(int rank) const = 0;
};

// `number` tells the pieces of a run apart, the same at every rank. Values and scratch stay where they are until the
// end; scratch grows as needed, and goes from piece to piece because fresh memory costs more than the sum itself.
Result<std::unique_ptr<Piece>> SumFloats(Transport& transport, std::span<float> values, int64_t number,
                                         std::vector<float>& scratch);
Result<std::unique_ptr<Piece>> SumDoubles(Transport& transport, std::span<double> values, int64_t number);

}  // namespace lodestone
