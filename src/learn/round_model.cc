#include "learn/round_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

namespace lodestone {
namespace {

// body(begin, end) over the panels of a matrix, divided among the threads; the first error by panel.
template <typename Body>
Status ForPanels(const PackedShape& shape, ThreadPool& threads, const Body& body) {
  std::vector<std::optional<Error>> errors(static_cast<size_t>(threads.threads()));
  threads.ParallelFor(shape.panels(), [&](int64_t begin, int64_t end, int thread) {
    const Status status = body(static_cast<int>(begin), static_cast<int>(end));
    if (!status.ok()) errors[static_cast<size_t>(thread)] = status.error();
  });
  for (const auto& error : errors) {
    if (error) return *error;
  }
  return {};
}

// Σ (w − ŵ)² and Σ w² of a panel: summed panel by panel, whatever the threads.
struct Squares {
  double error = 0, weight = 0;
};

}  // namespace

Result<double> RelativeError(const PackedMatrix& matrix, const RowReader& read_row, ThreadPool& threads) {
  std::vector<Squares> panels(static_cast<size_t>(matrix.panels()));
  const Status summed = ForPanels(matrix, threads, [&](int begin, int end) -> Status {
    std::vector<float> row(static_cast<size_t>(matrix.k)), packed(row.size());
    for (int o = begin * kPanel; o < std::min(end * kPanel, matrix.n); ++o) {
      LODESTONE_RETURN_IF_ERROR(read_row(o, row));
      UnpackRow(matrix, o, packed);
      Squares& sum = panels[static_cast<size_t>(o / kPanel)];
      for (size_t i = 0; i < row.size(); ++i) {
        const double difference = double{row[i]} - double{packed[i]};
        sum.error += difference * difference;
        sum.weight += double{row[i]} * double{row[i]};
      }
    }
    return {};
  });
  if (!summed.ok()) return summed.error();
  Squares sum;
  for (const Squares& panel : panels) {
    sum.error += panel.error;
    sum.weight += panel.weight;
  }
  return sum.weight == 0 ? 0.0 : std::sqrt(sum.error / sum.weight);
}

Result<PackedMatrix> RoundMatrix(const StoredTensors::Matrix& matrix, const WeightSource& source, ThreadPool& threads) {
  LODESTONE_ASSIGN_OR_RETURN(PackedMatrix packed, AllocatePacked(matrix.shape));
  const Status status = ForPanels(
      packed, threads, [&](int begin, int end) { return source.ReadPanels(matrix.id, 0, begin, end, packed); });
  if (!status.ok()) {
    return Error{status.error().code, fmt::format("{}: {}", ToString(matrix.id), status.error().message)};
  }
  return packed;
}

Status AddMatrix(const WeightId& id, const PackedMatrix& packed, const WeightSource& source, ThreadPool& threads,
                 QuantizedSink& sink) {
  const auto read_row = [&](int o, std::span<float> row) { return source.ReadRow(id, o, row); };
  LODESTONE_ASSIGN_OR_RETURN(const double error, RelativeError(packed, read_row, threads));
  return sink.Add({.id = id, .matrix = packed, .relative_error = error});
}

Status AddVectors(const ModelConfig& config, std::span<const WeightId> ids, const WeightSource& source,
                  QuantizedSink& sink) {
  for (const WeightId& id : ids) {
    std::vector<float> vector(static_cast<size_t>(ShapeOf(config, id).columns));
    LODESTONE_RETURN_IF_ERROR(source.ReadRow(id, 0, vector));
    for (size_t i = 0; i < vector.size(); ++i) {
      if (!std::isfinite(vector[i])) return Invalid(fmt::format("{}: element {} is not finite", ToString(id), i));
    }
    LODESTONE_RETURN_IF_ERROR(sink.Add(id, vector));
  }
  return {};
}

Status RoundModel(const ModelConfig& config, const Recipe& recipe, const WeightSource& source, ThreadPool& threads,
                  QuantizedSink& sink) {
  LODESTONE_ASSIGN_OR_RETURN(const StoredTensors tensors, TensorsOf(config, recipe));
  LODESTONE_RETURN_IF_ERROR(sink.Begin(config));
  for (const StoredTensors::Matrix& matrix : tensors.matrices) {
    LODESTONE_ASSIGN_OR_RETURN(const PackedMatrix packed, RoundMatrix(matrix, source, threads));
    LODESTONE_RETURN_IF_ERROR(AddMatrix(matrix.id, packed, source, threads, sink));
  }
  return AddVectors(config, tensors.vectors, source, sink);
}

}  // namespace lodestone
