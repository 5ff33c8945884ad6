#include "learn/ranks/pieces.h"

#include <algorithm>
#include <array>

namespace lodestone {
namespace {

// Messages under way together.
class Flight {
 public:
  explicit Flight(Transport& transport) : transport_(transport) {}

  Status Send(std::span<const std::byte> bytes, int to, int tag) {
    if (bytes.empty()) return {};  // both sides know
    LODESTONE_ASSIGN_OR_RETURN(const Transport::Ticket ticket, transport_.Send(bytes, to, tag));
    messages_.push_back({to, ticket});
    return {};
  }
  Status Receive(std::span<std::byte> bytes, int from, int tag) {
    if (bytes.empty()) return {};
    LODESTONE_ASSIGN_OR_RETURN(const Transport::Ticket ticket, transport_.Receive(bytes, from, tag));
    messages_.push_back({from, ticket});
    return {};
  }

  Result<bool> Landed(bool& moved) {
    for (size_t i = 0; i < messages_.size();) {
      LODESTONE_ASSIGN_OR_RETURN(const bool done, transport_.Done(messages_[i].ticket));
      if (!done) {
        ++i;
        continue;
      }
      moved = true;
      messages_[i] = messages_.back();
      messages_.pop_back();
    }
    return messages_.empty();
  }
  bool Concerns(int rank) const {
    return std::any_of(messages_.begin(), messages_.end(), [rank](const Message& m) { return m.rank == rank; });
  }

 private:
  struct Message {
    int rank = 0;
    Transport::Ticket ticket = 0;
  };
  Transport& transport_;
  std::vector<Message> messages_;
};

// Two tags a piece, told apart for as many pieces as are ever under way; 0 belongs to the notes.
int TagOf(int64_t number, bool gather) { return 1 + static_cast<int>(number % 4096) * 2 + (gather ? 1 : 0); }

class FloatPiece final : public Piece {
 public:
  FloatPiece(Transport& transport, std::span<float> values, int64_t number, std::vector<float>& parts)
      : transport_(transport), values_(values), number_(number), flight_(transport), parts_(parts) {}

  // Shares to their owners.
  Status Scatter() {
    const size_t needed = (static_cast<size_t>(transport_.ranks()) - 1) * Share(transport_.rank()).size();
    if (parts_.size() < needed) parts_.resize(needed);
    for (int rank = 0; rank < transport_.ranks(); ++rank) {
      if (rank == transport_.rank()) continue;
      const int tag = TagOf(number_, false);
      LODESTONE_RETURN_IF_ERROR(flight_.Receive(std::as_writable_bytes(PartOf(rank)), rank, tag));
      LODESTONE_RETURN_IF_ERROR(flight_.Send(std::as_bytes(Share(rank)), rank, tag));
    }
    return {};
  }

  Result<bool> Advance(bool& moved) override {
    LODESTONE_ASSIGN_OR_RETURN(const bool landed, flight_.Landed(moved));
    if (!landed || gathering_) return landed;
    gathering_ = true;
    AddParts();
    LODESTONE_RETURN_IF_ERROR(Gather());
    return flight_.Landed(moved);
  }
  bool WaitsFor(int rank) const override { return flight_.Concerns(rank); }

 private:
  std::span<float> Share(int rank) const {
    const auto [begin, end] = ShareOf(static_cast<int64_t>(values_.size()), rank, transport_.ranks());
    return values_.subspan(begin, end - begin);
  }
  // Another rank's values of the own share.
  std::span<float> PartOf(int rank) const {
    const size_t size = Share(transport_.rank()).size();
    return std::span(parts_).subspan(size * static_cast<size_t>(rank < transport_.rank() ? rank : rank - 1), size);
  }
  void AddParts() {
    const std::span<float> own = Share(transport_.rank());
    std::vector<const float*> parts;
    for (int rank = 0; rank < transport_.ranks(); ++rank) {
      parts.push_back(rank == transport_.rank() ? own.data() : PartOf(rank).data());
    }
    SumInOrder(parts, own);
  }
  // Sums to all. Shares of others have left by now, so that their sums may come in their place.
  Status Gather() {
    for (int rank = 0; rank < transport_.ranks(); ++rank) {
      if (rank == transport_.rank()) continue;
      const int tag = TagOf(number_, true);
      LODESTONE_RETURN_IF_ERROR(flight_.Receive(std::as_writable_bytes(Share(rank)), rank, tag));
      LODESTONE_RETURN_IF_ERROR(flight_.Send(std::as_bytes(Share(transport_.rank())), rank, tag));
    }
    return {};
  }

  Transport& transport_;
  std::span<float> values_;
  int64_t number_;
  Flight flight_;
  std::vector<float>& parts_;  // (R − 1) × own share, or more
  bool gathering_ = false;
};

// Few values: every rank sends all of them to every other, and all add alike.
class DoublePiece final : public Piece {
 public:
  DoublePiece(Transport& transport, std::span<double> values, int64_t number)
      : transport_(transport), values_(values), number_(number), flight_(transport) {}

  Status Exchange() {
    parts_.resize(static_cast<size_t>(transport_.ranks()));
    for (int rank = 0; rank < transport_.ranks(); ++rank) {
      parts_[rank].assign(values_.begin(), values_.end());
      if (rank == transport_.rank()) continue;
      const int tag = TagOf(number_, false);
      LODESTONE_RETURN_IF_ERROR(flight_.Receive(std::as_writable_bytes(std::span(parts_[rank])), rank, tag));
      LODESTONE_RETURN_IF_ERROR(flight_.Send(std::as_bytes(values_), rank, tag));
    }
    return {};
  }

  Result<bool> Advance(bool& moved) override {
    LODESTONE_ASSIGN_OR_RETURN(const bool landed, flight_.Landed(moved));
    if (!landed) return false;
    for (size_t i = 0; i < values_.size(); ++i) {
      values_[i] = parts_[0][i];
      for (size_t rank = 1; rank < parts_.size(); ++rank) values_[i] += parts_[rank][i];
    }
    return true;
  }
  bool WaitsFor(int rank) const override { return flight_.Concerns(rank); }

 private:
  Transport& transport_;
  std::span<double> values_;
  int64_t number_;
  Flight flight_;
  std::vector<std::vector<double>> parts_;  // a rank
};

}  // namespace

std::pair<int64_t, int64_t> ShareOf(int64_t count, int rank, int ranks) {
  const int64_t share = count / ranks, larger = count % ranks;
  const int64_t begin = rank * share + std::min<int64_t>(rank, larger);
  return {begin, begin + share + (rank < larger ? 1 : 0)};
}

void SumInOrder(std::span<const float* const> parts, std::span<float> out) {
  constexpr size_t kBlock = 512;  // sums of a block stay in the first-level cache: 4 KiB
  std::array<double, kBlock> sums;
  for (size_t begin = 0; begin < out.size(); begin += kBlock) {
    const size_t count = std::min(kBlock, out.size() - begin);
    for (size_t i = 0; i < count; ++i) sums[i] = static_cast<double>(parts[0][begin + i]);
    for (const float* part : parts.subspan(1)) {
      for (size_t i = 0; i < count; ++i) sums[i] += static_cast<double>(part[begin + i]);
    }
    for (size_t i = 0; i < count; ++i) out[begin + i] = static_cast<float>(sums[i]);
  }
}

Result<std::unique_ptr<Piece>> SumFloats(Transport& transport, std::span<float> values, int64_t number,
                                         std::vector<float>& scratch) {
  auto piece = std::make_unique<FloatPiece>(transport, values, number, scratch);
  LODESTONE_RETURN_IF_ERROR(piece->Scatter());
  return std::unique_ptr<Piece>(std::move(piece));
}

Result<std::unique_ptr<Piece>> SumDoubles(Transport& transport, std::span<double> values, int64_t number) {
  auto piece = std::make_unique<DoublePiece>(transport, values, number);
  LODESTONE_RETURN_IF_ERROR(piece->Exchange());
  return std::unique_ptr<Piece>(std::move(piece));
}

}  // namespace lodestone
