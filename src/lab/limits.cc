#include "lab/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <ctime>

#include "base/units.h"
#include "host/cpu.h"
#include "kernels/dispatch.h"
#include "lab/limits/probes.h"
#include "numerics/aligned_buffer.h"
#include "numerics/packed_matrix.h"

namespace lodestone {
namespace {

// Long enough that neither a barrier (< 1 µs) nor the clock (30 ns) counts; shorter than a time slice of the scheduler
// and often enough that some repetitions fall between the disturbances of other programs.
constexpr double kSeconds = 0.004;
constexpr int kRepetitions = 41;

// Rates of `work(passes)`, which does `units` of something a pass: the passes are doubled until the fastest of three
// tries takes long enough, then repeated.
template <typename Work>
RateSamples Measure(double units, const Work& work) {
  const auto seconds = [&work](int64_t passes) {
    const auto begin = std::chrono::steady_clock::now();
    work(passes);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  int64_t passes = 1;
  while (std::min({seconds(passes), seconds(passes), seconds(passes)}) < kSeconds) passes *= 2;
  std::vector<double> rates;
  for (int i = 0; i < kRepetitions; ++i) rates.push_back(units * static_cast<double>(passes) / seconds(passes));
  std::sort(rates.begin(), rates.end());
  return {rates.back(), rates[rates.size() / 2]};
}

struct Reader {
  limits::ReadFn read;
  const char* name;
};

Reader BestReader(const CpuFeatures& cpu) {
#if defined(LODESTONE_X86_LIMITS)
  if (cpu.avx512f) return {limits::kReadAvx512, "AVX-512"};
  if (cpu.avx2) return {limits::kReadAvx2, "AVX2"};
#endif
  (void)cpu;
  return {limits::kReadPlain, "64-bit"};
}

// Keeps the sums that the readers return alive.
std::atomic<uint64_t> sink{0};

// Reading `bytes` in all again and again: by one thread, and by each of all threads its own share.
RateSamples ReadRate(ThreadPool& pool, const Reader& reader, const std::byte* data, size_t bytes, int threads) {
  const size_t share = bytes / static_cast<size_t>(threads) / limits::kReadStep * limits::kReadStep;
  return Measure(static_cast<double>(share) * threads, [&](int64_t passes) {
    const auto read = [&](int64_t begin, int64_t end, int) {
      for (int64_t thread = begin; thread < end; ++thread) {
        for (int64_t i = 0; i < passes; ++i) sink += reader.read(data + static_cast<size_t>(thread) * share, share);
      }
    };
    threads == 1 ? read(0, 1, 0) : pool.ParallelFor(threads, read);
  });
}

struct Level {
  const char *key, *what;
  size_t bytes_a_thread;  // that stay in this level and not in the one before
  size_t bytes_of_one;    // of one thread alone
};

// Halves of a cache, since other data live there too; L3 is shared. DRAM: four times what the caches hold.
std::vector<Level> Levels(const HostInfo& host, int threads) {
  const auto size = [](const std::optional<int64_t>& bytes) { return static_cast<size_t>(bytes.value_or(0)); };
  const size_t l1 = size(host.l1d_bytes), l2 = size(host.l2_bytes), l3 = size(host.l3_bytes);
  const size_t count = static_cast<size_t>(threads);
  std::vector<Level> levels;
  if (l1 > 0) levels.push_back({"l1_bytes_per_s", "L1 read", l1 / 2, l1 / 2});
  if (l2 > 0) levels.push_back({"l2_bytes_per_s", "L2 read", l2 / 2, l2 / 2});
  // A share of L3 that fits L2 would measure L2.
  if (l3 > 0 && l3 / 2 > 2 * l2) {
    levels.push_back({"l3_bytes_per_s", "L3 read", std::max(l3 / 2 / count, 2 * l2), l3 / 2});
  }
  const size_t far = std::max(size_t{256} << 20, 4 * (l3 + l2 * count));
  levels.push_back({"dram_bytes_per_s", "DRAM read", far / count, far});
  return levels;
}

Status MeasureMemory(ThreadPool& pool, const HostInfo& host, const CpuFeatures& cpu, std::vector<LimitRow>& rows) {
  const std::vector<Level> levels = Levels(host, pool.threads());
  size_t bytes = 0;
  for (const Level& level : levels) {
    bytes = std::max({bytes, level.bytes_of_one, level.bytes_a_thread * static_cast<size_t>(pool.threads())});
  }
  if (bytes > static_cast<size_t>(host.memory_bytes) / 2) {
    return Infeasible(fmt::format("reading beyond the caches takes a buffer of {} and this host has {}",
                                  FormatBytes(static_cast<int64_t>(bytes)), FormatBytes(host.memory_bytes)));
  }
  AlignedBuffer buffer(bytes);  // asks for huge pages
  if (buffer.size() == 0) {
    return Infeasible(fmt::format("cannot allocate {}", FormatBytes(static_cast<int64_t>(bytes))));
  }
  // Each thread touches first what it will read.
  pool.ParallelFor(static_cast<int64_t>(bytes), [&buffer](int64_t begin, int64_t end, int) {
    std::memset(buffer.data() + begin, 1, static_cast<size_t>(end - begin));
  });
  const Reader reader = BestReader(cpu);
  for (const Level& level : levels) {
    LimitRow row{.key = level.key, .what = level.what, .unit = "B/s"};
    row.how =
        fmt::format("{} loads, {} a thread", reader.name, FormatBytes(static_cast<int64_t>(level.bytes_a_thread)));
    row.one = ReadRate(pool, reader, buffer.data(), level.bytes_of_one, 1);
    const size_t all = level.bytes_a_thread * static_cast<size_t>(pool.threads());
    row.all = pool.threads() == 1 ? row.one : ReadRate(pool, reader, buffer.data(), all, pool.threads());
    rows.push_back(std::move(row));
  }
  return {};
}

struct Unit {
  bool here;
  const char *key, *what, *how;
  limits::UnitProbe probe;
};

std::vector<Unit> Units(const CpuFeatures& cpu) {
#if defined(LODESTONE_X86_LIMITS)
  const bool avx2 = cpu.avx2 && cpu.fma, vnni = cpu.avx512f && cpu.avx512bw && cpu.avx512_vnni;
  const bool tiles = (cpu.amx_int8 || cpu.amx_bf16) && RequestAmxTiles().ok();
  return {
      {avx2 && !cpu.avx512f, "f32_ops_per_s", "f32 FMA", "AVX2 vfmadd", limits::kF32Avx2},
      {cpu.avx512f, "f32_ops_per_s", "f32 FMA", "AVX-512 vfmadd", limits::kF32Avx512},
      {avx2, "int8_avx2_ops_per_s", "int8 AVX2", "vpmaddubsw, widened every 8th", limits::kInt8Avx2},
      {vnni, "int8_vnni_ops_per_s", "int8 VNNI", "AVX-512 vpdpbusd", limits::kInt8Avx512},
      {tiles && cpu.amx_int8, "int8_amx_ops_per_s", "int8 AMX", "tdpbssd, 4 sums", limits::kInt8Amx},
      {tiles && cpu.amx_bf16, "bf16_amx_ops_per_s", "bf16 AMX", "tdpbf16ps, 4 sums", limits::kBf16Amx},
  };
#else
  (void)cpu;
  return {};
#endif
}

RateSamples UnitRate(ThreadPool& pool, const limits::UnitProbe& probe, int threads) {
  constexpr int64_t kRounds = 1000;  // a pass
  return Measure(probe.ops_per_round * static_cast<double>(kRounds) * threads, [&](int64_t passes) {
    const auto run = [&](int64_t, int64_t, int) { probe.run(kRounds * passes); };
    threads == 1 ? run(0, 1, 0) : pool.ParallelFor(threads, run);
  });
}

// Our int8·int4 matmul on a matrix that stays in L2 or close to it, with rows enough that arithmetic bounds it.
constexpr int kN = 1024, kK = 2048, kMatmulRows = 64;

RateSamples MatmulRate(ThreadPool& pool, const kernels::KernelTable& table, const PackedMatrix& w, int threads) {
  const std::vector<int8_t> x(size_t{kMatmulRows} * kK, 3);
  const std::vector<float> x_scales(kMatmulRows, 1.0f);
  std::vector<float> y(size_t{kMatmulRows} * kN);
  kernels::MatmulArgs args{};
  args.x = x.data();
  args.x_stride = kK;
  args.x_scales = x_scales.data();
  args.x_scales_stride = 1;
  args.w = w.codes.data();
  args.w_scales = reinterpret_cast<const float*>(w.scales.data());
  args.y = y.data();
  args.y_stride = kN;
  args.multiplier = 1;
  args.rows = kMatmulRows;
  args.n = kN;
  args.k = args.k_padded = args.group = kK;
  const auto run = [&](int64_t begin, int64_t end, int) {
    kernels::MatmulArgs piece = args;
    piece.panel_begin = static_cast<int32_t>(begin);
    piece.panel_end = static_cast<int32_t>(end);
    table.matmul_int8_int4(piece);
  };
  return Measure(2.0 * kMatmulRows * kN * kK, [&](int64_t passes) {
    for (int64_t i = 0; i < passes; ++i) threads == 1 ? run(0, w.panels(), 0) : pool.ParallelFor(w.panels(), run);
  });
}

Status MeasureUnits(ThreadPool& pool, const CpuFeatures& cpu, LimitsReport& report) {
  for (const Unit& unit : Units(cpu)) {
    if (!unit.here) continue;
    LimitRow row{.key = unit.key, .what = unit.what, .how = unit.how, .unit = "op/s"};
    row.one = UnitRate(pool, unit.probe, 1);
    row.all = pool.threads() == 1 ? row.one : UnitRate(pool, unit.probe, pool.threads());
    report.rows.push_back(std::move(row));
  }
  LODESTONE_ASSIGN_OR_RETURN(const kernels::KernelTable* table, kernels::SelectFromEnvironment());
  report.isa = table->isa;
  const RowReader weights = [](int o, std::span<float> row) -> Status {
    for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>((static_cast<size_t>(o) + i) % 15) - 7.0f;
    return {};
  };
  LODESTONE_ASSIGN_OR_RETURN(const PackedMatrix w, Pack({Code::kInt4, Scales::kChannel, 0}, kN, kK, weights));
  LimitRow row{.key = "int8_int4_ops_per_s", .what = "our int8·int4 matmul", .unit = "op/s", .in_file = false};
  row.how = fmt::format("{} kernel, {} rows, {} × {}", table->isa, kMatmulRows, kN, kK);
  row.one = MatmulRate(pool, *table, w, 1);
  row.all = pool.threads() == 1 ? row.one : MatmulRate(pool, *table, w, pool.threads());
  report.rows.push_back(std::move(row));
  return {};
}

std::string Today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  return fmt::format("{:04}-{:02}-{:02}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday);
}

Figure Measured(const LimitRow& row, const RateSamples& samples, const std::string& date) {
  return {.value = samples.best,
          .source = FieldSource::kMeasured,
          .note = fmt::format("lodestone bench limits, {}: {}; best of {}, median {:.4g}", date, row.how, kRepetitions,
                              samples.median)};
}

}  // namespace

Result<LimitsReport> MeasureLimits(ThreadPool& pool) {
  const HostInfo host = DescribeHost();
  const CpuFeatures cpu = DetectCpuFeatures();
  LimitsReport report;
  LODESTONE_RETURN_IF_ERROR(MeasureMemory(pool, host, cpu, report.rows));
  LODESTONE_RETURN_IF_ERROR(MeasureUnits(pool, cpu, report));

  HostLimits& limits = report.limits;
  limits.cpu_name = host.cpu_name;
  limits.threads = pool.threads();
  limits.measured_at = Today();
  if (host.l3_bytes) {
    limits.l3_bytes = Figure{.value = static_cast<double>(*host.l3_bytes),
                             .source = FieldSource::kMeasured,
                             .note = "as the kernel tells; shared"};
  }
  for (const HostRateField& field : HostRateFields()) {
    for (const LimitRow& row : report.rows) {
      if (row.key != field.key) continue;
      limits.*field.member =
          HostRate{Measured(row, row.one, limits.measured_at), Measured(row, row.all, limits.measured_at)};
    }
  }
  if (const HostRate* int8 = limits.int8_ops_per_s())
    report.share_of_int8 = report.rows.back().all.best / int8->all.value;
  return report;
}

}  // namespace lodestone
