#include "learn/ranks/rank_reducer.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/log.h"
#include "learn/ranks/peers.h"
#include "learn/ranks/pieces.h"

namespace lodestone {
namespace {

using std::chrono::duration;

// Pieces under way at once: while one is added, the next ones travel. Their scratch memory is that of four pieces.
constexpr size_t kPiecesAtOnce = 4;
// How long the carrying thread sleeps when nothing moves. While the caller computes, a look at the messages costs it
// some 5 µs of its processor, 1 % at the longest nap; a piece takes longer, so that little time is lost. While the
// caller waits, an eighth of the wait so far: who comes soon is met at once, and a slow rank's neighbours keep their
// processors.
constexpr double kLongestNap_s = 500e-6, kShortestNap_s = 20e-6, kNapPerWait = 0.125;
// Without sums under way, only notes come and go: often enough for the time limit.
constexpr double kIdleNapsPerLimit = 20, kMaxIdleNap_s = 0.1;
// What a rank that left had sent before is on its way for this long at most.
constexpr double kSettle_s = 0.2;

class RankReducer final : public Reducer {
 public:
  explicit RankReducer(RankReducerOptions options) : options_(options) {}
  ~RankReducer() override;
  Status Open(std::function<Result<std::unique_ptr<Transport>>()> open);

  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }
  Status Begin(std::span<float> values) override;
  Status Finish() override;
  Result<std::vector<double>> Sum(std::span<const double> values) override;
  void Leave(std::string_view reason) override;
  std::vector<Interval> TakeIntervals() override;
  std::string Describe() const override { return fmt::format("{} ranks over {}", ranks_, transport_text_); }

 private:
  struct Job {
    Announcement announcement;
    std::span<float> floats;  // one of the two
    std::span<double> doubles;
    int64_t pieces_left = 0;
  };
  struct Active {
    std::vector<float> scratch;  // before the piece, which uses it
    std::unique_ptr<Piece> piece;
    Job* job = nullptr;
    double begin = 0;
    int64_t bytes = 0;
  };

  // Of the caller's thread.
  Status Push(Job job);
  Status Wait();

  // Of the carrying thread.
  void Carry(const std::function<Result<std::unique_ptr<Transport>>()>& open);
  Status Greet();
  Status Serve();
  Status TakeJobs();
  Result<bool> Advance();
  Status Agree(bool& moved);
  Status StartPieces(bool& moved);
  Status AdvancePieces(bool& moved);
  Status CheckPeers();
  Status PartInOrder();
  void Nap(bool moved);
  void Fail(const Error& error);
  bool Idle() const { return agreeing_.empty() && agreed_.empty() && active_.empty(); }
  double Now() const override { return duration<double>(std::chrono::steady_clock::now() - made_).count(); }

  const RankReducerOptions options_;
  const std::chrono::steady_clock::time_point made_ = std::chrono::steady_clock::now();
  int rank_ = 0, ranks_ = 1;
  std::string transport_text_;
  std::thread thread_;

  // Between the threads.
  std::mutex mutex_;
  std::condition_variable for_caller_, for_carrier_;
  std::deque<Job> pushed_;
  int64_t jobs_pushed_ = 0, jobs_done_ = 0;
  bool open_ = false, waiting_ = false, closing_ = false;
  std::optional<std::string> leaving_;
  std::optional<Error> failure_;
  std::vector<Interval> intervals_;

  // Of the carrying thread alone.
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Peers> peers_;
  std::deque<std::unique_ptr<Job>> agreeing_, agreed_;  // not yet announced by all; not wholly cut into pieces
  std::vector<std::unique_ptr<Job>> flying_;            // wholly cut, not done
  std::vector<std::unique_ptr<Active>> active_;
  std::vector<std::vector<float>> scratch_;  // that no piece uses
  int64_t cut_ = 0, pieces_ = 0;             // values of agreed_[0] that are cut; pieces so far
  double moved_at_ = 0;
  bool warned_ = false;
};

// ---- The caller's side

Status RankReducer::Open(std::function<Result<std::unique_ptr<Transport>>()> open) {
  thread_ = std::thread([this, open = std::move(open)] { Carry(open); });
  std::unique_lock lock(mutex_);
  for_caller_.wait(lock, [this] { return open_ || failure_; });
  return failure_ ? Status(*failure_) : Status();
}

RankReducer::~RankReducer() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    if (jobs_done_ != jobs_pushed_ && !leaving_) leaving_ = "it ended before its sums were finished";
  }
  for_carrier_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Status RankReducer::Push(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_) return *failure_;
    pushed_.push_back(std::move(job));
    ++jobs_pushed_;
  }
  for_carrier_.notify_one();
  return {};
}

Status RankReducer::Wait() {
  std::unique_lock lock(mutex_);
  waiting_ = true;
  for_carrier_.notify_one();
  for_caller_.wait(lock, [this] { return jobs_done_ == jobs_pushed_ || failure_; });
  waiting_ = false;
  return failure_ ? Status(*failure_) : Status();
}

Status RankReducer::Begin(std::span<float> values) {
  return Push({.announcement = {Announcement::Kind::kFloats, static_cast<int64_t>(values.size())}, .floats = values});
}

Status RankReducer::Finish() { return Wait(); }

Result<std::vector<double>> RankReducer::Sum(std::span<const double> values) {
  std::vector<double> sums(values.begin(), values.end());
  LODESTONE_RETURN_IF_ERROR(
      Push({.announcement = {Announcement::Kind::kDoubles, static_cast<int64_t>(sums.size())}, .doubles = sums}));
  LODESTONE_RETURN_IF_ERROR(Wait());
  return sums;
}

void RankReducer::Leave(std::string_view reason) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_) return;
    leaving_ = std::string(reason);
    failure_ = Invalid(fmt::format("this rank left: {}", reason));
  }
  for_carrier_.notify_one();
  thread_.join();  // the caller's values are its own again
}

std::vector<Reducer::Interval> RankReducer::TakeIntervals() {
  const std::lock_guard lock(mutex_);
  return std::exchange(intervals_, {});
}

// ---- The carrying thread

void RankReducer::Carry(const std::function<Result<std::unique_ptr<Transport>>()>& open) {
  prctl(PR_SET_TIMERSLACK, 1000);  // ns: naps end when they should
  Result<std::unique_ptr<Transport>> transport = open();
  if (!transport.ok()) return Fail(transport.error());
  transport_ = *std::move(transport);
  peers_ = std::make_unique<Peers>(*transport_, options_.time_limit_s);
  Status status = Greet();
  if (status.ok()) {
    const std::lock_guard lock(mutex_);
    rank_ = transport_->rank();
    ranks_ = transport_->ranks();
    transport_text_ = transport_->Describe();
    open_ = true;
    for_caller_.notify_one();
  }
  if (status.ok()) status = Serve();
  if (!status.ok()) return Fail(status.error());
  transport_->Close();
}

// Ends with `error`, and tells the others as far as they can be told.
void RankReducer::Fail(const Error& error) {
  std::string reason = error.message;
  {
    const std::lock_guard lock(mutex_);
    if (leaving_) reason = *leaving_;
    if (!failure_) failure_ = error;
  }
  for_caller_.notify_one();
  if (peers_ == nullptr) return;
  peers_->SayLeave(reason);
  for (const double end = Now() + kSettle_s; Now() < end && !peers_->Quiet();) {
    if (!peers_->Poll(Now()).ok()) return;
    std::this_thread::sleep_for(duration<double>(kShortestNap_s));
  }
}

Status RankReducer::Greet() {
  LODESTONE_RETURN_IF_ERROR(peers_->Open(Now()));
  while (!peers_->Greeted()) {
    LODESTONE_ASSIGN_OR_RETURN(const bool moved, peers_->Poll(Now()));
    if (moved) continue;
    for (int rank = 0; rank < transport_->ranks(); ++rank) {
      if (rank == transport_->rank()) continue;
      if (const auto gone = peers_->Gone(rank, Now())) return IoError(fmt::format("{} before the run began", *gone));
    }
    std::this_thread::sleep_for(duration<double>(kLongestNap_s));
  }
  return {};
}

Status RankReducer::Serve() {
  for (;;) {
    LODESTONE_RETURN_IF_ERROR(TakeJobs());
    bool closing = false;
    {
      const std::lock_guard lock(mutex_);
      if (leaving_) return Invalid(*leaving_);
      closing = closing_;
    }
    if (closing && Idle()) return PartInOrder();
    LODESTONE_ASSIGN_OR_RETURN(const bool moved, Advance());
    Nap(moved);
  }
}

Status RankReducer::TakeJobs() {
  std::deque<Job> pushed;
  {
    const std::lock_guard lock(mutex_);
    pushed.swap(pushed_);
  }
  for (Job& job : pushed) {
    LODESTONE_RETURN_IF_ERROR(peers_->Announce(job.announcement));
    agreeing_.push_back(std::make_unique<Job>(std::move(job)));
  }
  return {};
}

Result<bool> RankReducer::Advance() {
  LODESTONE_ASSIGN_OR_RETURN(const bool heard, peers_->Poll(Now()));
  bool moved = false;
  LODESTONE_RETURN_IF_ERROR(Agree(moved));
  LODESTONE_RETURN_IF_ERROR(StartPieces(moved));
  LODESTONE_RETURN_IF_ERROR(AdvancePieces(moved));
  if (moved || Idle()) {
    moved_at_ = Now();
    warned_ = false;
  } else {
    LODESTONE_RETURN_IF_ERROR(CheckPeers());
  }
  return heard || moved;
}

// A sum begins when all ranks have announced it, and announced the same.
Status RankReducer::Agree(bool& moved) {
  while (!agreeing_.empty()) {
    const Announcement own = agreeing_.front()->announcement;
    for (int rank = 0; rank < ranks_; ++rank) {
      if (rank == rank_) continue;
      const std::optional<Announcement> other = peers_->Next(rank);
      if (!other) return {};
      if (*other != own) {
        return Invalid(
            fmt::format("{} began {} where rank {} began {}: the ranks do not run the same program with the same "
                        "configuration",
                        peers_->Name(rank), lodestone::Describe(*other), rank_, lodestone::Describe(own)));
      }
    }
    peers_->TakeNext();
    agreed_.push_back(std::move(agreeing_.front()));
    agreeing_.pop_front();
    moved = true;
  }
  return {};
}

Status RankReducer::StartPieces(bool& moved) {
  while (!agreed_.empty() && active_.size() < kPiecesAtOnce) {
    Job& job = *agreed_.front();
    active_.push_back(std::make_unique<Active>());
    Active& active = *active_.back();
    active.job = &job;
    active.begin = Now();
    if (!scratch_.empty()) {
      active.scratch = std::move(scratch_.back());
      scratch_.pop_back();
    }
    if (job.announcement.kind == Announcement::Kind::kDoubles) {
      LODESTONE_ASSIGN_OR_RETURN(active.piece, SumDoubles(*transport_, job.doubles, pieces_));
      active.bytes = static_cast<int64_t>(job.doubles.size_bytes());
      cut_ = job.announcement.count;
    } else {
      const int64_t count = std::min(options_.piece_floats, job.announcement.count - cut_);
      const std::span<float> values = job.floats.subspan(static_cast<size_t>(cut_), static_cast<size_t>(count));
      LODESTONE_ASSIGN_OR_RETURN(active.piece, SumFloats(*transport_, values, pieces_, active.scratch));
      active.bytes = static_cast<int64_t>(values.size_bytes());
      cut_ += count;
    }
    ++job.pieces_left;
    ++pieces_;
    moved = true;
    if (cut_ < job.announcement.count) continue;
    cut_ = 0;
    flying_.push_back(std::move(agreed_.front()));
    agreed_.pop_front();
  }
  return {};
}

Status RankReducer::AdvancePieces(bool& moved) {
  for (size_t i = 0; i < active_.size();) {
    Active& active = *active_[i];
    LODESTONE_ASSIGN_OR_RETURN(const bool done, active.piece->Advance(moved));
    if (!done) {
      ++i;
      continue;
    }
    moved = true;
    Job* const job = active.job;
    const Interval interval{.begin = active.begin, .end = Now(), .bytes = active.bytes};
    scratch_.push_back(std::move(active.scratch));
    active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(i));
    const bool last = --job->pieces_left == 0 && (agreed_.empty() || agreed_.front().get() != job);
    if (last) std::erase_if(flying_, [job](const auto& flying) { return flying.get() == job; });
    const std::lock_guard lock(mutex_);
    if (interval.bytes > 0) intervals_.push_back(interval);
    if (!last) continue;
    ++jobs_done_;
    for_caller_.notify_one();
  }
  return {};
}

// Whether those that this rank waits for may still come.
Status RankReducer::CheckPeers() {
  const double now = Now();
  for (int rank = 0; rank < ranks_; ++rank) {
    if (rank == rank_) continue;
    const bool wanted = (!agreeing_.empty() && !peers_->Next(rank)) ||
                        std::any_of(active_.begin(), active_.end(),
                                    [rank](const auto& active) { return active->piece->WaitsFor(rank); });
    if (!wanted) continue;
    if (const auto gone = peers_->Gone(rank, now); gone && now - moved_at_ > kSettle_s) {
      return IoError(fmt::format("{}: its part of a sum is missing", *gone));
    }
    if (now - moved_at_ > options_.time_limit_s && !warned_) {
      warned_ = true;
      Log(LogLevel::kWarning, fmt::format("rank {} has waited for {} for {:.3g} s; it is alive and may be computing",
                                          rank_, peers_->Name(rank), now - moved_at_));
    }
  }
  return {};
}

// No rank ends its part of MPI before all have said that they will begin nothing more.
Status RankReducer::PartInOrder() {
  LODESTONE_RETURN_IF_ERROR(peers_->SayDone());
  while (!peers_->AllDone() || !peers_->Quiet()) {
    LODESTONE_ASSIGN_OR_RETURN(const bool moved, peers_->Poll(Now()));
    for (int rank = 0; rank < ranks_ && !peers_->AllDone(); ++rank) {
      if (rank == rank_ || peers_->HasSaidDone(rank)) continue;
      if (const auto gone = peers_->Gone(rank, Now())) return IoError(fmt::format("{} before the run's end", *gone));
    }
    if (!moved) std::this_thread::sleep_for(duration<double>(kLongestNap_s));
  }
  return {};
}

void RankReducer::Nap(bool moved) {
  if (moved) return;
  std::unique_lock lock(mutex_);
  double nap_s = kLongestNap_s;
  if (Idle()) {
    nap_s = std::min(kMaxIdleNap_s, options_.time_limit_s / kIdleNapsPerLimit);
  } else if (waiting_) {
    nap_s = std::clamp(kNapPerWait * (Now() - moved_at_), kShortestNap_s, kLongestNap_s);
  }
  const bool waited = waiting_;
  for_carrier_.wait_for(lock, duration<double>(nap_s), [&] {
    return !pushed_.empty() || leaving_ || (waiting_ && !waited && !Idle()) || (closing_ && Idle());
  });
}

}  // namespace

Result<std::unique_ptr<Reducer>> MakeRankReducer(std::function<Result<std::unique_ptr<Transport>>()> open,
                                                 RankReducerOptions options) {
  auto reducer = std::make_unique<RankReducer>(options);
  LODESTONE_RETURN_IF_ERROR(reducer->Open(std::move(open)));
  return std::unique_ptr<Reducer>(std::move(reducer));
}

}  // namespace lodestone
