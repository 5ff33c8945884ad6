// What a rank knows of the others: that they live, what they are about to sum, and why they left.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "learn/ranks/transport.h"

namespace lodestone {

// What a rank announces before its messages: a sum of `count` values.
struct Announcement {
  enum class Kind : int32_t { kFloats, kDoubles };
  Kind kind = Kind::kFloats;
  int64_t count = 0;
  bool operator==(const Announcement&) const = default;
};
std::string Describe(const Announcement& announcement);  // "a sum of 4096 floats"

// Notes of one size, on a tag of their own, from each rank to each other. A rank that has nothing to say says so
// several times within the time limit, so that one that computes for long is told from one that is lost. Times are
// seconds of one clock of the caller.
class Peers {
 public:
  Peers(Transport& transport, double time_limit_s);
  ~Peers();
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  // Greets the others; false from Greeted until all have answered.
  Status Open(double now);
  bool Greeted() const;

  // Takes what has come and sends what is due. Whether anything came.
  Result<bool> Poll(double now);

  Status Announce(const Announcement& announcement);
  // The oldest announcement of a rank that was not taken yet.
  std::optional<Announcement> Next(int rank) const;
  void TakeNext();  // of every rank

  // The last notes: this rank will begin no more sums, or cannot go on.
  Status SayDone();
  void SayLeave(std::string_view reason);
  bool HasSaidDone(int rank) const;
  bool AllDone() const;
  bool Quiet() const;  // all notes have left

  // Why nothing more can come of this rank: it left, ended, or has been silent for too long. None while it lives.
  std::optional<std::string> Gone(int rank, double now) const;
  std::string Name(int rank) const;  // "rank 1 (process 4711 on host-a)"

 private:
  struct Note;
  struct Peer;
  Status Listen(int rank);
  Status Send(int rank, const Note& note);
  Status SendToAll(const Note& note);
  void Hear(int rank, const Note& note, double now);

  Transport& transport_;
  double time_limit_s_, next_alive_ = 0;
  std::vector<std::unique_ptr<Peer>> peers_;  // none for this rank
};

}  // namespace lodestone
