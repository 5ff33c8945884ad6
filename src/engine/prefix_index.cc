#include "engine/prefix_index.h"

#include <algorithm>

#include "base/split_mix.h"
#include "base/status.h"

namespace lodestone {
namespace {

uint64_t HashOf(int32_t parent, std::span<const int32_t> tokens) {
  uint64_t hash = Mix(static_cast<uint32_t>(parent));
  for (int32_t token : tokens) hash = Mix(hash ^ static_cast<uint32_t>(token));
  return hash;
}

}  // namespace

int32_t PrefixIndex::Find(int32_t parent, std::span<const int32_t> tokens) const {
  const auto [first, last] = by_content_.equal_range(HashOf(parent, tokens));
  for (auto found = first; found != last; ++found) {
    const Node& node = nodes_.find(found->second)->second;
    if (node.parent == parent && std::equal(tokens.begin(), tokens.end(), node.tokens.begin(), node.tokens.end())) {
      return found->second;
    }
  }
  return kNoPage;
}

void PrefixIndex::Insert(int32_t page, int32_t parent, std::span<const int32_t> tokens) {
  if (parent != kNoPage) ++nodes_.find(parent)->second.children;
  const uint64_t hash = HashOf(parent, tokens);
  nodes_.emplace(page, Node{parent, 0, hash, std::vector<int32_t>(tokens.begin(), tokens.end())});
  by_content_.emplace(hash, page);
}

void PrefixIndex::Erase(int32_t page) {
  const auto node = nodes_.find(page);
  LODESTONE_CHECK(node != nodes_.end() && node->second.children == 0);
  if (node->second.parent != kNoPage) --nodes_.find(node->second.parent)->second.children;
  const auto [first, last] = by_content_.equal_range(node->second.hash);
  by_content_.erase(std::find_if(first, last, [&](const auto& entry) { return entry.second == page; }));
  nodes_.erase(node);
}

}  // namespace lodestone
