// Which page holds which text: the pages of all published sequences as a tree.
//
// K and V of a page depend on the tokens in it and on all before them. A page is therefore known by its own tokens and
// by the page that it continues, which in turn stands for everything before: one comparison of a page's tokens and of
// one number is exact for the whole prefix, and no hash is ever trusted. (A page stays in the index while another
// continues it, so its number keeps its meaning.)
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace lodestone {

inline constexpr int32_t kNoPage = -1;

class PrefixIndex {
 public:
  // The page with these tokens (as many as a page has positions) after `parent`, or kNoPage.
  int32_t Find(int32_t parent, std::span<const int32_t> tokens) const;
  // `page` and these contents are not in the index; `parent` is, or is kNoPage.
  void Insert(int32_t page, int32_t parent, std::span<const int32_t> tokens);
  // No page in the index continues `page`.
  void Erase(int32_t page);
  size_t size() const { return nodes_.size(); }

 private:
  struct Node {
    int32_t parent = kNoPage;
    int children = 0;
    uint64_t hash = 0;
    std::vector<int32_t> tokens;
  };
  std::unordered_map<int32_t, Node> nodes_;                // by page
  std::unordered_multimap<uint64_t, int32_t> by_content_;  // hash of (parent, tokens) → page
};

}  // namespace lodestone
