#include "base/provenance.h"

#include <gtest/gtest.h>

namespace lodestone {
namespace {

TEST(ProvenanceTest, NamesAreThoseOfTheDesign) {
  EXPECT_EQ(ToString(Provenance::kMeasured), "measured");
  EXPECT_EQ(ToString(Provenance::kSimulated), "simulated");
  EXPECT_EQ(ToString(Provenance::kEstimated), "estimated");
  EXPECT_EQ(ToString(Provenance::kPublished), "published");
  EXPECT_EQ(ToString(Provenance::kUserStated), "user-stated");
}

TEST(ProvenanceTest, FieldSourcesReadBack) {
  EXPECT_EQ(ToString(FieldSource::kDataSheet), "data sheet");
  for (FieldSource source : {FieldSource::kDataSheet, FieldSource::kPaper, FieldSource::kMeasured,
                             FieldSource::kDerived, FieldSource::kAssumed}) {
    EXPECT_EQ(ParseFieldSource(ToString(source)), source);
  }
}

TEST(ProvenanceTest, OtherWordsAreNoFieldSource) {
  for (const char* text : {"", "Paper", "paper ", "datasheet", "estimated", "unknown"}) {
    EXPECT_EQ(ParseFieldSource(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace lodestone
