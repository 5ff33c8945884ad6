// Where a figure comes from. Every number that the project shows carries one of these.
#pragma once

#include <optional>
#include <string_view>

namespace lodestone {

// Of a result.
enum class Provenance {
  kMeasured,    // on this host, by a clock or a counter
  kSimulated,   // by the event model of an appliance
  kEstimated,   // by a roofline or a closed form
  kPublished,   // by a named source
  kUserStated,  // given on the command line or in a user's file
};

// Of a field that describes hardware.
enum class FieldSource {
  kDataSheet,
  kPaper,
  kMeasured,
  kDerived,  // arithmetic on sourced figures; the note spells it out
  kAssumed,  // no source; a named constant with a reason
};

std::string_view ToString(Provenance provenance);  // "measured", "simulated", …, "user-stated"
std::string_view ToString(FieldSource source);     // "data sheet", "paper", "measured", "derived", "assumed"
std::optional<FieldSource> ParseFieldSource(std::string_view text);

}  // namespace lodestone
