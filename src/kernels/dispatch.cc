// Compiled without instruction-set flags: this code chooses among the others and runs on every processor.
#include "kernels/dispatch.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <utility>
#include <vector>

#include "host/cpu.h"
#include "kernels/tables.h"

namespace lodestone::kernels {
namespace {

using Need = std::pair<bool, std::string_view>;  // present, name

// "this processor lacks avx512_vnni, avx512bw"; empty if nothing is missing.
template <size_t kCount>
std::string Missing(const std::array<Need, kCount>& needs) {
  std::string names;
  for (const auto& [present, name] : needs) {
    if (!present) names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  }
  return names.empty() ? "" : fmt::format("this processor lacks {}", names);
}

#if defined(LODESTONE_X86_KERNELS)
// The AVX-512 kernels, but for the two matmuls that tiles do faster.
const KernelTable& AmxTable() {
  static const KernelTable table = [] {
    KernelTable t = kAvx512Table;
    t.isa = "amx";
    t.matmul_int8_int4 = kAmxMatmuls.int8_int4;
    t.matmul_int8_int8 = kAmxMatmuls.int8_int8;
    return t;
  }();
  return table;
}

// Asks the system for the tile registers only where nothing else is missing.
std::string AmxDeclined(const CpuFeatures& cpu, const std::string& avx512_declined) {
  std::string missing = Missing(std::array<Need, 2>{{{cpu.amx_tile, "amx_tile"}, {cpu.amx_int8, "amx_int8"}}});
  if (!missing.empty()) return missing;
  if (!avx512_declined.empty()) return avx512_declined;
  const Status permitted = RequestAmxTiles();
  return permitted.ok() ? "" : permitted.error().message;
}
#endif

std::vector<Candidate> FindCandidates() {
  std::vector<Candidate> candidates;
#if defined(LODESTONE_X86_KERNELS)
  const CpuFeatures cpu = DetectCpuFeatures();
  const std::string avx512_declined = Missing(std::array<Need, 8>{{{cpu.avx512f, "avx512f"},
                                                                   {cpu.avx512bw, "avx512bw"},
                                                                   {cpu.avx512vl, "avx512vl"},
                                                                   {cpu.avx512dq, "avx512dq"},
                                                                   {cpu.avx512_vnni, "avx512_vnni"},
                                                                   {cpu.avx2, "avx2"},
                                                                   {cpu.fma, "fma"},
                                                                   {cpu.f16c, "f16c"}}});
  candidates.push_back({&AmxTable(), AmxDeclined(cpu, avx512_declined)});
  candidates.push_back({&kAvx512Table, avx512_declined});
  candidates.push_back(
      {&kAvx2Table, Missing(std::array<Need, 3>{{{cpu.avx2, "avx2"}, {cpu.fma, "fma"}, {cpu.f16c, "f16c"}}})});
#endif
  candidates.push_back({&kReferenceTable, ""});
  return candidates;
}

std::string Runnable() {
  std::string names;
  for (const Candidate& candidate : Candidates()) {
    if (candidate.declined.empty()) names += fmt::format("{}{}", names.empty() ? "" : ", ", candidate.table->isa);
  }
  return names;
}

}  // namespace

std::span<const Candidate> Candidates() {
  static const std::vector<Candidate> candidates = FindCandidates();
  return candidates;
}

Result<const KernelTable*> Select(std::string_view forced) {
  for (const Candidate& candidate : Candidates()) {
    if (forced.empty() ? candidate.declined.empty() : forced == candidate.table->isa) {
      if (candidate.declined.empty()) return candidate.table;
      return Unsupported(fmt::format("instruction set '{}' cannot run here: {}; these can: {}", forced,
                                     candidate.declined, Runnable()));
    }
  }
  return NotFound(fmt::format("no instruction set is called '{}'; these can run here: {}", forced, Runnable()));
}

Result<const KernelTable*> SelectFromEnvironment() {
  const char* forced = std::getenv("LODESTONE_ISA");
  auto table = Select(forced != nullptr ? forced : "");
  if (table.ok()) return table;
  return Error{table.error().code, fmt::format("LODESTONE_ISA: {}", table.error().message)};
}

}  // namespace lodestone::kernels
