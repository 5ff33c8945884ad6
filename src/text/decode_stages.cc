#include "text/decode_stages.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "text/byte_level.h"
#include "text/utf8.h"

namespace lodestone {
namespace {

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// Collects the fragments of one token until it is whole.
class WholeToken {
 public:
  std::optional<std::string> Push(const Fragment& fragment) {
    text_ += fragment.text;
    if (!fragment.ends) return std::nullopt;
    return std::exchange(text_, {});
  }

 private:
  std::string text_;
};

// Writes everything as one token.
class OneToken {
 public:
  void Push(std::string text, Fragments& out) {
    if (!text.empty()) out.push_back({std::move(text), !std::exchange(started_, true), false});
  }
  void Finish(std::string text, Fragments& out) {
    out.push_back({std::move(text), !std::exchange(started_, true), true});
  }

 private:
  bool started_ = false;
};

class ByteLevelStage final : public DecodeStage {
 public:
  void Push(Fragment fragment, Fragments& out) override {
    const std::optional<std::string> token = token_.Push(fragment);
    if (!token) return;
    // A token that is not in the byte alphabet, such as an added one, stands for itself.
    const std::optional<std::string> bytes = FromByteLevel(*token);
    one_.Push(repair_.Push(bytes ? *bytes : *token), out);
  }
  void Finish(Fragments& out) override { one_.Finish(repair_.Finish(), out); }

 private:
  WholeToken token_;
  Utf8Repair repair_;
  OneToken one_;
};

class FuseStage final : public DecodeStage {
 public:
  void Push(Fragment fragment, Fragments& out) override { one_.Push(std::move(fragment.text), out); }
  void Finish(Fragments& out) override { one_.Finish("", out); }

 private:
  OneToken one_;
};

class ReplaceStage final : public DecodeStage {
 public:
  explicit ReplaceStage(const ReplaceStep& step) : step_(step) {}

  void Push(Fragment fragment, Fragments& out) override {
    held_ += fragment.text;
    std::string text;
    size_t done = 0;
    for (size_t at = held_.find(step_.pattern); at != std::string::npos; at = held_.find(step_.pattern, done)) {
      text.append(held_, done, at - done).append(step_.content);
      done = at + step_.pattern.size();
    }
    const size_t keep = fragment.ends ? 0 : BeginningAtEnd(std::string_view(held_).substr(done));
    text.append(held_, done, held_.size() - keep - done);
    held_.erase(0, held_.size() - keep);
    out.push_back({std::move(text), fragment.starts, fragment.ends});
  }

 private:
  // The length of the longest end of `text` with which the pattern begins: a match may be on its way.
  size_t BeginningAtEnd(std::string_view text) const {
    size_t length = std::min(text.size(), step_.pattern.size() - 1);
    while (!text.ends_with(std::string_view(step_.pattern).substr(0, length))) --length;
    return length;
  }

  ReplaceStep step_;
  std::string held_;
};

class ByteFallbackStage final : public DecodeStage {
 public:
  void Push(Fragment fragment, Fragments& out) override {
    std::optional<std::string> token = token_.Push(fragment);
    if (!token) return;
    if (const std::optional<char> byte = ByteOf(*token)) {
      run_.push_back(*byte);
      return;
    }
    Finish(out);
    out.push_back({*std::move(token)});
  }

  // The run ends here. Only now is it known whether all of it is UTF-8.
  void Finish(Fragments& out) override {
    if (run_.empty()) return;
    if (!FindInvalidUtf8(run_)) {
      out.push_back({std::exchange(run_, {})});
      return;
    }
    for (size_t i = 0; i < run_.size(); ++i) out.push_back({std::string(kReplacementCharacter)});
    run_.clear();
  }

 private:
  static std::optional<char> ByteOf(std::string_view token) {
    const auto digit = [](char c) -> int {
      if (c >= '0' && c <= '9') return c - '0';
      if (c >= 'A' && c <= 'F') return c - 'A' + 10;
      if (c >= 'a' && c <= 'f') return c - 'a' + 10;
      return -1;
    };
    if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
    if (digit(token[3]) < 0 || digit(token[4]) < 0) return std::nullopt;
    return static_cast<char>(digit(token[3]) * 16 + digit(token[4]));
  }

  WholeToken token_;
  std::string run_;
};

class StripStage final : public DecodeStage {
 public:
  explicit StripStage(const StripStep& step) : step_(step) {}

  void Push(Fragment fragment, Fragments& out) override {
    if (fragment.starts) {
      to_cut_ = step_.start;
      held_ = 0;
    }
    std::string_view text = fragment.text;
    while (to_cut_ > 0 && text.starts_with(step_.content)) {
      text.remove_prefix(step_.content.size());
      --to_cut_;
    }
    if (!text.empty()) to_cut_ = 0;
    out.push_back({HoldBackEnd(text), fragment.starts, fragment.ends});
    if (fragment.ends) held_ = 0;
  }

 private:
  // The text with what was held before it, without the characters that the end of the token may yet strip.
  std::string HoldBackEnd(std::string_view text) {
    size_t at_end = 0;
    std::string_view rest = text;
    while (at_end < step_.stop && rest.ends_with(step_.content)) {
      rest.remove_suffix(step_.content.size());
      ++at_end;
    }
    // Where the whole text is held back, so is what was held before it, as far as the limit goes.
    const size_t before = rest.empty() ? std::min(held_, step_.stop - at_end) : 0;
    std::string out;
    for (size_t i = before; i < held_; ++i) out += step_.content;
    out += rest;
    held_ = before + at_end;
    return out;
  }

  StripStep step_;
  size_t to_cut_ = 0;
  size_t held_ = 0;  // characters held back
};

class MetaspaceStage final : public DecodeStage {
 public:
  explicit MetaspaceStage(const MetaspaceStep& step) : step_(step) {}

  void Push(Fragment fragment, Fragments& out) override {
    const std::string_view space = first_ && step_.prepended ? "" : " ";
    std::string text;
    size_t done = 0;
    for (size_t at = fragment.text.find(step_.replacement); at != std::string::npos;
         at = fragment.text.find(step_.replacement, done)) {
      text.append(fragment.text, done, at - done).append(space);
      done = at + step_.replacement.size();
    }
    text.append(fragment.text, done);
    if (fragment.ends) first_ = false;
    out.push_back({std::move(text), fragment.starts, fragment.ends});
  }

 private:
  MetaspaceStep step_;
  bool first_ = true;
};

class JoinStage final : public DecodeStage {
 public:
  void Push(Fragment fragment, Fragments& out) override {
    if (fragment.starts && std::exchange(started_, true)) fragment.text.insert(fragment.text.begin(), ' ');
    out.push_back(std::move(fragment));
  }

 private:
  bool started_ = false;
};

struct StageMaker {
  std::unique_ptr<DecodeStage> operator()(const ByteLevelStep&) const { return std::make_unique<ByteLevelStage>(); }
  std::unique_ptr<DecodeStage> operator()(const ReplaceStep& s) const { return std::make_unique<ReplaceStage>(s); }
  std::unique_ptr<DecodeStage> operator()(const ByteFallbackStep&) const {
    return std::make_unique<ByteFallbackStage>();
  }
  std::unique_ptr<DecodeStage> operator()(const FuseStep&) const { return std::make_unique<FuseStage>(); }
  std::unique_ptr<DecodeStage> operator()(const StripStep& s) const { return std::make_unique<StripStage>(s); }
  std::unique_ptr<DecodeStage> operator()(const MetaspaceStep& s) const { return std::make_unique<MetaspaceStage>(s); }
  std::unique_ptr<DecodeStage> operator()(const JoinStep&) const { return std::make_unique<JoinStage>(); }
};

}  // namespace

std::unique_ptr<DecodeStage> MakeStage(const DecodeStep& step) { return std::visit(StageMaker{}, step); }

}  // namespace lodestone
