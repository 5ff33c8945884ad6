#include "learn/ranks/peers.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <list>
#include <utility>

namespace lodestone {
namespace {

constexpr int kNoteTag = 0;
constexpr double kAliveNotesPerLimit = 8;  // a few may be late on a busy machine
constexpr double kMaxAliveInterval_s = 1;

template <size_t N>
void Copy(std::string_view text, std::array<char, N>& into) {
  into.fill('\0');
  std::copy_n(text.begin(), std::min(text.size(), N - 1), into.begin());
}

template <size_t N>
std::string Text(const std::array<char, N>& from) {
  return {from.begin(), std::find(from.begin(), from.end(), '\0')};
}

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "an unnamed host";
}

// A descriptor that becomes readable when the process ends; −1 where the system does not offer it.
int WatchProcess(int64_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)); }

bool Ended(int watch) {
  pollfd fd{.fd = watch, .events = POLLIN, .revents = 0};
  return watch >= 0 && poll(&fd, 1, 0) == 1;
}

}  // namespace

std::string Describe(const Announcement& announcement) {
  return fmt::format("a sum of {} {}", announcement.count,
                     announcement.kind == Announcement::Kind::kFloats ? "floats" : "doubles");
}

// Of one size and without pointers: what travels.
struct Peers::Note {
  enum class Kind : int32_t { kHello, kAlive, kAnnounce, kDone, kLeave };
  Kind kind = Kind::kAlive;
  Announcement announcement;
  int64_t pid = 0;
  std::array<char, 488> text{};  // the host's name, or the reason
};

struct Peers::Peer {
  struct Sending {
    Note note;
    Transport::Ticket ticket = 0;
  };
  Note incoming;
  Transport::Ticket receiving = 0;
  std::list<Sending> sending;  // notes stay where they are until they have left

  bool greeted = false, done = false, ended = false;
  std::optional<std::string> left;  // its reason
  double heard = 0;                 // when
  int64_t pid = 0;
  std::string host;
  int watch = -1;
  std::deque<Announcement> announcements;

  Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() {
    if (watch >= 0) close(watch);
  }
};

Peers::Peers(Transport& transport, double time_limit_s) : transport_(transport), time_limit_s_(time_limit_s) {
  for (int rank = 0; rank < transport.ranks(); ++rank) {
    peers_.push_back(rank == transport.rank() ? nullptr : std::make_unique<Peer>());
  }
}

Peers::~Peers() = default;

Status Peers::Open(double now) {
  Note hello{.kind = Note::Kind::kHello, .pid = getpid()};
  Copy(HostName(), hello.text);
  for (int rank = 0; rank < transport_.ranks(); ++rank) {
    if (peers_[rank] == nullptr) continue;
    peers_[rank]->heard = now;
    LODESTONE_RETURN_IF_ERROR(Listen(rank));
  }
  return SendToAll(hello);
}

bool Peers::Greeted() const {
  return std::all_of(peers_.begin(), peers_.end(), [](const auto& peer) { return peer == nullptr || peer->greeted; });
}

Status Peers::Listen(int rank) {
  Peer& peer = *peers_[rank];
  LODESTONE_ASSIGN_OR_RETURN(peer.receiving,
                             transport_.Receive(std::as_writable_bytes(std::span(&peer.incoming, 1)), rank, kNoteTag));
  return {};
}

Status Peers::Send(int rank, const Note& note) {
  Peer& peer = *peers_[rank];
  Peer::Sending& sending = peer.sending.emplace_back(Peer::Sending{.note = note});
  LODESTONE_ASSIGN_OR_RETURN(sending.ticket,
                             transport_.Send(std::as_bytes(std::span(&sending.note, 1)), rank, kNoteTag));
  return {};
}

Status Peers::SendToAll(const Note& note) {
  for (int rank = 0; rank < transport_.ranks(); ++rank) {
    if (peers_[rank] != nullptr) LODESTONE_RETURN_IF_ERROR(Send(rank, note));
  }
  return {};
}

void Peers::Hear(int rank, const Note& note, double now) {
  Peer& peer = *peers_[rank];
  peer.heard = now;
  switch (note.kind) {
    case Note::Kind::kHello:
      peer.greeted = true;
      peer.pid = note.pid;
      peer.host = Text(note.text);
      if (peer.host == HostName()) peer.watch = WatchProcess(note.pid);
      return;
    case Note::Kind::kAlive:
      return;
    case Note::Kind::kAnnounce:
      peer.announcements.push_back(note.announcement);
      return;
    case Note::Kind::kDone:
      peer.done = true;
      return;
    case Note::Kind::kLeave:
      peer.left = Text(note.text);
      return;
  }
}

Result<bool> Peers::Poll(double now) {
  bool moved = false;
  const bool due = now >= next_alive_;
  if (due) next_alive_ = now + std::min(kMaxAliveInterval_s, time_limit_s_ / kAliveNotesPerLimit);
  for (int rank = 0; rank < transport_.ranks(); ++rank) {
    if (peers_[rank] == nullptr || peers_[rank]->ended) continue;
    Peer& peer = *peers_[rank];
    const bool ended = Ended(peer.watch);  // asked before its last notes are taken
    for (auto sending = peer.sending.begin(); sending != peer.sending.end();) {
      LODESTONE_ASSIGN_OR_RETURN(const bool sent, transport_.Done(sending->ticket));
      sending = sent ? peer.sending.erase(sending) : std::next(sending);
    }
    LODESTONE_ASSIGN_OR_RETURN(bool came, transport_.Done(peer.receiving));
    while (came) {
      moved = true;
      Hear(rank, peer.incoming, now);
      LODESTONE_RETURN_IF_ERROR(Listen(rank));
      LODESTONE_ASSIGN_OR_RETURN(came, transport_.Done(peer.receiving));
    }
    peer.ended = ended;
    // A note to a rank that does not listen would only be one more on the heap.
    if (due && !ended && peer.sending.empty()) LODESTONE_RETURN_IF_ERROR(Send(rank, {.kind = Note::Kind::kAlive}));
  }
  return moved;
}

Status Peers::Announce(const Announcement& announcement) {
  return SendToAll({.kind = Note::Kind::kAnnounce, .announcement = announcement});
}

std::optional<Announcement> Peers::Next(int rank) const {
  const Peer& peer = *peers_[rank];
  return peer.announcements.empty() ? std::nullopt : std::optional(peer.announcements.front());
}

void Peers::TakeNext() {
  for (const auto& peer : peers_) {
    if (peer != nullptr) peer->announcements.pop_front();
  }
}

Status Peers::SayDone() { return SendToAll({.kind = Note::Kind::kDone}); }

void Peers::SayLeave(std::string_view reason) {
  Note note{.kind = Note::Kind::kLeave};
  Copy(reason, note.text);
  // Whoever cannot be told will notice the silence.
  for (int rank = 0; rank < transport_.ranks(); ++rank) {
    if (peers_[rank] != nullptr) static_cast<void>(Send(rank, note));
  }
}

bool Peers::HasSaidDone(int rank) const { return peers_[rank]->done; }

bool Peers::AllDone() const {
  return std::all_of(peers_.begin(), peers_.end(), [](const auto& peer) { return peer == nullptr || peer->done; });
}

bool Peers::Quiet() const {
  return std::all_of(peers_.begin(), peers_.end(),
                     [](const auto& peer) { return peer == nullptr || peer->sending.empty(); });
}

std::string Peers::Name(int rank) const {
  const Peer* peer = peers_[rank].get();
  if (peer == nullptr || !peer->greeted) return fmt::format("rank {}", rank);
  return fmt::format("rank {} (process {} on {})", rank, peer->pid, peer->host);
}

std::optional<std::string> Peers::Gone(int rank, double now) const {
  const Peer& peer = *peers_[rank];
  if (peer.left) return fmt::format("{} gave up: {}", Name(rank), *peer.left);
  if (peer.ended) return fmt::format("{} has ended", Name(rank));
  if (peer.done) return fmt::format("{} has finished its part and left", Name(rank));
  if (now - peer.heard > time_limit_s_) {
    return fmt::format("{} has been silent for {:.3g} s", Name(rank), time_limit_s_);
  }
  return std::nullopt;
}

}  // namespace lodestone
