#include "text/bpe_trainer.h"

#include <algorithm>
#include <queue>
#include <unordered_map>
#include <utility>

namespace lodestone {
namespace {

constexpr int32_t kBytes = 256;
constexpr int64_t kFewest = 2;  // a pair that occurs once is not a pattern

using PairKey = uint64_t;  // the ids of left and right
PairKey KeyOf(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}
int32_t LeftOf(PairKey pair) { return static_cast<int32_t>(pair >> 32); }
int32_t RightOf(PairKey pair) { return static_cast<int32_t>(pair & 0xFFFFFFFFu); }

// Ids are small: without mixing, related pairs would fall together.
struct PairHash {
  size_t operator()(PairKey pair) const { return static_cast<size_t>((pair ^ (pair >> 29)) * 0x9E3779B97F4A7C15u); }
};

class Learner {
 public:
  explicit Learner(std::span<const WordCount> words) : queue_(Later{&result_.tokens}) {
    for (int byte = 0; byte < kBytes; ++byte) result_.tokens.emplace_back(1, static_cast<char>(byte));
    words_.reserve(words.size());
    for (const WordCount& word : words) {
      Word& added = words_.emplace_back(Word{{}, word.count});
      for (const char byte : word.bytes) added.ids.push_back(static_cast<uint8_t>(byte));
      for (size_t i = 0; i + 1 < added.ids.size(); ++i) Found(words_.size() - 1, i);
    }
    for (const auto& [key, pair] : pairs_) Offer(key, pair.count);
  }

  BpeMerges Run(int32_t tokens) && {
    while (result_.tokens.size() < static_cast<size_t>(tokens) && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const int64_t count = pairs_[best.pair].count;
      if (count == best.count) {
        Apply(best.pair);
      } else {
        Offer(best.pair, count);  // other merges took some of its places
      }
    }
    return std::move(result_);
  }

 private:
  struct Word {
    std::vector<int32_t> ids;
    int64_t count;
  };
  struct Pair {
    int64_t count = 0;
    std::vector<uint32_t> words;  // that hold it or held it
  };
  struct Candidate {
    int64_t count;
    PairKey pair;
  };
  // The order of the queue: whether `a` merges after `b`.
  struct Later {
    const std::vector<std::string>* tokens;
    bool operator()(const Candidate& a, const Candidate& b) const {
      if (a.count != b.count) return a.count < b.count;
      const auto bytes = [this](int32_t id) -> const std::string& { return (*tokens)[static_cast<size_t>(id)]; };
      const int left = bytes(LeftOf(a.pair)).compare(bytes(LeftOf(b.pair)));
      return left != 0 ? left > 0 : bytes(RightOf(a.pair)) > bytes(RightOf(b.pair));
    }
  };

  void Offer(PairKey pair, int64_t count) {
    if (count >= kFewest) queue_.push({count, pair});
  }

  static PairKey PairAt(const Word& word, size_t i) { return KeyOf(word.ids[i], word.ids[i + 1]); }

  void Found(size_t word, size_t i) {
    Pair& pair = pairs_[PairAt(words_[word], i)];
    pair.count += words_[word].count;
    if (pair.words.empty() || pair.words.back() != word) pair.words.push_back(static_cast<uint32_t>(word));
  }

  void Apply(PairKey key) {
    const int32_t left = LeftOf(key), right = RightOf(key);
    const auto whole = static_cast<int32_t>(result_.tokens.size());
    result_.tokens.push_back(result_.tokens[static_cast<size_t>(left)] + result_.tokens[static_cast<size_t>(right)]);
    result_.merges.push_back({left, right});
    std::vector<PairKey> made;
    for (const uint32_t word : std::exchange(pairs_[key].words, {})) Rewrite(word, key, whole, made);
    std::sort(made.begin(), made.end());
    made.erase(std::unique(made.begin(), made.end()), made.end());
    for (const PairKey pair : made) Offer(pair, pairs_[pair].count);
  }

  // Merges the pair wherever it stands in the word, and notes the pairs with `whole` that this makes.
  void Rewrite(size_t index, PairKey key, int32_t whole, std::vector<PairKey>& made) {
    Word& word = words_[index];
    std::vector<int32_t>& ids = word.ids;
    for (size_t i = 0; i + 1 < ids.size(); ++i) pairs_[PairAt(word, i)].count -= word.count;
    size_t out = 0;
    for (size_t i = 0; i < ids.size(); ++out) {
      const bool match = i + 1 < ids.size() && PairAt(word, i) == key;
      ids[out] = match ? whole : ids[i];
      i += match ? 2 : 1;
    }
    ids.resize(out);
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      if (ids[i] == whole || ids[i + 1] == whole) {
        Found(index, i);
        made.push_back(PairAt(word, i));
      } else {
        pairs_[PairAt(word, i)].count += word.count;
      }
    }
  }

  BpeMerges result_;
  std::vector<Word> words_;
  std::unordered_map<PairKey, Pair, PairHash> pairs_;
  std::priority_queue<Candidate, std::vector<Candidate>, Later> queue_;
};

}  // namespace

BpeMerges LearnMerges(std::span<const WordCount> words, int32_t tokens) { return Learner(words).Run(tokens); }

}  // namespace lodestone
