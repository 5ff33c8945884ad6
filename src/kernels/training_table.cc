// Compiled without instruction-set flags, as dispatch.cc is.
#include "kernels/training_table.h"

#include <string_view>

#include "host/cpu.h"
#include "kernels/tables.h"

namespace lodestone::kernels {
namespace {

#if defined(LODESTONE_X86_KERNELS)
// AVX-512's, but for attention in bf16 where tiles multiply that.
const TrainingTable& AmxTraining() {
  static const TrainingTable table = [] {
    TrainingTable t = kAvx512Training;
    t.isa = "amx";
    const CpuFeatures cpu = DetectCpuFeatures();
    if (cpu.amx_bf16 && cpu.avx512_bf16) {
      t.attention_scratch = kAmxAttention.scratch;
      t.attention_forward = kAmxAttention.forward;
      t.attention_backward = kAmxAttention.backward;
    }
    return t;
  }();
  return table;
}
#endif

}  // namespace

const TrainingTable& TrainingTableFor([[maybe_unused]] const KernelTable& table) {
#if defined(LODESTONE_X86_KERNELS)
  const std::string_view isa = table.isa;
  if (isa == "amx") return AmxTraining();
  if (isa == "avx512") return kAvx512Training;
  if (isa == "avx2") return kAvx2Training;
#endif
  return kReferenceTraining;
}

}  // namespace lodestone::kernels
