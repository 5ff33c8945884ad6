#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/quote.h"
#include "host/cpu.h"
#include "lab/limits.h"

namespace lodestone {
namespace {

// The value of a variable that is set to something.
std::optional<std::string> Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace

Result<std::string> HostLimitsPath() {
  if (const auto cache = Environment("XDG_CACHE_HOME")) return *cache + "/lodestone/host.toml";
  if (const auto home = Environment("HOME")) return *home + "/.cache/lodestone/host.toml";
  return NotFound("neither XDG_CACHE_HOME nor HOME is set, so there is no folder for the limits of this host");
}

Status StoreHostLimits(const HostLimits& limits, const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) return IoError(fmt::format("{}: {}", folder.string(), error.message()));
  return WriteFileAtomically(path, ToToml(limits));
}

Result<StoredLimits> LoadHostLimits() {
  const Result<std::string> path = HostLimitsPath();
  if (!path.ok()) return StoredLimits{std::nullopt, path.error().message};
  return LoadHostLimits(*path);
}

Result<StoredLimits> LoadHostLimits(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return StoredLimits{std::nullopt, "the limits of this host are not measured: run 'lodestone bench limits'"};
  }
  LODESTONE_ASSIGN_OR_RETURN(HostLimits limits, ReadHostLimits(path));
  const HostInfo host = DescribeHost();
  if (limits.cpu_name != host.cpu_name || limits.threads != host.threads) {
    return StoredLimits{
        std::nullopt,
        fmt::format("{} is of {} with {} threads and this host is {} with {}: run 'lodestone bench limits'", path,
                    Quoted(limits.cpu_name), limits.threads, Quoted(host.cpu_name), host.threads)};
  }
  return StoredLimits{std::move(limits), ""};
}

}  // namespace lodestone
