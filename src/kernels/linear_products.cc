#include "kernels/linear_products.h"

#include <algorithm>
#include <string>

#include "kernels/dispatch.h"
#include "kernels/gemm/gemm.h"

#if defined(LODESTONE_X86_KERNELS)
#include "host/cpu.h"
#endif

namespace lodestone::kernels {
namespace {

class ProductsOn : public LinearProducts {
 public:
  ProductsOn(ThreadPool& threads, const GemmTable& table)
      : threads_(threads), isa_(table.isa), f32_(threads, table.f32), bf16_(threads, table.bf16) {}

  std::string_view isa() const override { return isa_; }

  void Forward(const LinearShape& shape, const float* x, int64_t x_stride, const float* w, const float* bias,
               float multiplier, float* y, int64_t y_stride) override {
    GemmArgs g = ArgsOf(shape, {x, x_stride, true}, {w, shape.k, true}, y, y_stride);
    g.m = shape.rows, g.n = shape.n, g.k = shape.k;
    g.multiplier = multiplier;
    g.bias = bias;
    g.axes = MaskAxes::kColumnsByDepth;
    For(shape).Multiply(g);
  }

  void BackwardInput(const LinearShape& shape, const float* dy, int64_t dy_stride, const float* w, float multiplier,
                     bool accumulate, float* dx, int64_t dx_stride) override {
    GemmArgs g = ArgsOf(shape, {dy, dy_stride, true}, {w, shape.k, false}, dx, dx_stride);
    g.m = shape.rows, g.n = shape.k, g.k = shape.n;
    g.a_scale = multiplier;
    g.accumulate = accumulate;
    g.axes = MaskAxes::kDepthByColumns;
    For(shape).Multiply(g);
  }

  void BackwardWeight(const LinearShape& shape, const float* dy, int64_t dy_stride, const float* x, int64_t x_stride,
                      float multiplier, float* dw, float* db) override {
    GemmArgs g = ArgsOf(shape, {dy, dy_stride, false}, {x, x_stride, false}, dw, shape.k);
    g.m = shape.n, g.n = shape.k, g.k = shape.rows;
    g.a_scale = multiplier;
    g.accumulate = true;
    g.axes = MaskAxes::kRowsByColumns;
    For(shape).Multiply(g);
    if (db != nullptr) AddRows(shape, dy, dy_stride, multiplier, db);
  }

 private:
  Gemm& For(const LinearShape& shape) { return shape.precision == Precision::kF32 ? f32_ : bf16_; }

  static GemmArgs ArgsOf(const LinearShape& shape, GemmOperand a, GemmOperand b, float* c, int64_t c_stride) {
    GemmArgs g{};
    g.a = a;
    g.b = b;
    g.a_scale = 1.0f;
    g.c = c;
    g.c_stride = c_stride;
    g.multiplier = 1.0f;
    g.mask = shape.mask;
    return g;
  }

  // Columns of db that stay in a first-level cache while all rows pass.
  static constexpr int64_t kBiasColumns = 512;

  void AddRows(const LinearShape& shape, const float* dy, int64_t dy_stride, float multiplier, float* db) {
    threads_.ParallelFor(shape.n, [&](int64_t begin, int64_t end, int) {
      for (int64_t first = begin; first < end; first += kBiasColumns) {
        const int64_t last = std::min(end, first + kBiasColumns);
        for (int64_t r = 0; r < shape.rows; ++r) {
          const float* row = dy + r * dy_stride;
          for (int64_t i = first; i < last; ++i) db[i] += multiplier * row[i];
        }
      }
    });
  }

  ThreadPool& threads_;
  std::string_view isa_;
  Gemm f32_, bf16_;
};

// The table of an instruction set that can run here.
GemmTable TableOf(std::string_view isa) {
#if defined(LODESTONE_X86_KERNELS)
  if (isa == kAvx2Gemm.isa) return kAvx2Gemm;
  if (isa == kAvx512Gemm.isa) return kAvx512Gemm;
  if (isa == "amx") {
    const CpuFeatures cpu = DetectCpuFeatures();
    return {"amx", kAvx512Gemm.f32, cpu.amx_bf16 && cpu.avx512_bf16 ? kAmxBf16Gemm : kAvx512Gemm.bf16};
  }
#endif
  return kReferenceGemm;
}

}  // namespace

std::unique_ptr<LinearProducts> MakeLinearProducts(ThreadPool& threads, const GemmTable& table) {
  return std::make_unique<ProductsOn>(threads, table);
}

Result<std::unique_ptr<LinearProducts>> LinearProducts::Make(ThreadPool& threads) {
  LODESTONE_ASSIGN_OR_RETURN(const KernelTable* table, SelectFromEnvironment());
  return MakeLinearProducts(threads, TableOf(table->isa));
}

Result<std::unique_ptr<LinearProducts>> LinearProducts::Make(ThreadPool& threads, std::string_view isa) {
  LODESTONE_ASSIGN_OR_RETURN(const KernelTable* table, Select(isa));
  return MakeLinearProducts(threads, TableOf(table->isa));
}

}  // namespace lodestone::kernels
