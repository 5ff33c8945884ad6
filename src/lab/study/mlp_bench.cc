// What tile blocks are worth where they work: the two linear layers of an MLP, dense and pruned in turn, so that a
// disturbance of the host meets both.
#include "kernels/linear_products.h"
#include "lab/study/bench.h"
#include "lab/study/session.h"
#include "lab/study/stopwatch.h"

namespace lodestone {
namespace {

using kernels::BlockMask;
using kernels::LinearProducts;
using kernels::LinearShape;

struct Layer {
  std::span<const float> weight;
  const BlockMask* mask = nullptr;
  int n = 0, k = 0;
};

// Row-major activations [rows][width] and their gradients.
struct Activations {
  explicit Activations(int64_t rows, int columns)
      : width(columns), values(static_cast<size_t>(rows * columns), 0.5f), gradients(values.size(), 0.25f) {}
  int width;
  std::vector<float> values, gradients;
};

class Mlp {
 public:
  Mlp(LinearProducts& products, Layer up, Layer down, int64_t rows, kernels::Precision precision)
      : products_(products),
        up_(up),
        down_(down),
        rows_(rows),
        precision_(precision),
        in_(rows, up.k),
        hidden_(rows, up.n),
        out_(rows, down.n),
        dw_(up.weight.size()) {}

  double Forward(bool sparse) {
    return Time([&] {
      Product(up_, in_, hidden_, sparse);
      Product(down_, hidden_, out_, sparse);
    });
  }
  double Training(bool sparse) {
    return Time([&] {
      Product(up_, in_, hidden_, sparse);
      Product(down_, hidden_, out_, sparse);
      Backward(down_, hidden_, out_, sparse);
      Backward(up_, in_, hidden_, sparse);
    });
  }

 private:
  template <typename Work>
  static double Time(const Work& work) {
    const Stopwatch watch;
    work();
    return watch.Seconds();
  }
  LinearShape ShapeOf(const Layer& layer, bool sparse) const {
    return {.rows = rows_, .n = layer.n, .k = layer.k, .precision = precision_, .mask = sparse ? layer.mask : nullptr};
  }
  void Product(const Layer& layer, const Activations& x, Activations& y, bool sparse) {
    products_.Forward(ShapeOf(layer, sparse), x.values.data(), x.width, layer.weight.data(), nullptr, 1,
                      y.values.data(), y.width);
  }
  void Backward(const Layer& layer, Activations& x, const Activations& y, bool sparse) {
    const LinearShape shape = ShapeOf(layer, sparse);
    products_.BackwardInput(shape, y.gradients.data(), y.width, layer.weight.data(), 1, false, x.gradients.data(),
                            x.width);
    products_.BackwardWeight(shape, y.gradients.data(), y.width, x.values.data(), x.width, 1, dw_.data(), nullptr);
  }

  LinearProducts& products_;
  const Layer up_, down_;
  const int64_t rows_;
  const kernels::Precision precision_;
  Activations in_, hidden_, out_;
  std::vector<float> dw_;
};

}  // namespace

Result<MlpTimes> TimeMlp(const TrainingSession& session, const StudyCase& test, const StudyClock& clock,
                         ThreadPool& threads) {
  const auto layer = [&](WeightKind kind) {
    const WeightId id{kind, 0};
    const Parameter* p = session.parameters().Find(id, ParameterRole::kTensor);
    LODESTONE_CHECK(p != nullptr);  // every model has both
    return Layer{.weight = session.parameters().values(*p),
                 .mask = session.masks().Blocks(id),
                 .n = static_cast<int>(p->rows),
                 .k = static_cast<int>(p->columns)};
  };
  LODESTONE_ASSIGN_OR_RETURN(const std::unique_ptr<LinearProducts> products, LinearProducts::Make(threads));
  const kernels::Precision precision = test.recipe == "bf16" ? kernels::Precision::kBf16 : kernels::Precision::kF32;
  Mlp mlp(*products, layer(WeightKind::kUp), layer(WeightKind::kDown), test.batch * test.sequence, precision);
  MlpTimes times;
  for (int64_t i = 0; i < clock.warmup + clock.repetitions; ++i) {
    const double dense_forward = mlp.Forward(false), sparse_forward = mlp.Forward(true);
    const double dense_training = mlp.Training(false), sparse_training = mlp.Training(true);
    if (i < clock.warmup) continue;
    times.dense_forward_s.push_back(dense_forward);
    times.sparse_forward_s.push_back(sparse_forward);
    times.dense_training_s.push_back(dense_training);
    times.sparse_training_s.push_back(sparse_training);
  }
  return times;
}

}  // namespace lodestone
