// Reads the `[[factors]]` of a file. Private to this folder.
#pragma once

#include "hardware/efficiency.h"
#include "hardware/table_reader.h"

namespace lodestone {

// Whose factors a file gives: those of the machine that it describes, or those that it names.
enum class EfficiencyOwner { kMachine, kNamed };

std::vector<EfficiencyEntry> ReadEfficiencyEntries(TableReader& parent, EfficiencyOwner owner,
                                                   std::vector<Error>& faults, size_t max_faults);

}  // namespace lodestone
