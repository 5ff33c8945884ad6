#include "lab/arrivals.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/file.h"
#include "base/json.h"
#include "base/quote.h"
#include "base/split_mix.h"

namespace lodestone {
namespace {

constexpr size_t kMaxTraceBytes = size_t{256} << 20;

// Random numbers by counting: number i of a seed is the same whatever was drawn before.
class Draws {
 public:
  explicit Draws(uint64_t seed) : key_(Mix(seed)) {}
  uint64_t Bits() { return Mix(key_ ^ count_++); }
  // In [0, 1), with 53 bits.
  double Uniform() { return static_cast<double>(Bits() >> 11) * 0x1p-53; }
  // The ranges are below 2^25, so that the bias of the remainder is below 2^-39.
  int64_t In(const LengthRange& range) {
    return range.low + static_cast<int64_t>(Bits() % static_cast<uint64_t>(range.high - range.low + 1));
  }
  // Of mean 1, by comparisons alone (von Neumann 1951), so that no logarithm of some library decides a bit: a run of
  // numbers that fall has an odd length with the probability that its first number needs.
  double Exponential() {
    for (double whole = 0;; ++whole) {
      const double first = Uniform();
      int length = 1;
      for (double last = first;; ++length) {
        const double next = Uniform();
        if (next > last) break;
        last = next;
      }
      if (length % 2 == 1) return whole + first;
    }
  }

 private:
  uint64_t key_, count_ = 0;
};

Status CheckRange(const char* what, const LengthRange& range) {
  if (range.low >= 1 && range.low <= range.high && range.high <= kMaxArrivalTokens) return {};
  return Invalid(
      fmt::format("{} from {} to {}, expected a range within 1 to {}", what, range.low, range.high, kMaxArrivalTokens));
}

enum Column { kArrival, kPrompt, kOutput };
constexpr std::array<std::string_view, 3> kColumns{"arrival_s", "prompt_tokens", "output_tokens"};

std::string_view Trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Takes the text up to `end` off the front, and `end` with it.
std::string_view Take(std::string_view& text, char end) {
  const size_t at = std::min(text.find(end), text.size());
  const std::string_view piece = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return Trimmed(piece);
}

// What the two forms of a file have in common: where it is read, and the checks of an arrival.
class TraceReader {
 public:
  TraceReader(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

  // The next line that is not blank; none at the end.
  std::optional<std::string_view> Line() {
    while (!text_.empty()) {
      ++line_;
      const std::string_view piece = Take(text_, '\n');
      if (!piece.empty()) return piece;
    }
    return std::nullopt;
  }

  std::string Where() const { return fmt::format("{}:{}", file_, line_); }
  Error Fault(const std::string& message) const { return Invalid(fmt::format("{}: {}", Where(), message)); }

  Status Add(double seconds, int64_t prompt, int64_t output) {
    const Arrival arrival{Time::Seconds(seconds), prompt, output};
    if (!arrivals_.empty() && arrival.at < arrivals_.back().at) {
      return Fault(fmt::format(
          "arrival_s {} is earlier than that of the line before, expected arrivals in order of time", seconds));
    }
    if (static_cast<int64_t>(arrivals_.size()) == kMaxArrivals) {
      return Fault(fmt::format("more than {} requests", kMaxArrivals));
    }
    arrivals_.push_back(arrival);
    return {};
  }

  Result<std::vector<Arrival>> Arrivals() && {
    if (arrivals_.empty()) return Invalid(fmt::format("{}: no request, expected one a line", file_));
    return std::move(arrivals_);
  }

 private:
  std::string_view text_;
  std::string file_;
  int line_ = 0;
  std::vector<Arrival> arrivals_;
};

Status ReadJsonLines(TraceReader& reader) {
  while (const auto line = reader.Line()) {
    LODESTONE_ASSIGN_OR_RETURN(const Json json, ParseJson(*line, reader.Where()));
    if (json.as_object() == nullptr) return reader.Fault(fmt::format("found {}, expected an object", json.TypeName()));
    ObjectReader object(json, reader.Where());
    const double seconds = object.RequireNumber(kColumns[kArrival], 0, kMaxArrivalSeconds);
    const int64_t prompt = object.RequireInt(kColumns[kPrompt], 1, kMaxArrivalTokens);
    const int64_t output = object.RequireInt(kColumns[kOutput], 1, kMaxArrivalTokens);
    LODESTONE_RETURN_IF_ERROR(object.Finish());
    LODESTONE_RETURN_IF_ERROR(reader.Add(seconds, prompt, output));
  }
  return {};
}

// Which column each field of a row is.
Result<std::vector<Column>> ReadHeader(const TraceReader& reader, std::string_view line) {
  std::vector<Column> columns;
  const std::string expected = fmt::format("{}", fmt::join(kColumns, ", "));
  while (!line.empty()) {
    const std::string_view name = Take(line, ',');
    const auto known = std::find(kColumns.begin(), kColumns.end(), name);
    if (known == kColumns.end()) {
      return reader.Fault(fmt::format("unknown column {}, expected a header with {}", Quoted(name), expected));
    }
    const auto column = static_cast<Column>(known - kColumns.begin());
    if (std::find(columns.begin(), columns.end(), column) != columns.end()) {
      return reader.Fault(fmt::format("column '{}' is there twice", name));
    }
    columns.push_back(column);
  }
  if (columns.size() == kColumns.size()) return columns;
  return reader.Fault(fmt::format("found {} columns, expected a header with {}", columns.size(), expected));
}

template <typename Number>
Status ReadField(const TraceReader& reader, std::string_view field, Column column, double low, double high,
                 Number& number) {
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
  const bool whole_field = error == std::errc() && end == field.data() + field.size();
  if (whole_field && static_cast<double>(number) >= low && static_cast<double>(number) <= high) return {};
  return reader.Fault(fmt::format("{} is {}, expected {} from {} to {}", kColumns[column], Quoted(field),
                                  column == kArrival ? "a number" : "a whole number", low, high));
}

Status ReadCsv(TraceReader& reader) {
  const auto header = reader.Line();
  if (!header) return {};
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<Column> columns, ReadHeader(reader, *header));
  while (auto line = reader.Line()) {
    if (std::count(line->begin(), line->end(), ',') + 1 != static_cast<std::ptrdiff_t>(columns.size())) {
      return reader.Fault(fmt::format("found {} fields, expected {} as in the header",
                                      std::count(line->begin(), line->end(), ',') + 1, columns.size()));
    }
    double seconds = 0;
    int64_t prompt = 0, output = 0;
    for (const Column column : columns) {
      const std::string_view field = Take(*line, ',');
      const double most = static_cast<double>(kMaxArrivalTokens);
      LODESTONE_RETURN_IF_ERROR(column == kArrival  ? ReadField(reader, field, column, 0, kMaxArrivalSeconds, seconds)
                                : column == kPrompt ? ReadField(reader, field, column, 1, most, prompt)
                                                    : ReadField(reader, field, column, 1, most, output));
    }
    LODESTONE_RETURN_IF_ERROR(reader.Add(seconds, prompt, output));
  }
  return {};
}

}  // namespace

Result<std::vector<Arrival>> PoissonArrivals(const PoissonProcess& process) {
  LODESTONE_RETURN_IF_ERROR(CheckRange("prompt tokens", process.prompt_tokens));
  LODESTONE_RETURN_IF_ERROR(CheckRange("tokens to generate", process.output_tokens));
  if (process.requests < 1 || process.requests > kMaxArrivals) {
    return Invalid(fmt::format("{} requests, expected 1 to {}", process.requests, kMaxArrivals));
  }
  if (!(process.requests_per_s > 0) || !std::isfinite(process.requests_per_s)) {
    return Invalid(fmt::format("a rate of {} requests a second, expected a positive number", process.requests_per_s));
  }
  Draws draws(process.seed);
  std::vector<Arrival> arrivals;
  double now = 0;
  for (int64_t i = 0; i < process.requests; ++i) {
    now += draws.Exponential() / process.requests_per_s;
    if (!(now <= kMaxArrivalSeconds)) {
      return Invalid(
          fmt::format("request {} arrives after {:g} s, expected all within {:g} s: take a higher rate or "
                      "fewer requests",
                      i + 1, now, kMaxArrivalSeconds));
    }
    const int64_t prompt = draws.In(process.prompt_tokens), output = draws.In(process.output_tokens);
    arrivals.push_back({Time::Seconds(now), prompt, output});
  }
  return arrivals;
}

Result<std::vector<Arrival>> ParseArrivals(std::string_view text, const std::string& file) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // spreadsheets write it before UTF-8
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  TraceReader reader(text, file);
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool json = first != std::string_view::npos && text[first] == '{';
  LODESTONE_RETURN_IF_ERROR(json ? ReadJsonLines(reader) : ReadCsv(reader));
  return std::move(reader).Arrivals();
}

Result<std::vector<Arrival>> ReadArrivals(const std::string& path) {
  LODESTONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxTraceBytes));
  return ParseArrivals(text, path);
}

}  // namespace lodestone
