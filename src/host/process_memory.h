// How much memory this process holds.
#pragma once

#include <cstdint>
#include <optional>

namespace lodestone {

// The most bytes that were resident at once so far, file mappings included; none where the kernel does not tell.
std::optional<int64_t> PeakResidentBytes();

}  // namespace lodestone
