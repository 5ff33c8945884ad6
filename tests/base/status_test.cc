#include "base/status.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace lodestone {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return Invalid("odd");
  return value / 2;
}

Result<std::string> QuarterAsText(int value) {
  LODESTONE_ASSIGN_OR_RETURN(const int half, Half(value));
  LODESTONE_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return std::to_string(quarter);
}

Status CheckEven(int value) {
  LODESTONE_RETURN_IF_ERROR(Half(value));
  LODESTONE_RETURN_IF_ERROR(Status());
  return {};
}

TEST(StatusTest, DefaultIsOk) { EXPECT_TRUE(Status().ok()); }

TEST(StatusTest, KeepsCodeAndMessage) {
  const Status status = Infeasible("does not fit");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInfeasible);
  EXPECT_EQ(status.error().message, "does not fit");
}

TEST(StatusTest, MakersSetTheirCode) {
  EXPECT_EQ(Invalid("m").code, ErrorCode::kInvalid);
  EXPECT_EQ(NotFound("m").code, ErrorCode::kNotFound);
  EXPECT_EQ(IoError("m").code, ErrorCode::kIo);
  EXPECT_EQ(Unsupported("m").code, ErrorCode::kUnsupported);
}

TEST(StatusTest, EveryCodeHasItsOwnName) {
  std::set<std::string> names;
  for (ErrorCode code : {ErrorCode::kInvalid, ErrorCode::kNotFound, ErrorCode::kIo, ErrorCode::kUnsupported,
                         ErrorCode::kInfeasible, ErrorCode::kBusy}) {
    EXPECT_STRNE(ToString(code), "unknown");
    names.insert(ToString(code));
  }
  EXPECT_EQ(names.size(), 6u);
}

TEST(ResultTest, HoldsAValueOrAnError) {
  const Result<int> good = Half(8);
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(*good, 4);
  EXPECT_TRUE(good.status().ok());
  const Result<int> bad = Half(7);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message, "odd");
  EXPECT_EQ(bad.status().error().message, "odd");
}

TEST(ResultTest, MovesOutWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(**result, 5);
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 5);
}

TEST(ResultTest, MacrosPassErrorsOn) {
  EXPECT_EQ(*QuarterAsText(12), "3");
  EXPECT_EQ(QuarterAsText(6).error().message, "odd");
  EXPECT_TRUE(CheckEven(2).ok());
  EXPECT_EQ(CheckEven(3).error().message, "odd");
}

TEST(CheckDeathTest, FailedCheckNamesExpressionAndPlace) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(LODESTONE_CHECK(1 + 1 == 3), "status_test.cc:[0-9]+: check failed: 1 \\+ 1 == 3");
  LODESTONE_CHECK(1 + 1 == 2);
}

}  // namespace
}  // namespace lodestone
