#include "report/chrome_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace lodestone {
namespace {

constexpr size_t kPiece = size_t{1} << 16;

std::string Quoted(std::string_view text) { return Json(text).Dump(-1); }

// Microseconds, exact.
std::string Micros(Time time) {
  const int64_t magnitude = time.ps < 0 ? -time.ps : time.ps;
  return fmt::format("{}{}.{:06}", time.ps < 0 ? "-" : "", magnitude / 1'000'000, magnitude % 1'000'000);
}

std::string ObjectOf(const ChromeTrace::Args& args) {
  Json object{Json::Object{}};
  for (const auto& [key, value] : args) object.Set(std::string(key), value);
  return object.Dump(-1);
}

}  // namespace

ChromeTrace::ChromeTrace(std::function<void(std::string_view)> write, int64_t max_events)
    : write_(std::move(write)), max_events_(max_events) {
  buffer_ = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";
}

void ChromeTrace::Flush(size_t at_least) {
  if (buffer_.size() < at_least) return;
  write_(buffer_);
  buffer_.clear();
}

void ChromeTrace::Begin() {
  buffer_ += any_ ? ",\n" : "\n";
  any_ = true;
}

bool ChromeTrace::Admit(Time at) {
  if (events_ < max_events_) {
    ++events_;
    Begin();
    return true;
  }
  LeaveOut(at);
  return false;
}

void ChromeTrace::LeaveOut(Time at) {
  ++left_out_;
  first_left_out_ = std::min(first_left_out_.value_or(at), at);
}

void ChromeTrace::Metadata(std::string_view kind, int process, std::optional<int> thread, std::string_view key,
                           Json value) {
  Begin();
  fmt::format_to(std::back_inserter(buffer_), R"({{"name":"{}","ph":"M","pid":{},"tid":{},"args":{{"{}":{}}}}})", kind,
                 process, thread.value_or(0), key, value.Dump(-1));
  Flush(kPiece);
}

void ChromeTrace::NameProcess(int process, std::string_view name) {
  Metadata("process_name", process, {}, "name", name);
  Metadata("process_sort_index", process, {}, "sort_index", process);
}

void ChromeTrace::NameThread(int process, int thread, std::string_view name, int order) {
  Metadata("thread_name", process, thread, "name", name);
  Metadata("thread_sort_index", process, thread, "sort_index", order);
}

void ChromeTrace::Span(int process, int thread, std::string_view name, std::string_view category, Time start,
                       Time finish, const Args& args) {
  if (!Admit(start)) return;
  fmt::format_to(std::back_inserter(buffer_), R"({{"name":{},"cat":{},"ph":"X","pid":{},"tid":{},"ts":{},"dur":{})",
                 Quoted(name), Quoted(category), process, thread, Micros(start), Micros(finish - start));
  if (!args.empty()) buffer_ += ",\"args\":" + ObjectOf(args);
  buffer_ += '}';
  Flush(kPiece);
}

void ChromeTrace::Count(int process, std::string_view name, std::string_view unit, Time at, double value) {
  if (!Admit(at)) return;
  fmt::format_to(std::back_inserter(buffer_), R"({{"name":{},"ph":"C","pid":{},"tid":0,"ts":{},"args":{{{}:{}}}}})",
                 Quoted(name), process, Micros(at), Quoted(unit), std::isfinite(value) ? Json(value).Dump(-1) : "0");
  Flush(kPiece);
}

void ChromeTrace::Finish(const Args& about) {
  Args other = about;
  if (left_out_ > 0) {
    // A mark across the whole timeline, where the viewer shows it.
    Begin();
    const std::string text = fmt::format("Cut here: {} events are shown, {} more were left out", events_, left_out_);
    fmt::format_to(std::back_inserter(buffer_), R"({{"name":{},"ph":"i","s":"g","pid":0,"tid":0,"ts":{}}})",
                   Quoted(text), Micros(*first_left_out_));
    other.emplace_back("events_left_out", left_out_);
    other.emplace_back("first_left_out_us", Json(Micros(*first_left_out_)));
  }
  buffer_ += "\n],\"otherData\":" + ObjectOf(other) + "}\n";
  Flush(0);
}

}  // namespace lodestone
