#include "learn/mpi/load.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "base/quote.h"

namespace lodestone {
namespace {

constexpr const char* kModuleFile = "lodestone_mpi.so";

std::string InWords(const MpiModule& module, int code) {
  std::array<char, 256> text{};
  module.explain(code, text.data(), text.size());
  return text.data();
}

class MpiTransport final : public Transport {
 public:
  explicit MpiTransport(const MpiModule& module) : module_(module) {}

  Status Open() {
    if (const int code = module_.open(&rank_, &ranks_); code != 0) {
      return IoError(fmt::format("MPI cannot start: {}", InWords(module_, code)));
    }
    std::array<char, 128> library{};
    module_.library(library.data(), library.size());
    library_ = library.data();
    return {};
  }

  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }
  std::string Describe() const override { return fmt::format("MPI ({})", library_); }

  Result<Ticket> Send(std::span<const std::byte> bytes, int to, int tag) override {
    Ticket ticket = 0;
    const int code = module_.send(bytes.data(), static_cast<int64_t>(bytes.size()), to, tag, &ticket);
    if (code != 0) return IoError(fmt::format("MPI cannot send to rank {}: {}", to, InWords(module_, code)));
    return ticket;
  }
  Result<Ticket> Receive(std::span<std::byte> bytes, int from, int tag) override {
    Ticket ticket = 0;
    const int code = module_.receive(bytes.data(), static_cast<int64_t>(bytes.size()), from, tag, &ticket);
    if (code != 0) return IoError(fmt::format("MPI cannot receive from rank {}: {}", from, InWords(module_, code)));
    return ticket;
  }
  Result<bool> Done(Ticket& ticket) override {
    int done = 0;
    const int code = module_.test(&ticket, &done);
    if (code != 0) return IoError(fmt::format("MPI lost a message: {}", InWords(module_, code)));
    return done != 0;
  }
  void Close() override { module_.close(); }

 private:
  const MpiModule& module_;
  int rank_ = 0, ranks_ = 1;
  std::string library_;
};

}  // namespace

std::vector<std::filesystem::path> MpiModulePaths() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const std::filesystem::path folder = program.parent_path();
  return {folder / kModuleFile, (folder / LODESTONE_MODULES_FROM_PROGRAM / kModuleFile).lexically_normal()};
}

Result<const MpiModule*> LoadMpiModule(const std::vector<std::filesystem::path>& paths) {
  std::vector<std::string> tried;
  for (const std::filesystem::path& path : paths) {
    tried.push_back(path.string());
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) continue;
    // RTLD_GLOBAL: plug-ins that MPI loads in turn look for MPI's own symbols. Never closed: MPI starts once a process.
    void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (handle == nullptr) {
      return Unsupported(
          fmt::format("the MPI module cannot be loaded: {}; it needs the MPI that it was built with", dlerror()));
    }
    const auto entry = reinterpret_cast<MpiModuleEntry>(dlsym(handle, kMpiModuleEntry));
    const MpiModule* const module = entry == nullptr ? nullptr : entry();
    if (module == nullptr || module->version != kMpiModuleVersion) {
      return Unsupported(fmt::format("{}: not an MPI module of version {}, as this program expects; build both anew",
                                     path.string(), kMpiModuleVersion));
    }
    return module;
  }
  return NotFound(
      fmt::format("started by mpirun, but there is no MPI module: tried {}. It is built where CMake finds MPI (Debian: "
                  "libopenmpi-dev). Or start the program without mpirun",
                  fmt::join(tried, ", ")));
}

Result<std::unique_ptr<Transport>> OpenMpi(const MpiModule& module) {
  auto transport = std::make_unique<MpiTransport>(module);
  LODESTONE_RETURN_IF_ERROR(transport->Open());
  return std::unique_ptr<Transport>(std::move(transport));
}

}  // namespace lodestone
