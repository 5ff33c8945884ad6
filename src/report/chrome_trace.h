// Writes a timeline in the Chrome trace event format (JSON object form), which Perfetto and chrome://tracing open.
//
// Processes are cards and the host, threads are their units, complete events are spans of work, counters are what a
// card holds or draws. Times are microseconds with six decimals: exact picoseconds.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/units.h"

namespace lodestone {

inline constexpr int64_t kDefaultTraceEvents = 200'000;

class ChromeTrace {
 public:
  // Text is given to `write` in pieces, in order. After `max_events` spans and counts the rest are counted and left
  // out; Finish says where.
  explicit ChromeTrace(std::function<void(std::string_view)> write, int64_t max_events = kDefaultTraceEvents);

  // Names and order for the viewer. These are not counted as events.
  void NameProcess(int process, std::string_view name);
  void NameThread(int process, int thread, std::string_view name, int order);

  using Args = std::vector<std::pair<std::string_view, Json>>;
  // Spans of one thread nest or are apart. `category` groups spans of one kind in the viewer.
  void Span(int process, int thread, std::string_view name, std::string_view category, Time start, Time finish,
            const Args& args = {});
  // The value of `name` from `at` on.
  void Count(int process, std::string_view name, std::string_view unit, Time at, double value);

  // Counts an event as left out, for callers who know before they make it.
  void LeaveOut(Time at);
  int64_t events() const { return events_; }
  int64_t left_out() const { return left_out_; }

  // Ends the text; nothing may follow. `about` says what the trace shows.
  void Finish(const Args& about);

 private:
  bool Admit(Time at);
  void Begin();  // the comma between events
  void Flush(size_t at_least);
  void Metadata(std::string_view kind, int process, std::optional<int> thread, std::string_view key, Json value);

  std::function<void(std::string_view)> write_;
  std::string buffer_;
  int64_t max_events_, events_ = 0, left_out_ = 0;
  std::optional<Time> first_left_out_;
  bool any_ = false;
};

}  // namespace lodestone
