// Messages between the ranks of one run: what sums need of MPI, and all that they know of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"

namespace lodestone {

// One thread makes a transport, calls it and ends it: so MPI needs no locks (MPI_THREAD_FUNNELED).
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int ranks() const = 0;
  virtual std::string Describe() const = 0;  // "MPI (Open MPI v4.1.4)"

  // A message on its way: its bytes stay where they are until `Done`. Two messages of one sender with one tag arrive
  // in the order in which they were sent. Tags are 0 to 32767.
  using Ticket = uint64_t;
  virtual Result<Ticket> Send(std::span<const std::byte> bytes, int to, int tag) = 0;
  // Of exactly this size.
  virtual Result<Ticket> Receive(std::span<std::byte> bytes, int from, int tag) = 0;
  // Whether the message has left, or has come; the ticket is void then. Lets all messages move on.
  virtual Result<bool> Done(Ticket& ticket) = 0;

  // The orderly end, which every rank reaches. A transport that goes without it leaves its messages where they are.
  virtual void Close() = 0;
};

}  // namespace lodestone
