// A trace of any bytes is read or refused; what is read is in order of time and within the bounds.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lab/arrivals.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<std::vector<Arrival>> arrivals = ParseArrivals(text, "trace.csv");
  if (!arrivals.ok()) {
    LODESTONE_CHECK(arrivals.error().message.starts_with("trace.csv"));
    return 0;
  }
  LODESTONE_CHECK(!arrivals->empty() && arrivals->size() <= static_cast<size_t>(kMaxArrivals));
  Time last;
  for (const Arrival& arrival : *arrivals) {
    LODESTONE_CHECK(arrival.at >= last && arrival.at <= Time::Seconds(kMaxArrivalSeconds));
    LODESTONE_CHECK(arrival.prompt_tokens >= 1 && arrival.prompt_tokens <= kMaxArrivalTokens);
    LODESTONE_CHECK(arrival.output_tokens >= 1 && arrival.output_tokens <= kMaxArrivalTokens);
    last = arrival.at;
  }
  return 0;
}
