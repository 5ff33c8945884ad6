#include "engine/scheduler.h"

#include <algorithm>

#include "plan/placement.h"

namespace lodestone {
namespace {

// A user's last page before position `published × kPagePositions`, or none.
int32_t Parent(const Sequence& user) {
  return user.published == 0 ? kNoPage : user.pages[static_cast<size_t>(user.published) - 1];
}

std::span<const int32_t> TokensOfPage(const Sequence& user, int page) {
  return std::span(user.tokens).subspan(static_cast<size_t>(page * kPagePositions), kPagePositions);
}

}  // namespace

Scheduler::Scheduler(const EngineOptions& options, bool contents)
    : reserve_(options.reserve_pages),
      share_prefixes_(options.prefix_sharing && contents),
      max_users_(options.max_users),
      pages_(options.pages),
      groups_(static_cast<size_t>(std::max(options.micro_batches, 1))) {}

void Scheduler::Enqueue(Sequence& user) {
  user.to_chunk = user.length();
  queue_.emplace(user.age, &user);
}

Sequence* Scheduler::AdmitNext() {
  if (queue_.empty() || stalled_ > 0) return nullptr;
  Sequence& user = *queue_.begin()->second;
  if (seats_ > max_users_ - user.seats) return nullptr;
  ReusePages(user);
  const int64_t most = reserve_ ? user.times.prompt_tokens + user.request->request.max_tokens : user.to_chunk;
  const int needed = static_cast<int>(PagesPerUser(most)) - static_cast<int>(user.pages.size());
  const int margin = reserve_ ? 0 : admitted();
  if (needed + margin > pages_.free_pages()) {
    Leave(user);
    if (user.times.preemptions == 0) user.times.cached_tokens = 0;
    return nullptr;
  }
  const std::vector<int32_t> rest = *pages_.Allocate(needed);
  user.pages.insert(user.pages.end(), rest.begin(), rest.end());
  queue_.erase(queue_.begin());
  Join(user);
  return &user;
}

void Scheduler::Fork(Sequence& from, Sequence& to) {
  to.pages.assign(from.pages.begin(), from.pages.begin() + PagesPerUser(from.fed));
  pages_.Share(to.pages);
  to.published = from.published;
  to.to_chunk = from.to_chunk;
  to.fed = from.fed;
  --from.seats;
  --seats_;
  Join(to);
}

void Scheduler::Remove(Sequence& user) {
  if (user.group < 0) {
    queue_.erase(user.age);
  } else {
    Leave(user);
  }
}

void Scheduler::Join(Sequence& user) {
  const auto smallest = std::min_element(groups_.begin(), groups_.end(),
                                         [](const auto& a, const auto& b) { return a.size() < b.size(); });
  user.group = static_cast<int>(smallest - groups_.begin());
  smallest->push_back(&user);
  seats_ += user.seats;
}

void Scheduler::Leave(Sequence& user) {
  if (user.group >= 0) {
    std::erase(groups_[static_cast<size_t>(user.group)], &user);
    seats_ -= user.seats;
    user.group = -1;
  }
  if (user.copy.from != kNoPage) pages_.Release(user.copy.from);
  user.copy = {kNoPage, kNoPage};
  pages_.Release(user.pages);
  user.published = 0;
  user.fed = 0;
  stalled_ -= user.stalled ? 1 : 0;
  user.stalled = user.leaves = false;
}

void Scheduler::Preempt(Sequence& user) {
  Leave(user);
  Enqueue(user);
  ++user.times.preemptions;
  ++preemptions_;
}

void Scheduler::Evict() {
  if (!leaving_) return;
  leaving_ = false;
  for (const auto& group : groups_) {
    snapshot_ = group;
    for (Sequence* user : snapshot_) {
      if (!user->leaves) continue;
      if (user->in_pass) {
        leaving_ = true;
      } else {
        Preempt(*user);
      }
    }
  }
}

// At least one token is left to compute: its logits are wanted.
void Scheduler::ReusePages(Sequence& user) {
  if (!share_prefixes_ || user.fed % kPagePositions != 0) return;
  while (user.fed + kPagePositions < user.to_chunk) {
    const int32_t found = pages_.Find(Parent(user), TokensOfPage(user, user.published));
    if (found == kNoPage) return;
    pages_.Share(std::span(&found, 1));
    const size_t index = static_cast<size_t>(user.published++);
    if (index < user.pages.size()) {
      pages_.Release(user.pages[index]);
      user.pages[index] = found;
    } else {
      user.pages.push_back(found);
    }
    user.fed += kPagePositions;
    if (user.times.preemptions == 0) user.times.cached_tokens += kPagePositions;
  }
}

void Scheduler::Prepare(size_t group, std::vector<Sequence*>& ready) {
  snapshot_ = groups_[group];
  for (Sequence* user : snapshot_) {
    if (user->group != static_cast<int>(group)) continue;  // gave way to an older one
    if (!user->decodes()) {
      ReusePages(*user);
      continue;
    }
    stalled_ -= user->stalled ? 1 : 0;
    user->stalled = false;
    if (Grow(*user) || user->group < 0) continue;
    user->stalled = true;
    ++stalled_;
  }
  ready.clear();
  for (Sequence* user : groups_[group]) {
    if (!user->stalled) ready.push_back(user);
  }
}

// A page of its own to write position `fed` to.
bool Scheduler::Grow(Sequence& user) {
  const size_t index = static_cast<size_t>(user.fed / kPagePositions);
  const bool has = index < user.pages.size();
  if (has && (pages_.holders(user.pages[index]) == 1 || user.copy.from != kNoPage)) return true;
  const std::optional<int32_t> page = TakePage(user);
  if (!page) return false;
  if (has) {
    user.copy = {user.pages[index], *page};
    user.pages[index] = *page;
  } else {
    user.pages.push_back(*page);
  }
  return true;
}

// None: `user` waits for the youngest, whose pass is inside, or was the youngest himself and gave way.
std::optional<int32_t> Scheduler::TakePage(Sequence& user) {
  for (;;) {
    if (const auto page = pages_.Allocate(1); page.ok()) return page->front();
    Sequence* youngest = Youngest();
    if (youngest->in_pass) {
      youngest->leaves = leaving_ = true;
      return std::nullopt;
    }
    Preempt(*youngest);
    if (youngest == &user) return std::nullopt;
  }
}

Sequence* Scheduler::Youngest() const {
  Sequence* youngest = nullptr;
  for (const auto& group : groups_) {
    for (Sequence* user : group) {
      if (youngest == nullptr || user->age > youngest->age) youngest = user;
    }
  }
  return youngest;
}

void Scheduler::Returned(Sequence& user, bool good) {
  if (user.copy.from != kNoPage) pages_.Release(user.copy.from);
  user.copy = {kNoPage, kNoPage};
  if (!good || !share_prefixes_) return;
  while ((user.published + 1) * kPagePositions <= user.fed) {
    int32_t& page = user.pages[static_cast<size_t>(user.published)];
    page = pages_.Publish(page, Parent(user), TokensOfPage(user, user.published));
    ++user.published;
  }
}

int Scheduler::admitted() const {
  size_t count = 0;
  for (const auto& group : groups_) count += group.size();
  return static_cast<int>(count);
}

}  // namespace lodestone
