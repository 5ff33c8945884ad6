// Finds the MPI module and makes a transport of it.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "base/status.h"
#include "learn/mpi/module.h"
#include "learn/ranks/transport.h"

namespace lodestone {

// Where the module may be, in order: beside the program, as in a build folder; where it is installed.
std::vector<std::filesystem::path> MpiModulePaths();

// Refused: no module at any of `paths`, one that the system cannot load (its MPI is not there), one of another version.
Result<const MpiModule*> LoadMpiModule(const std::vector<std::filesystem::path>& paths);

// Starts MPI in the calling thread, which alone may use the transport.
Result<std::unique_ptr<Transport>> OpenMpi(const MpiModule& module);

}  // namespace lodestone
