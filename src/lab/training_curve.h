// What a training run reports as it goes, kept whole across interruptions: a point a step, bounded in number, and one
// an evaluation.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace lodestone {

struct TrainingPoint {
  int64_t step = 0;  // finished steps; of a mean over several, the last
  double loss = 0;   // nats a token, before the update
  double gradient_norm = 0, learning_rate = 0;
  double seconds = 0;  // of the step
};

struct ValidationPoint {
  int64_t step = 0;
  double loss = 0;  // nats a token
};

class TrainingCurve {
 public:
  // Above this many points, neighbours become their mean: a point then stands for 2, 4, … steps.
  static constexpr size_t kMostPoints = 8192;

  void Add(const TrainingPoint& point);
  void AddValidation(const ValidationPoint& point) { validation_.push_back(point); }

  const std::vector<TrainingPoint>& points() const { return points_; }
  const std::vector<ValidationPoint>& validation() const { return validation_; }
  int64_t steps_a_point() const { return steps_a_point_; }

  Json ToJson() const;  // {"steps_a_point", "step": […], "loss": […], …, "validation": {"step": […], "loss": […]}}
  // Refused: columns of different lengths, values of another type.
  static Result<TrainingCurve> FromJson(const Json& json);

 private:
  std::vector<TrainingPoint> points_;
  std::vector<TrainingPoint> waiting_;  // of the next point, fewer than steps_a_point_
  std::vector<ValidationPoint> validation_;
  int64_t steps_a_point_ = 1;
};

}  // namespace lodestone
