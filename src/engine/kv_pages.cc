#include "engine/kv_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace lodestone {

KvPages::KvPages(int pages) : pages_(static_cast<size_t>(std::max(pages, 0))), free_(pages_.size()) {
  std::iota(free_.begin(), free_.end(), 0);  // ascending is a heap with the smallest first
}

int32_t KvPages::TakeOne() {
  if (free_.empty()) {
    const int32_t oldest = idle_.front();
    idle_.pop_front();
    index_.Erase(oldest);
    pages_[static_cast<size_t>(oldest)].published = false;
    return oldest;
  }
  std::pop_heap(free_.begin(), free_.end(), std::greater<>());
  const int32_t page = free_.back();
  free_.pop_back();
  return page;
}

Result<std::vector<int32_t>> KvPages::Allocate(int count) {
  if (count < 0) return Invalid(fmt::format("{} KV pages asked for, expected none or more", count));
  if (count > free_pages()) {
    return Infeasible(fmt::format("{} KV pages needed, {} of {} are free", count, free_pages(), total_pages()));
  }
  std::vector<int32_t> taken(static_cast<size_t>(count));
  for (int32_t& page : taken) {
    page = TakeOne();
    pages_[static_cast<size_t>(page)].holders = 1;
  }
  return taken;
}

void KvPages::Share(std::span<const int32_t> pages) {
  for (int32_t id : pages) {
    LODESTONE_CHECK(id >= 0 && id < total_pages());
    Page& page = pages_[static_cast<size_t>(id)];
    LODESTONE_CHECK(page.holders > 0 || page.published);
    if (page.holders++ == 0) idle_.erase(page.idle);
  }
}

void KvPages::Release(std::vector<int32_t>& pages) {
  for (size_t i = pages.size(); i-- > 0;) Release(pages[i]);
  pages.clear();
}

void KvPages::Release(int32_t id) {
  LODESTONE_CHECK(id >= 0 && id < total_pages());
  Page& page = pages_[static_cast<size_t>(id)];
  LODESTONE_CHECK(page.holders > 0);
  if (--page.holders > 0) return;
  if (page.published) {
    page.idle = idle_.insert(idle_.end(), id);
  } else {
    free_.push_back(id);
    std::push_heap(free_.begin(), free_.end(), std::greater<>());
  }
}

int32_t KvPages::Publish(int32_t page, int32_t parent, std::span<const int32_t> tokens) {
  const int32_t earlier = index_.Find(parent, tokens);
  if (earlier == page) return page;
  if (earlier != kNoPage) {
    Share(std::span(&earlier, 1));
    Release(page);
    return earlier;
  }
  LODESTONE_CHECK(holders(page) > 0 && !pages_[static_cast<size_t>(page)].published);
  index_.Insert(page, parent, tokens);
  pages_[static_cast<size_t>(page)].published = true;
  return page;
}

}  // namespace lodestone
