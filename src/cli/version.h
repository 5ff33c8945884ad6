// Which program this is.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace lodestone::cli {

std::string Version();   // "0.1.0"
std::string Commit();    // of the sources, abbreviated; empty where they were built outside a repository
std::string Compiler();  // "g++ 12.2.0"

// For a run record: version, commit, compiler, cpu, os, threads. Values that do not exist are left out.
std::vector<std::pair<std::string, std::string>> Environment();

}  // namespace lodestone::cli
