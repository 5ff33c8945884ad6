// JSON text to `Json`: nlohmann's event parser feeds a builder that holds the bounds which nlohmann does not have
// (depth, unique keys). The events carry no positions, so the parser reads through an iterator that the builder can
// look at.
#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <deque>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/quote.h"

namespace lodestone {
namespace {

// Walks over the text and leaves its position in `*position`, so that an event knows where the parser stands.
class TrackingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackingIterator(const char* at, const char** position) : at_(at), position_(position) {}
  reference operator*() const { return *at_; }
  TrackingIterator& operator++() {
    *position_ = ++at_;
    return *this;
  }
  TrackingIterator operator++(int) {
    TrackingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const TrackingIterator& a, const TrackingIterator& b) { return a.at_ == b.at_; }

 private:
  const char* at_;
  const char** position_;
};

// "NAME:LINE:COLUMN", both from 1, the column in bytes.
std::string Location(std::string_view text, std::string_view name, size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t newline = before.rfind('\n');
  const size_t column = newline == std::string_view::npos ? before.size() + 1 : before.size() - newline;
  return fmt::format("{}:{}:{}", name, line, column);
}

// The keys of one object as an open-addressing table of indices: a vocabulary of 200,000 entries stays linear. Small
// objects, which are almost all, are searched directly and need no table.
class KeyIndex {
 public:
  // Whether the last member's key is new. Called once for every member, in order.
  bool AddLast(const Json::Object& object) {
    const size_t last = object.size() - 1;
    if (object.size() <= kDirectSearch) {
      for (size_t i = 0; i < last; ++i) {
        if (object[i].first == object[last].first) return false;
      }
      return true;
    }
    if (object.size() * 2 > slots_.size()) Rebuild(object);
    return Insert(object, last);
  }

 private:
  static constexpr size_t kDirectSearch = 16;
  struct Slot {
    size_t hash = 0;
    size_t member = 0;  // index + 1; 0 marks a free slot
  };

  // Room for four times the members before the last one, at most half of it used until the next call.
  void Rebuild(const Json::Object& object) {
    slots_.assign(std::max<size_t>(64, std::bit_ceil(object.size() * 4)), Slot());
    for (size_t i = 0; i + 1 < object.size(); ++i) Insert(object, i);
  }

  bool Insert(const Json::Object& object, size_t member) {
    const std::string& key = object[member].first;
    const size_t hash = std::hash<std::string_view>()(key);
    const size_t mask = slots_.size() - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
      Slot& slot = slots_[at];
      if (slot.member == 0) {
        slot = {hash, member + 1};
        return true;
      }
      if (slot.hash == hash && object[slot.member - 1].first == key) return false;
    }
  }

  std::vector<Slot> slots_;  // a power of two
};

// Receives the parser's events and builds the value. An event returns false to stop; `error()` then says why.
class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Builder(std::string_view text, std::string_view name, int max_depth, const char* const* position)
      : text_(text), name_(name), max_depth_(max_depth), position_(position) {}

  bool null() override { return Add(Json()); }
  bool boolean(bool value) override { return Add(Json(value)); }
  bool number_integer(int64_t value) override { return Add(Json(value)); }
  bool number_unsigned(uint64_t value) override {
    if (value > static_cast<uint64_t>(INT64_MAX)) return Add(Json(static_cast<double>(value)));
    return Add(Json(static_cast<int64_t>(value)));
  }
  bool number_float(double value, const std::string&) override { return Add(Json(value)); }
  bool string(std::string& value) override { return Add(Json(std::move(value))); }
  bool binary(nlohmann::json::binary_t&) override { return false; }  // no event of a text

  bool start_object(size_t) override { return Open(true); }
  bool start_array(size_t) override { return Open(false); }
  bool end_object() override {
    Json value(std::move(open_.back().object));
    open_.pop_back();
    return Add(std::move(value));
  }
  bool end_array() override {
    Json value(std::move(open_.back().array));
    open_.pop_back();
    return Add(std::move(value));
  }

  bool key(std::string& value) override {
    Container& container = open_.back();
    container.object.emplace_back(std::move(value), Json());
    if (container.keys.AddLast(container.object)) return true;
    return Stop(StartOfString(), fmt::format("found the key {} twice in one object, expected unique keys",
                                             Quoted(container.object.back().first)));
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& error) override {
    // `position` counts the bytes read, the offending one included, so that end of input is one more than the size.
    const size_t offset = position == 0 ? 0 : position - 1;
    return Stop(offset, Reason(error.what(), offset));
  }

  const std::optional<Error>& error() const { return error_; }
  Json TakeValue() { return std::move(root_); }

 private:
  struct Container {
    bool is_object = false;
    Json::Array array;
    Json::Object object;
    KeyIndex keys;
  };

  bool Open(bool is_object) {
    if (open_.size() >= static_cast<size_t>(std::max(max_depth_, 0))) {
      return Stop(BytesRead() - 1, fmt::format("found values nested deeper than {}, expected at most {} levels",
                                               max_depth_, max_depth_));
    }
    open_.emplace_back().is_object = is_object;
    return true;
  }

  bool Add(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().is_object) {
      open_.back().object.back().second = std::move(value);
    } else {
      open_.back().array.push_back(std::move(value));
    }
    return true;
  }

  bool Stop(size_t offset, const std::string& reason) {
    if (!error_) error_ = Invalid(fmt::format("{}: {}", Location(text_, name_, offset), reason));
    return false;
  }

  size_t BytesRead() const { return static_cast<size_t>(*position_ - text_.data()); }

  // The opening quote of the string that the parser has just read to its closing quote.
  size_t StartOfString() const {
    size_t at = BytesRead() - 1;
    while (at > 0) {
      at = text_.rfind('"', at - 1);
      const size_t before = text_.find_last_not_of('\\', at - 1);
      if (at == 0 || (at - 1 - before) % 2 == 0) break;  // before an opening quote stand no backslashes, or pairs
    }
    return at;
  }

  // The parser's message without its own position and without the text it had read, which may be the whole file:
  // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while parsing value - unexpected
  // '}'; expected '[', '{', or a literal".
  std::string Reason(std::string_view what, size_t offset) const {
    const std::string_view seen = Before(offset);
    const std::string near = seen.empty() ? "" : fmt::format(" near {}", Quoted(seen));
    if (what.find("exception.out_of_range.406") != std::string_view::npos) {
      return fmt::format("found a number{}, expected one within the range of a double, ±1.8e308", near);
    }
    if (const size_t dash = what.find(" - "); dash != std::string_view::npos) what.remove_prefix(dash + 3);
    const std::string_view found = what.substr(0, std::min(what.find("; last read: '"), what.find("; expected ")));
    const std::string_view expected = what.substr(std::min(what.rfind("; expected "), what.size()));
    return fmt::format("invalid JSON: {}{}{}", found, near, IsShortWords(expected) ? expected : "");
  }

  // Whether it is the parser's own "; expected …" and not a piece of the file that happens to look like it.
  static bool IsShortWords(std::string_view expected) {
    return expected.size() <= 40 &&
           std::all_of(expected.begin(), expected.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  }

  // The text of the line up to and with the byte at `offset`: what the parser saw last.
  std::string_view Before(size_t offset) const {
    constexpr size_t kMaxBytes = 32;
    const size_t end = std::min(offset + 1, text_.size());
    std::string_view seen = text_.substr(0, end);
    if (end > 0) seen.remove_prefix(seen.substr(0, end - 1).rfind('\n') + 1);
    if (seen.size() > kMaxBytes) seen.remove_prefix(seen.size() - kMaxBytes);
    while (!seen.empty() && (static_cast<unsigned char>(seen[0]) & 0xC0) == 0x80) seen.remove_prefix(1);
    return seen;
  }

  std::string_view text_, name_;
  int max_depth_;
  const char* const* position_;
  std::deque<Container> open_;
  Json root_;
  std::optional<Error> error_;
};

}  // namespace

Result<Json> ParseJson(std::string_view text, std::string_view name, ParseLimits limits) {
  // The parser takes a zero byte for the end of the text and would accept whatever follows it.
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos) {
    return Invalid(fmt::format("{}: found a zero byte, expected JSON text", Location(text, name, zero)));
  }
  const char* position = text.data();
  Builder builder(text, name, limits.max_depth, &position);
  const bool complete = nlohmann::json::sax_parse(TrackingIterator(text.data(), &position),
                                                  TrackingIterator(text.data() + text.size(), &position), &builder);
  if (builder.error()) return *builder.error();
  LODESTONE_CHECK(complete);
  return builder.TakeValue();
}

Result<Json> ReadJsonFile(const std::string& path, size_t max_bytes) {
  LODESTONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, max_bytes));
  return ParseJson(text, path);
}

}  // namespace lodestone
