// Ranks that are threads of one process: messages through memory, late by chance, lost on request.
#pragma once

#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <tuple>
#include <vector>

#include "learn/ranks/transport.h"

namespace lodestone::testing {

class FakeNetwork {
 public:
  explicit FakeNetwork(int ranks, uint32_t seed = 1) : ranks_(ranks), seed_(seed) {}

  // From now on nothing that this rank sends arrives.
  void Silence(int rank) { silent_ = rank; }
  int64_t bytes_sent(int rank) const { return bytes_[rank]; }
  bool closed(int rank) const { return closed_[rank]; }

  std::unique_ptr<Transport> Rank(int rank);

 private:
  class End;
  using Key = std::tuple<int, int, int>;  // from, to, tag
  const int ranks_;
  const uint32_t seed_;
  std::mutex mutex_;
  std::map<Key, std::deque<std::vector<std::byte>>> messages_;
  std::atomic<int> silent_ = -1;
  std::array<std::atomic<int64_t>, 16> bytes_{};
  std::array<std::atomic<bool>, 16> closed_{};
};

class FakeNetwork::End final : public Transport {
 public:
  End(FakeNetwork& network, int rank)
      : network_(network), rank_(rank), random_(network.seed_ + static_cast<uint32_t>(rank)) {}

  int rank() const override { return rank_; }
  int ranks() const override { return network_.ranks_; }
  std::string Describe() const override { return "threads"; }

  Result<Ticket> Send(std::span<const std::byte> bytes, int to, int tag) override {
    return Add({.send = true, .from = rank_, .to = to, .tag = tag, .out = bytes});
  }
  Result<Ticket> Receive(std::span<std::byte> bytes, int from, int tag) override {
    return Add({.from = from, .to = rank_, .tag = tag, .in = bytes});
  }
  Result<bool> Done(Ticket& ticket) override {
    if (random_() % 3 == 0) return false;  // not yet
    const auto found = pending_.find(ticket);
    if (found == pending_.end()) return Invalid("a ticket was asked about twice");
    const Message& message = found->second;
    for (auto earlier = pending_.begin(); earlier != found; ++earlier) {
      if (earlier->second.SameChannel(message)) return false;
    }
    const std::lock_guard lock(network_.mutex_);
    auto& queue = network_.messages_[{message.from, message.to, message.tag}];
    if (message.send) {
      network_.bytes_[rank_] += static_cast<int64_t>(message.out.size());
      // The bytes leave only now: who changes them before is found out.
      if (network_.silent_ != rank_) queue.emplace_back(message.out.begin(), message.out.end());
    } else {
      if (queue.empty()) return false;
      if (queue.front().size() != message.in.size()) return Invalid("a message of another size");
      std::memcpy(message.in.data(), queue.front().data(), message.in.size());
      queue.pop_front();
    }
    pending_.erase(found);
    return true;
  }
  void Close() override { network_.closed_[rank_] = true; }

 private:
  struct Message {
    bool send = false;
    int from = 0, to = 0, tag = 0;
    std::span<const std::byte> out;
    std::span<std::byte> in;
    bool SameChannel(const Message& other) const {
      return std::tie(send, from, to, tag) == std::tie(other.send, other.from, other.to, other.tag);
    }
  };
  Ticket Add(const Message& message) {
    pending_[++last_] = message;
    return last_;
  }

  FakeNetwork& network_;
  const int rank_;
  std::minstd_rand random_;
  std::map<Ticket, Message> pending_;
  Ticket last_ = 0;
};

inline std::unique_ptr<Transport> FakeNetwork::Rank(int rank) { return std::make_unique<End>(*this, rank); }

}  // namespace lodestone::testing
