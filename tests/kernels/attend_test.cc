#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "cases.h"
#include "kernels/kv_layout.h"

namespace lodestone::kernels {
namespace {

constexpr double kUnit = 0x1p-24;

bool IsCode(KvCode code) { return code == KvCode::kInt8 || code == KvCode::kInt4; }

// A tile's attention with its blocks. Positions that no row sees hold what a freed page may hold: NaN and wild codes.
struct AttendCase {
  KvCode code = KvCode::kF32;
  int rows = 1, heads = 1, head_dim = 8, context = 1, window = 0;
  float scale = 0.3f, p_max = 255, p_scale = 0;
  std::vector<float> q, k, v;  // values as a double sees them, [rows × heads or positions][head_dim]
  std::vector<uint16_t> q_bf16;
  std::vector<int8_t> q_int, v_int;
  std::vector<float> q_scales, k_scales, v_scales;
  std::vector<std::byte> k_blocks, v_blocks;

  int End(int row) const { return context + row; }
  int First(int row) const { return window > 0 ? std::max(0, End(row) - window) : 0; }
  int blocks() const { return (End(rows - 1) + kBlockTokens - 1) / kBlockTokens; }
  int first_block() const { return First(0) / kBlockTokens; }
  int max_code() const { return code == KvCode::kInt4 ? 7 : 127; }
  int lanes() const { return rows * heads; }
  size_t dim() const { return static_cast<size_t>(head_dim); }

  void Build(Random& random) {
    const size_t positions = static_cast<size_t>(blocks() * kBlockTokens);
    q = random.Normals(static_cast<size_t>(lanes()) * dim());
    k = random.Normals(positions * dim());
    v = random.Normals(positions * dim());
    for (float& value : q) {
      q_bf16.push_back(FloatToBf16(value));
      if (code == KvCode::kBf16) value = Bf16ToFloat(q_bf16.back());
    }
    q_scales.resize(static_cast<size_t>(lanes()));
    k_scales.resize(positions);
    v_scales.resize(positions);
    for (auto* scales : {&q_scales, &k_scales, &v_scales}) {
      for (float& s : *scales) s = 0.01f * static_cast<float>(random.Int(10, 200)) / static_cast<float>(max_code());
    }
    for (float& s : q_scales) s *= static_cast<float>(max_code()) / 127;
    if (p_scale != 0) std::fill(v_scales.begin(), v_scales.end(), 0.02f);
    for (size_t i = 0; i < q.size(); ++i) {
      q_int.push_back(static_cast<int8_t>(random.Int(-127, 127)));
      if (IsCode(code)) q[i] = static_cast<float>(q_int.back()) * q_scales[i / dim()];
    }
    v_int.resize(v.size());
    k_blocks.assign(static_cast<size_t>(blocks()) * BlockBytes(KeyBlockBytes), std::byte{0xff});  // NaN, −1
    v_blocks.assign(static_cast<size_t>(blocks()) * BlockBytes(ValueBlockBytes), std::byte{0xff});
    for (int t = 0; t < static_cast<int>(positions); ++t) {
      const auto at = static_cast<size_t>(t);
      if (t < First(0) || t >= End(rows - 1)) {
        k_scales[at] = v_scales[at] = std::nanf("");
      } else {
        StoreToken(random, t);
      }
    }
  }

  template <typename Bytes>
  size_t BlockBytes(const Bytes& bytes) const {
    return static_cast<size_t>(bytes(code, head_dim));
  }
  std::byte* Key(int block) { return k_blocks.data() + static_cast<size_t>(block) * BlockBytes(KeyBlockBytes); }
  std::byte* Value(int block) { return v_blocks.data() + static_cast<size_t>(block) * BlockBytes(ValueBlockBytes); }

  // As the format holds them; `k` and `v` become what is held.
  void StoreToken(Random& random, int t) {
    for (const bool is_key : {true, false}) {
      float* x = (is_key ? k : v).data() + static_cast<size_t>(t) * dim();
      std::vector<uint16_t> halves;
      std::vector<int8_t> codes;
      for (size_t d = 0; d < dim(); ++d) {
        halves.push_back(FloatToBf16(x[d]));
        codes.push_back(static_cast<int8_t>(random.Int(-max_code(), max_code())));
        if (code == KvCode::kBf16) x[d] = Bf16ToFloat(halves.back());
        if (IsCode(code))
          x[d] = static_cast<float>(codes.back()) * (is_key ? k_scales : v_scales)[static_cast<size_t>(t)];
        if (!is_key) v_int[static_cast<size_t>(t) * dim() + d] = codes.back();
      }
      const void* values = code == KvCode::kF32    ? static_cast<const void*>(x)
                           : code == KvCode::kBf16 ? static_cast<const void*>(halves.data())
                                                   : codes.data();
      const int block = t / kBlockTokens, token = t % kBlockTokens;
      is_key ? StoreKey(code, head_dim, token, values, Key(block))
             : StoreValue(code, head_dim, token, values, Value(block));
    }
  }

  // Rows [row, row + row_count) and heads [head, head + head_count). With `cuts`, in steps that end at those blocks.
  std::vector<float> Run(const KernelTable& table, int row, int row_count, int head, int head_count,
                         const std::vector<int>& cuts = {}) {
    std::vector<KvBlock> list(static_cast<size_t>(blocks()));
    for (int b = First(row) / kBlockTokens; b < blocks(); ++b) {  // a window's released blocks have no memory
      list[static_cast<size_t>(b)] = {Key(b), Value(b), k_scales.data() + b * kBlockTokens,
                                      v_scales.data() + b * kBlockTokens};
    }
    const size_t lane = static_cast<size_t>(row * heads + head), q_at = lane * dim();
    const int padded = (head_dim + 15) / 16 * 16;
    std::vector<float> out(static_cast<size_t>(row_count * head_count) * dim() + 16, kUntouched);
    std::vector<float> scratch(static_cast<size_t>((kAttendLanes + 1) * padded), std::nanf(""));
    std::vector<float> partials(static_cast<size_t>(blocks() * row_count * head_count * (2 + padded)), std::nanf(""));
    AttendArgs a{};
    a.q = code == KvCode::kF32    ? static_cast<const void*>(q.data() + q_at)
          : code == KvCode::kBf16 ? static_cast<const void*>(q_bf16.data() + q_at)
                                  : q_int.data() + q_at;
    a.q_stride = heads * head_dim;
    a.q_scales = q_scales.data() + lane;
    a.q_scales_stride = heads;
    a.blocks = list.data();
    a.code = code;
    a.rows = row_count;
    a.heads = head_count;
    a.head_dim = head_dim;
    a.context = End(row);
    a.window = window;
    a.scale = scale;
    a.p_max = p_max;
    a.p_scale = p_scale;
    a.out = out.data();
    a.out_stride = head_count * head_dim;
    a.scratch = scratch.data();
    a.partials = partials.data();
    if (cuts.empty()) {
      a.step = AttendStep::kAll;
      table.attend(a);
    } else {
      for (const AttendStep step : {AttendStep::kStatistics, AttendStep::kBlocks}) {
        if (step == AttendStep::kStatistics && p_scale == 0) continue;
        a.step = step;
        for (size_t i = cuts.size(); i-- > 0;) {  // in any order
          a.block_begin = i == 0 ? First(row) / kBlockTokens : cuts[i - 1];
          a.block_end = cuts[i];
          table.attend(a);
        }
      }
      a.step = AttendStep::kMerge;
      table.attend(a);
    }
    for (size_t i = out.size() - 16; i < out.size(); ++i) EXPECT_EQ(out[i], kUntouched);
    out.resize(out.size() - 16);
    return out;
  }
  std::vector<float> Run(const KernelTable& table, const std::vector<int>& cuts = {}) {
    return Run(table, 0, rows, 0, heads, cuts);
  }

  std::string Name() const {
    return fmt::format("code {}, rows {}, heads {}, head_dim {}, context {}, window {}, p_max {}, p_scale {}",
                       static_cast<int>(code), rows, heads, head_dim, context, window, p_max, p_scale);
  }
};

AttendCase RandomCase(KvCode code, Random& random) {
  AttendCase c;
  c.code = code;
  c.heads = random.Int(1, 5);
  c.rows = random.Int(0, 1) == 0 ? 1 : random.Int(1, 20);
  c.head_dim = random.Int(0, 2) == 0 ? 16 * random.Int(1, 9) : random.Int(1, 140);
  c.context = random.Int(1, 250);
  c.window = random.Int(0, 1) == 0 ? 0 : random.Int(1, c.context + 10);
  c.scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim));
  if (IsCode(code)) {
    c.p_max = random.Int(0, 1) == 0 ? 255 : 15;
    if (random.Int(0, 1) == 0) c.p_scale = 1.0f / c.p_max;
  }
  c.Build(random);
  return c;
}

// Attention in double and the bound on its distance from the kernel's.
//   score   head_dim fused multiply-adds and three products with scales: roundings of Σ|q k|
//   weight  the subtraction of the maximum rounds |s − max|; exp within 2 ulp; a block's sum of 64 / 16 + 4 roundings;
//           then each merge: a subtraction of maxima, an exp, a product and a sum, of what is summed and of L; for bf16
//           half a unit of 2⁻⁸
//   code    half a step of P a position, and what its weight is off
//   sum     64 roundings of Σ p|v| and the two last ones
void CheckAgainstDouble(const AttendCase& c, const std::vector<float>& out) {
  WorstError worst;
  for (int lane = 0; lane < c.lanes(); ++lane) {
    const int first = c.First(lane / c.heads), end = c.End(lane / c.heads);
    std::vector<double> score(static_cast<size_t>(end), -INFINITY);
    double score_error = 0, max = -INFINITY, min = INFINITY;
    for (int t = first; t < end; ++t) {
      double dot = 0, magnitude = 0;
      for (size_t d = 0; d < c.dim(); ++d) {
        const double product =
            double{c.q[static_cast<size_t>(lane) * c.dim() + d]} * c.k[static_cast<size_t>(t) * c.dim() + d];
        dot += product;
        magnitude += std::abs(product);
      }
      score[static_cast<size_t>(t)] = dot * c.scale;
      score_error = std::max(score_error, (c.head_dim + 4) * kUnit * magnitude * c.scale);
      max = std::max(max, score[static_cast<size_t>(t)]);
      min = std::min(min, score[static_cast<size_t>(t)]);
    }
    double total = 0;
    for (int t = first; t < end; ++t) total += std::exp(score[static_cast<size_t>(t)] - max);
    const double spread = max - min + 2 * score_error;
    const double merges = c.blocks() * (spread + 4 + 2) * kUnit;
    const double weight_error = std::expm1(2 * (2 * score_error + (spread + 4) * kUnit + merges)) + 8 * kUnit +
                                (c.code == KvCode::kBf16 ? 0x1p-8 : 0);
    for (size_t d = 0; d < c.dim(); ++d) {
      double sum = 0, magnitude = 0, quantum = 0;
      for (int b = 0; b < c.blocks(); ++b) {
        double largest = 0, codes = 0;
        for (int t = std::max(first, b * kBlockTokens); t < std::min(end, (b + 1) * kBlockTokens); ++t) {
          const size_t at = static_cast<size_t>(t) * c.dim() + d;
          const double p = std::exp(score[static_cast<size_t>(t)] - max) / total;
          sum += p * c.v[at];
          magnitude += p * std::abs(c.v[at]);
          if (!IsCode(c.code)) continue;
          largest = std::max(largest, p * c.v_scales[static_cast<size_t>(t)]);
          codes += std::abs(c.v_int[at]);
        }
        const double step = c.p_scale != 0 ? double{c.p_scale} * 0.02f : largest / c.p_max;
        quantum += step * codes * (0.5 + (weight_error + 6 * kUnit) * c.p_max);
      }
      const double sums = (kBlockTokens + c.blocks() + 4) * kUnit;
      const size_t at = static_cast<size_t>(lane) * c.dim() + d;
      worst.Check(at, out[at], sum, magnitude * (weight_error + sums) + quantum + 1e-30);
    }
  }
  ASSERT_TRUE(worst.ok()) << c.Name() << ": " << worst.line();
}

class AttendProperty : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(Isa, AttendProperty, AllIsas(), IsaName);

constexpr KvCode kCodes[] = {KvCode::kF32, KvCode::kBf16, KvCode::kInt8, KvCode::kInt4};

TEST_P(AttendProperty, EqualsTheReferenceAndADoubleWithinItsBound) {
  Random random(1);
  for (const KvCode code : kCodes) {
    for (int round = 0; round < 12; ++round) {
      AttendCase c = RandomCase(code, random);
      const std::vector<float> out = c.Run(table());
      ASSERT_TRUE(SameBits(out, c.Run(Reference()))) << c.Name();
      CheckAgainstDouble(c, out);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(AttendProperty, EveryHeadTailAndEveryContextAroundABlock) {
  Random random(2);
  for (const KvCode code : kCodes) {
    for (int i = 1; i <= 70; ++i) {
      AttendCase c;
      c.code = code;
      c.head_dim = i;
      c.context = 60 + i;
      c.window = i > 40 ? 35 : 0;
      c.Build(random);
      ASSERT_TRUE(SameBits(c.Run(table()), c.Run(Reference()))) << c.Name();
    }
  }
}

// More lanes than the kernel takes at a time, and every number of rows on the way there.
TEST_P(AttendProperty, ALaneAloneHasTheBitsThatItHasInItsTile) {
  Random random(3);
  for (const KvCode code : kCodes) {
    for (const float p_scale : {0.0f, 1.0f / 255}) {
      AttendCase c;
      c.code = code;
      c.rows = random.Int(9, 15);
      c.heads = random.Int(3, 5);
      c.head_dim = 24;
      c.context = 120;
      c.window = p_scale == 0 ? 0 : 70;
      if (IsCode(code)) c.p_scale = p_scale;
      c.Build(random);
      const std::vector<float> tile = c.Run(table());
      for (int r = 0; r < c.rows; ++r) {
        for (int h = 0; h < c.heads; ++h) {
          const auto expected = std::span(tile).subspan(static_cast<size_t>(r * c.heads + h) * c.dim(), c.dim());
          ASSERT_TRUE(SameBits(c.Run(table(), r, 1, h, 1), expected)) << c.Name() << ": row " << r << ", head " << h;
        }
        const int count = c.rows - r;
        const auto expected = std::span(tile).subspan(static_cast<size_t>(r * c.heads) * c.dim());
        ASSERT_TRUE(SameBits(c.Run(table(), r, count, 0, c.heads), expected)) << c.Name() << ": rows from " << r;
      }
    }
  }
}

TEST_P(AttendProperty, CutsOverTheBlocksChangeNoBit) {
  Random random(7);
  for (const KvCode code : kCodes) {
    for (int round = 0; round < 5; ++round) {
      AttendCase c = RandomCase(code, random);
      std::vector<int> cuts;
      for (int b = c.first_block() + 1; b < c.blocks(); ++b) {
        if (random.Int(0, 1) == 0) cuts.push_back(b);
      }
      cuts.push_back(c.blocks());
      ASSERT_TRUE(SameBits(c.Run(table(), cuts), c.Run(table()))) << c.Name();
    }
  }
}

TEST(KvLayout, TokensShareNoByte) {
  for (const KvCode code : kCodes) {
    for (const int head_dim : {7, 40, 80}) {
      for (const bool is_key : {true, false}) {
        const auto bytes = static_cast<size_t>((is_key ? KeyBlockBytes : ValueBlockBytes)(code, head_dim));
        std::vector<int> writers(bytes, 0);
        for (int token = 0; token < kBlockTokens; ++token) {
          std::vector<bool> written(bytes, false);
          for (const std::byte before : {std::byte{0x5a}, std::byte{0xa5}}) {
            std::vector<std::byte> block(bytes, before);
            const std::vector<float> zeros(static_cast<size_t>(head_dim), 0.0f);
            (is_key ? StoreKey : StoreValue)(code, head_dim, token, zeros.data(), block.data());
            for (size_t i = 0; i < bytes; ++i) written[i] = written[i] || block[i] != before;
          }
          for (size_t i = 0; i < bytes; ++i) writers[i] += written[i] ? 1 : 0;
        }
        EXPECT_LE(*std::max_element(writers.begin(), writers.end()), 1) << static_cast<int>(code) << ", " << head_dim;
      }
    }
  }
}

// With one position P is 1, whatever the score: the result is V, up to the roundings of its scale.
TEST_P(AttendProperty, OnePositionReturnsItsValue) {
  Random random(4);
  for (const KvCode code : kCodes) {
    for (const float p_scale : {0.0f, 1.0f / 255}) {
      AttendCase c;
      c.code = code;
      c.head_dim = 40;
      c.window = 1;
      c.context = 78;
      c.p_scale = IsCode(code) ? p_scale : 0;
      c.Build(random);
      const std::vector<float> out = c.Run(table());
      for (int d = 0; d < c.head_dim; ++d) {
        const float v = c.v[static_cast<size_t>(77 * c.head_dim + d)];
        EXPECT_NEAR(out[static_cast<size_t>(d)], v, 4 * kUnit * std::abs(v)) << c.Name();
      }
    }
  }
}

// Scores far apart: one weight is 1 and the others underflow to exactly 0.
TEST_P(AttendProperty, LargeScoresNeitherOverflowNorLeak) {
  Random random(5);
  AttendCase c;
  c.head_dim = 16;
  c.context = 100;
  c.scale = 1e6f;
  c.Build(random);
  const std::vector<float> out = c.Run(table());
  int best = 0;
  double best_dot = -INFINITY;
  for (int t = 0; t < c.context; ++t) {
    double dot = 0;
    for (int d = 0; d < 16; ++d) dot += double{c.q[static_cast<size_t>(d)]} * c.k[static_cast<size_t>(t * 16 + d)];
    if (dot > best_dot) best = t, best_dot = dot;
  }
  for (int d = 0; d < 16; ++d) EXPECT_EQ(out[static_cast<size_t>(d)], c.v[static_cast<size_t>(best * 16 + d)]);
}

TEST_P(AttendProperty, ABadScoreOrScaleShowsInTheResult) {
  Random random(6);
  for (const KvCode code : kCodes) {
    for (const int bad : {5, 70}) {
      AttendCase c;
      c.code = code;
      c.heads = 2;
      c.head_dim = 20;
      c.context = 90;
      c.Build(random);
      AttendCase bad_q = c;
      bad_q.q[3] = bad_q.q_scales[0] = std::nanf("");
      bad_q.q_bf16[3] = 0x7fc0;
      std::vector<float> out = bad_q.Run(table());
      EXPECT_TRUE(std::isnan(out[0])) << c.Name();
      EXPECT_FALSE(std::isnan(out[20])) << c.Name();  // the second head
      AttendCase bad_v = c;
      if (IsCode(code)) {
        bad_v.v_scales[static_cast<size_t>(bad)] = std::nanf("");
      } else {
        const std::vector<float> nans(20, std::nanf(""));
        const std::vector<uint16_t> halves(20, 0x7fc0);
        const void* values = code == KvCode::kF32 ? static_cast<const void*>(nans.data()) : halves.data();
        StoreValue(code, 20, bad % kBlockTokens, values, bad_v.Value(bad / kBlockTokens));
      }
      out = bad_v.Run(table());
      EXPECT_TRUE(std::isnan(out[0])) << c.Name();
    }
  }
}

}  // namespace
}  // namespace lodestone::kernels
