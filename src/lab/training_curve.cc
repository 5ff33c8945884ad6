#include "lab/training_curve.h"

#include <fmt/format.h>

#include <span>
#include <string_view>

namespace lodestone {
namespace {

TrainingPoint MeanOf(std::span<const TrainingPoint> points) {
  TrainingPoint mean;
  const auto count = static_cast<double>(points.size());
  for (const TrainingPoint& point : points) {
    mean.loss += point.loss / count;
    mean.gradient_norm += point.gradient_norm / count;
    mean.learning_rate += point.learning_rate / count;
    mean.seconds += point.seconds / count;
  }
  mean.step = points.back().step;
  return mean;
}

struct Column {
  const char* name;
  double TrainingPoint::*member;
};
constexpr Column kColumns[] = {{"loss", &TrainingPoint::loss},
                               {"gradient_norm", &TrainingPoint::gradient_norm},
                               {"learning_rate", &TrainingPoint::learning_rate},
                               {"seconds", &TrainingPoint::seconds}};

Json PointsAsJson(std::span<const TrainingPoint> points) {
  Json json;
  Json::Array steps;
  for (const TrainingPoint& point : points) steps.emplace_back(point.step);
  json.Set("step", std::move(steps));
  for (const Column& column : kColumns) {
    Json::Array values;
    for (const TrainingPoint& point : points) values.emplace_back(point.*column.member);
    json.Set(column.name, std::move(values));
  }
  return json;
}

// The numbers of one column; an error where there are none or not `count`.
Result<std::vector<double>> ReadColumn(const Json& json, std::string_view name, size_t count) {
  const Json* column = json.Find(name);
  const Json::Array* array = column == nullptr ? nullptr : column->as_array();
  if (array == nullptr || array->size() != count) {
    return Invalid(fmt::format("history: the column '{}' is absent or of another length than the steps", name));
  }
  std::vector<double> values;
  for (const Json& item : *array) {
    const std::optional<double> number = item.as_number();
    if (!number) return Invalid(fmt::format("history: the column '{}' holds something that is no number", name));
    values.push_back(*number);
  }
  return values;
}

// The column of steps, whose length is that of the others.
Result<std::vector<int64_t>> ReadSteps(const Json& json) {
  const Json* column = json.Find("step");
  const Json::Array* array = column == nullptr ? nullptr : column->as_array();
  if (array == nullptr) return Invalid("history: the column 'step' is absent");
  std::vector<int64_t> steps;
  for (const Json& item : *array) {
    if (item.as_int() == nullptr) return Invalid("history: the column 'step' holds something that is no integer");
    steps.push_back(*item.as_int());
  }
  return steps;
}

Result<std::vector<TrainingPoint>> ReadPoints(const Json& json) {
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, ReadSteps(json));
  std::vector<TrainingPoint> points(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) points[i].step = steps[i];
  for (const Column& column : kColumns) {
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<double> values, ReadColumn(json, column.name, steps.size()));
    for (size_t i = 0; i < values.size(); ++i) points[i].*column.member = values[i];
  }
  return points;
}

}  // namespace

void TrainingCurve::Add(const TrainingPoint& point) {
  waiting_.push_back(point);
  if (static_cast<int64_t>(waiting_.size()) < steps_a_point_) return;
  points_.push_back(MeanOf(waiting_));
  waiting_.clear();
  if (points_.size() < kMostPoints) return;
  for (size_t i = 0; i < kMostPoints / 2; ++i) points_[i] = MeanOf(std::span(points_).subspan(2 * i, 2));
  points_.resize(kMostPoints / 2);
  steps_a_point_ *= 2;
}

Json TrainingCurve::ToJson() const {
  Json json;
  json.Set("steps_a_point", steps_a_point_);
  const Json points = PointsAsJson(points_);
  for (const auto& [name, column] : *points.as_object()) json.Set(name, column);
  if (!waiting_.empty()) json.Set("next_point", PointsAsJson(waiting_));
  Json::Array steps, losses;
  for (const ValidationPoint& point : validation_) {
    steps.emplace_back(point.step);
    losses.emplace_back(point.loss);
  }
  Json validation;
  validation.Set("step", std::move(steps)).Set("loss", std::move(losses));
  json.Set("validation", std::move(validation));
  return json;
}

Result<TrainingCurve> TrainingCurve::FromJson(const Json& json) {
  TrainingCurve curve;
  const Json* each = json.Find("steps_a_point");
  if (each == nullptr || each->as_int() == nullptr || *each->as_int() < 1) {
    return Invalid("history: 'steps_a_point' is absent or no positive integer");
  }
  curve.steps_a_point_ = *each->as_int();
  LODESTONE_ASSIGN_OR_RETURN(curve.points_, ReadPoints(json));
  if (const Json* waiting = json.Find("next_point"); waiting != nullptr) {
    LODESTONE_ASSIGN_OR_RETURN(curve.waiting_, ReadPoints(*waiting));
  }
  if (const Json* validation = json.Find("validation"); validation != nullptr) {
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, ReadSteps(*validation));
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<double> losses, ReadColumn(*validation, "loss", steps.size()));
    for (size_t i = 0; i < steps.size(); ++i) {
      curve.validation_.push_back({.step = steps[i], .loss = losses[i]});
    }
  }
  return curve;
}

}  // namespace lodestone
