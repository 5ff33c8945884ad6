// The steps of decoding, each as a filter on a stream: fragments of tokens in, fragments of tokens out.
//
// A step of tokenizer.json is defined on the whole list of tokens. These filters give the same text and hold back only
// what later tokens can still change, so that whole decoding and streaming are one piece of code.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace lodestone {

// A part of a token's text, whole characters. Steps that fuse tokens make one token of everything, which then comes in
// many fragments: the first `starts` it, the last `ends` it.
struct Fragment {
  std::string text;
  bool starts = true, ends = true;
};
using Fragments = std::vector<Fragment>;

class DecodeStage {
 public:
  virtual ~DecodeStage() = default;
  virtual void Push(Fragment fragment, Fragments& out) = 0;
  virtual void Finish(Fragments& /*out*/) {}
};

// One step as the file states it.
struct ByteLevelStep {};  // letters to bytes, bytes to text; what is not UTF-8 becomes U+FFFD
struct ReplaceStep {
  std::string pattern, content;  // pattern not empty
};
struct ByteFallbackStep {};  // a run of <0xXX> tokens becomes its text, or U+FFFD a token where the run is not UTF-8
struct FuseStep {};
struct StripStep {
  std::string content;  // one character, removed up to `start` and `stop` times at the ends of each token
  size_t start, stop;
};
struct MetaspaceStep {
  std::string replacement;  // one character, which becomes a space
  bool prepended;           // … and nothing in the first token
};
struct JoinStep {};  // a space between tokens: what a tokenizer without a decoder does
using DecodeStep =
    std::variant<ByteLevelStep, ReplaceStep, ByteFallbackStep, FuseStep, StripStep, MetaspaceStep, JoinStep>;

std::unique_ptr<DecodeStage> MakeStage(const DecodeStep& step);

}  // namespace lodestone
