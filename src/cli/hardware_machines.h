// Machines that are known by their data sheets: listed, shown, and a user's file checked.
#pragma once

#include <string>

#include "base/status.h"

namespace lodestone::cli {

enum class HardwareFormat { kText, kJson, kCsv };

// One line each: the machines of the catalogue, and its appliances by their cards.
Status ListMachines(HardwareFormat format);

// Every figure of one, its ridge points and the efficiency factors under a stack (empty: none named). A name of the
// catalogue or a file.
Status ShowMachine(const std::string& name, const std::string& stack, HardwareFormat format);

// Reads the file of a machine, an appliance, a host or efficiency factors; every fault of a machine with its line, or
// remarks and what its estimates lack. kInvalid where it has faults.
Status CheckMachine(const std::string& path, HardwareFormat format);

}  // namespace lodestone::cli
