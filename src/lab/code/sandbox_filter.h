// The filter of system calls that a program in the sandbox runs under (seccomp, classic BPF).
#pragma once

#include <linux/filter.h>

#include <vector>

namespace lodestone {

// Everything is allowed except: new processes (threads may be made), sockets, signals to others, namespaces and mounts,
// memory of other processes, files without a name, and the kernel's own administration. These fail with EPERM, so
// that Python raises an exception; a call of another architecture's numbers ends the process.
std::vector<sock_filter> SandboxFilter();

}  // namespace lodestone
