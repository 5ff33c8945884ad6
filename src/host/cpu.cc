// Feature probes. Compiled without instruction-set flags: this code runs on every processor.
#include "host/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#endif

namespace lodestone {

#if defined(__x86_64__)
namespace {

struct Registers {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// All zero where the processor lacks the leaf.
Registers Cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r;
  if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

constexpr bool Bit(uint64_t value, int bit) { return ((value >> bit) & 1) != 0; }
constexpr bool AllOf(uint64_t value, uint64_t mask) { return (value & mask) == mask; }

// XCR0: the register states that the operating system saves. Written in assembly since the intrinsic needs -mxsave.
uint64_t SavedStates() {
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

}  // namespace

CpuFeatures DetectCpuFeatures() {
  CpuFeatures f;
  const Registers basic = Cpuid(1, 0);
  if (!Bit(basic.ecx, 27)) return f;  // OSXSAVE: without it XGETBV faults
  constexpr uint64_t kYmm = 0x6;      // XMM, YMM
  constexpr uint64_t kZmm = 0xe6;     // and the mask registers, upper halves and ZMM16..31
  constexpr uint64_t kTiles = 0x60000;
  const uint64_t saved = SavedStates();
  const Registers extended = Cpuid(7, 0);
  if (AllOf(saved, kYmm) && Bit(basic.ecx, 28)) {
    f.avx2 = Bit(extended.ebx, 5);
    f.fma = Bit(basic.ecx, 12);
    f.f16c = Bit(basic.ecx, 29);
  }
  if (AllOf(saved, kZmm) && Bit(extended.ebx, 16)) {
    f.avx512f = true;
    f.avx512dq = Bit(extended.ebx, 17);
    f.avx512bw = Bit(extended.ebx, 30);
    f.avx512vl = Bit(extended.ebx, 31);
    f.avx512_vnni = Bit(extended.ecx, 11);
    f.avx512_bf16 = extended.eax >= 1 && Bit(Cpuid(7, 1).eax, 5);
  }
  if (AllOf(saved, kTiles) && Bit(extended.edx, 24)) {
    f.amx_tile = true;
    f.amx_int8 = Bit(extended.edx, 25);
    f.amx_bf16 = Bit(extended.edx, 22);
  }
  return f;
}

Status RequestAmxTiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  static const int refused = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0 ? 0 : errno;
  if (refused == 0) return {};
  return Unsupported(
      fmt::format("the system refuses the tile registers (arch_prctl ARCH_REQ_XCOMP_PERM: {})", strerror(refused)));
}

#else

CpuFeatures DetectCpuFeatures() { return {}; }
Status RequestAmxTiles() { return Unsupported("this processor has no tile registers"); }

#endif

}  // namespace lodestone
