#include "base/provenance.h"

namespace lodestone {

std::string_view ToString(Provenance provenance) {
  switch (provenance) {
    case Provenance::kMeasured:
      return "measured";
    case Provenance::kSimulated:
      return "simulated";
    case Provenance::kEstimated:
      return "estimated";
    case Provenance::kPublished:
      return "published";
    case Provenance::kUserStated:
      return "user-stated";
  }
  return "unknown";
}

std::string_view ToString(FieldSource source) {
  switch (source) {
    case FieldSource::kDataSheet:
      return "data sheet";
    case FieldSource::kPaper:
      return "paper";
    case FieldSource::kMeasured:
      return "measured";
    case FieldSource::kDerived:
      return "derived";
    case FieldSource::kAssumed:
      return "assumed";
  }
  return "unknown";
}

std::optional<FieldSource> ParseFieldSource(std::string_view text) {
  for (FieldSource source : {FieldSource::kDataSheet, FieldSource::kPaper, FieldSource::kMeasured,
                             FieldSource::kDerived, FieldSource::kAssumed}) {
    if (text == ToString(source)) return source;
  }
  return std::nullopt;
}

}  // namespace lodestone
