// Between the program and its MPI module: a table of C functions.
//
// The program is not linked to MPI: it starts on machines without it, and one program goes with any MPI whose module
// was built. The module is found by `lodestone_mpi`, and refused where its version is another one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lodestone {

inline constexpr uint32_t kMpiModuleVersion = 1;
inline constexpr const char* kMpiModuleEntry = "lodestone_mpi";

extern "C" {

// Functions return 0 or an error code of MPI, which `explain` puts into words. All are called by one thread.
struct MpiModule {
  uint32_t version;
  int (*open)(int* rank, int* ranks);
  void (*library)(char* text, size_t size);  // "Open MPI v4.1.4"
  int (*send)(const void* bytes, int64_t size, int to, int tag, uint64_t* ticket);
  int (*receive)(void* bytes, int64_t size, int from, int tag, uint64_t* ticket);
  int (*test)(uint64_t* ticket, int* done);
  void (*explain)(int code, char* text, size_t size);
  void (*close)();
};

using MpiModuleEntry = const MpiModule* (*)();

}  // extern "C"

}  // namespace lodestone
