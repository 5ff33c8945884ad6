// Who is admitted, who holds which KV pages, and who gives them back when they are short.
//
// Order is age, the order of arrival, in everything: the oldest waits at the head of the queue, and the youngest gives
// way. A sequence is admitted when there are pages for all of its tokens and, beyond them, one for every sequence that
// is already there; from then on it takes a page when its output reaches one. If none is left, the youngest admitted
// sequence gives all of its pages back and waits in the queue again, with its tokens. Readmitted, it computes their K
// and V once more (what the prefix index still holds, not even that), and goes on: with the same tokens, since a row's
// bits and its random numbers do not depend on when it is computed.
//
// This cannot go round in circles. The oldest sequence gives way to no one, and alone it fits (Engine::Add sees to
// that), so it always advances; while a sequence waits for a page, no other is admitted, and each wait takes one
// younger sequence out.
//
// With `reserve_pages`, a sequence is admitted with pages for all that it may generate, and nobody ever gives way.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "engine/kv_pages.h"
#include "engine/request_state.h"

namespace lodestone {

class Scheduler {
 public:
  // `contents`: sequences have tokens, not only a length.
  Scheduler(const EngineOptions& options, bool contents);

  // Puts a sequence in line, at the place of its age.
  void Enqueue(Sequence& user);
  // Admits the head of the line to the smallest micro-batch, if it can be; null if not.
  Sequence* AdmitNext();
  // `to` goes on where `from`, whose prompt is in the cards, stands: it shares the prompt's pages. Admits it.
  void Fork(Sequence& from, Sequence& to);
  // Out of the line or out of its micro-batch; its pages go back.
  void Remove(Sequence& user);

  // Sees to the pages of the next pass of a micro-batch: prompts move on over pages that are known by now, those who
  // decode get the page to write to. May take pages from the youngest. `ready`: who can be in the pass, in order of
  // admission.
  void Prepare(size_t group, std::vector<Sequence*>& ready);
  // A pass with `user` has left the chain. `good`: what it wrote may be shared.
  void Returned(Sequence& user, bool good);
  // Takes out those who were asked to leave while their pass was inside. Before Prepare.
  void Evict();

  std::span<Sequence* const> users(size_t group) const { return groups_[group]; }
  const KvPages& pages() const { return pages_; }
  int waiting() const { return static_cast<int>(queue_.size()); }
  int admitted() const;
  int64_t preemptions() const { return preemptions_; }

 private:
  void Join(Sequence& user);
  void Leave(Sequence& user);
  void Preempt(Sequence& user);
  void ReusePages(Sequence& user);
  bool Grow(Sequence& user);
  std::optional<int32_t> TakePage(Sequence& user);
  Sequence* Youngest() const;

  const bool reserve_, share_prefixes_;
  const int max_users_;
  KvPages pages_;
  std::map<uint64_t, Sequence*> queue_;         // by age
  std::vector<std::vector<Sequence*>> groups_;  // users of a micro-batch in order of admission
  std::vector<Sequence*> snapshot_;             // of a group, reused
  int seats_ = 0;                               // of all admitted
  int stalled_ = 0;                             // admitted users who wait for a page
  bool leaving_ = false;                        // somebody was asked to leave
  int64_t preemptions_ = 0;
};

}  // namespace lodestone
