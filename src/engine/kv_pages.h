// Page numbers of the KV store, who holds them, and which of them hold text that a later request may begin with. Ids
// only: the same id names a page on every card.
//
// A page is free, held (by one or more), or idle: held by nobody, but published, so that its contents may be used
// again. Free pages are given out first, then the page that has been idle longest.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "base/status.h"
#include "engine/prefix_index.h"

namespace lodestone {

class KvPages {
 public:
  explicit KvPages(int pages);

  // Lowest free ids first, each with one holder. kInfeasible with both numbers if fewer than `count` are not held.
  Result<std::vector<int32_t>> Allocate(int count);
  // One more holder for pages that are held or idle.
  void Share(std::span<const int32_t> pages);
  // One holder less, the last page first; and clears it.
  void Release(std::vector<int32_t>& pages);
  void Release(int32_t page);

  // The published page that holds these kPagePositions tokens after the pages that end with `parent` (kNoPage: at the
  // start); kNoPage if there is none. It gets no holder by this.
  int32_t Find(int32_t parent, std::span<const int32_t> tokens) const { return index_.Find(parent, tokens); }
  // Makes a held, filled page known. Returns the page that stands for the contents from now on: `page`, or the one
  // published before, which then is shared in its place. `parent` is held by the same holder.
  int32_t Publish(int32_t page, int32_t parent, std::span<const int32_t> tokens);

  int holders(int32_t page) const { return pages_[static_cast<size_t>(page)].holders; }
  int free_pages() const { return static_cast<int>(free_.size() + idle_.size()); }  // not held
  int idle_pages() const { return static_cast<int>(idle_.size()); }                 // of those, published
  int total_pages() const { return static_cast<int>(pages_.size()); }

 private:
  struct Page {
    int holders = 0;
    bool published = false;
    std::list<int32_t>::iterator idle;  // valid while published without a holder
  };
  int32_t TakeOne();

  std::vector<Page> pages_;
  std::vector<int32_t> free_;  // a heap, smallest first
  // Longest idle first. Whoever holds a page holds all before it and releases them after it, so a page is idle before
  // the pages that it continues: the first of the list is never the parent of another.
  std::list<int32_t> idle_;
  PrefixIndex index_;
};

}  // namespace lodestone
