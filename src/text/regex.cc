#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <array>

#include "base/quote.h"
#include "text/regex_dialect.h"
#include "text/utf8.h"

namespace lodestone {
namespace {

constexpr size_t kMaxPatternBytes = size_t{64} << 10;
constexpr uint32_t kMaxNesting = 100;
// A step is a point to which the matcher may return. The published patterns take at most two a byte at one start, so
// this allows a run of ten million spaces.
constexpr uint32_t kMaxSteps = 20'000'000;
constexpr uint32_t kMaxDepth = 20'000'000;    // bounded by the heap first
constexpr uint32_t kMaxHeapKiB = 256u << 10;  // of the interpreter, where the JIT's 32 KiB stack is too small

template <typename T, void (*Free)(T*)>
struct Freeing {
  void operator()(T* object) const { Free(object); }
};
template <typename T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, Freeing<T, Free>>;
using MatchContext = Owned<pcre2_match_context, pcre2_match_context_free>;
using CompileContext = Owned<pcre2_compile_context, pcre2_compile_context_free>;

std::string MessageOf(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

pcre2_match_context* Limits() {
  static const MatchContext context = [] {
    MatchContext created(pcre2_match_context_create(nullptr));
    LODESTONE_CHECK(created != nullptr);
    pcre2_set_match_limit(created.get(), kMaxSteps);
    pcre2_set_depth_limit(created.get(), kMaxDepth);
    pcre2_set_heap_limit(created.get(), kMaxHeapKiB);
    return created;
  }();
  return context.get();
}

Error SearchError(const Regex& regex, int code, size_t offset) {
  return Infeasible(fmt::format("the pattern {} gave up at byte {} of a text: {}", Quoted(regex.pattern(), 120), offset,
                                MessageOf(code)));
}

}  // namespace

Result<Regex> Regex::Compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return Unsupported(fmt::format("a pattern of {} bytes; the limit is {}", pattern.size(), kMaxPatternBytes));
  }
  LODESTONE_ASSIGN_OR_RETURN(const std::string translated, TranslatePattern(pattern));
  const CompileContext context(pcre2_compile_context_create(nullptr));
  LODESTONE_CHECK(context != nullptr);
  pcre2_set_parens_nest_limit(context.get(), kMaxNesting);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &offset, context.get());
  if (compiled == nullptr) {
    return Invalid(fmt::format("the pattern {} does not compile: {}", Quoted(pattern, 120), MessageOf(code)));
  }
  Regex regex;
  regex.pattern_ = pattern;
  regex.code_ = std::shared_ptr<pcre2_code>(compiled, pcre2_code_free);
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);  // without it, the interpreter gives the same matches
  return regex;
}

RegexSearch::RegexSearch(const Regex& regex)
    : regex_(&regex), data_(pcre2_match_data_create_from_pattern(regex.code_.get(), nullptr), pcre2_match_data_free) {
  LODESTONE_CHECK(data_ != nullptr);
}

Result<std::span<const TextRange>> RegexSearch::FindAll(std::string_view text) {
  found_.clear();
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data_.get());
  size_t at = 0;
  while (at <= text.size()) {
    int rc = pcre2_match(regex_->code_.get(), subject, text.size(), at, PCRE2_NO_UTF_CHECK, data_.get(), Limits());
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
      rc = pcre2_match(regex_->code_.get(), subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data_.get(),
                       Limits());
    }
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) return SearchError(*regex_, rc, at);
    const TextRange match{bounds[0], bounds[1]};
    const size_t previous_end = found_.empty() ? 0 : found_.back().end;
    if (match.begin < previous_end || match.end < match.begin) {
      return Unsupported(fmt::format("the pattern {} moves the start of its match", Quoted(regex_->pattern(), 120)));
    }
    const bool empty = match.begin == match.end;
    if (!empty || found_.empty() || match.begin != previous_end) found_.push_back(match);
    at = match.end;
    if (empty) at += at < text.size() ? ReadUtf8(text, at).length : 1;
  }
  return std::span<const TextRange>(found_);
}

}  // namespace lodestone
