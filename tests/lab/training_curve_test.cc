#include "lab/training_curve.h"

#include <gtest/gtest.h>

namespace lodestone::testing {
namespace {

TrainingPoint PointOf(int64_t step) {
  const auto value = static_cast<double>(step);
  return {.step = step, .loss = value, .gradient_norm = 2 * value, .learning_rate = 3 * value, .seconds = 4 * value};
}

TrainingCurve CurveOf(int64_t steps) {
  TrainingCurve curve;
  for (int64_t step = 1; step <= steps; ++step) curve.Add(PointOf(step));
  return curve;
}

TEST(TrainingCurve, KeepsEveryStepOfAShortRun) {
  const TrainingCurve curve = CurveOf(10);
  ASSERT_EQ(curve.points().size(), 10u);
  EXPECT_EQ(curve.points()[3].step, 4);
  EXPECT_EQ(curve.points()[3].seconds, 16);
  EXPECT_EQ(curve.steps_a_point(), 1);
}

TEST(TrainingCurve, APointOfALongRunIsTheMeanOfItsSteps) {
  constexpr auto kMost = static_cast<int64_t>(TrainingCurve::kMostPoints);
  const TrainingCurve curve = CurveOf(5 * kMost);
  EXPECT_EQ(curve.steps_a_point(), 8);
  EXPECT_EQ(curve.points().size(), static_cast<size_t>(5 * kMost / 8));
  for (size_t i = 0; i < curve.points().size(); ++i) {
    const TrainingPoint& point = curve.points()[i];
    const auto last = static_cast<int64_t>(8 * (i + 1));
    ASSERT_EQ(point.step, last);
    ASSERT_DOUBLE_EQ(point.loss, static_cast<double>(last) - 3.5);  // of last − 7 … last
  }
}

TEST(TrainingCurveProperty, GoingOnFromARecordIsTheSameAsNeverStopping) {
  constexpr auto kMost = static_cast<int64_t>(TrainingCurve::kMostPoints);
  for (const int64_t stop : {int64_t{0}, int64_t{5}, kMost - 1, kMost, kMost + 1, 2 * kMost + 3}) {
    const int64_t steps = stop + kMost + 7;
    TrainingCurve straight = CurveOf(steps), first = CurveOf(stop);
    first.AddValidation({.step = 3, .loss = 1.5});
    straight.AddValidation({.step = 3, .loss = 1.5});
    const Result<Json> json = ParseJson(first.ToJson().Dump(), "history");
    ASSERT_TRUE(json.ok());
    Result<TrainingCurve> second = TrainingCurve::FromJson(*json);
    ASSERT_TRUE(second.ok()) << second.error().message;
    for (int64_t step = stop + 1; step <= steps; ++step) second->Add(PointOf(step));
    EXPECT_EQ(second->ToJson().Dump(), straight.ToJson().Dump()) << stop;
  }
}

TEST(TrainingCurve, ARecordThatIsNoCurveIsRefused) {
  for (const char* text : {"{}", "3", R"({"steps_a_point": 0})", R"({"steps_a_point": 1, "step": [1]})",
                           R"({"steps_a_point": 1, "step": [1], "loss": ["x"], "gradient_norm": [1]})",
                           R"({"steps_a_point": 1, "step": [1], "loss": [1, 2]})",
                           R"({"steps_a_point": 1, "step": [1e300], "loss": [1], "gradient_norm": [1],
                               "learning_rate": [1], "seconds": [1]})"}) {
    EXPECT_FALSE(TrainingCurve::FromJson(*ParseJson(text, "history")).ok()) << text;
  }
}

}  // namespace
}  // namespace lodestone::testing
