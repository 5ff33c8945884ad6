#include "cli/version.h"

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/output.h"
#include "host/cpu.h"
#include "host/thread_pool.h"
#include "kernels/dispatch.h"
#include "lodestone_commit.h"

namespace lodestone::cli {

std::string Version() { return LODESTONE_VERSION; }
std::string Commit() { return LODESTONE_COMMIT; }

std::string Compiler() {
#if defined(__clang__)
  return fmt::format("clang++ {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

std::vector<std::pair<std::string, std::string>> Environment() {
  const HostInfo host = DescribeHost();
  std::vector<std::pair<std::string, std::string>> environment{{"version", Version()}};
  if (!Commit().empty()) environment.emplace_back("commit", Commit());
  environment.emplace_back("compiler", Compiler());
  environment.emplace_back("cpu", host.cpu_name);
  environment.emplace_back("os", host.os);
  environment.emplace_back("host_threads", fmt::format("{}", host.threads));
  return environment;
}

namespace {

class VersionCommand final : public Command {
 public:
  CommandLine Line() override {
    return {.name = "version",
            .summary = "The version, the compiler and the instruction set that is chosen here.",
            .options = {{"--json", "", "The same as JSON.", &json_}},
            .examples = {{"what this program is", "lodestone version"},
                         {"with the plain reference kernels", "LODESTONE_ISA=reference lodestone version"}}};
  }

  Status Run() override {
    LODESTONE_ASSIGN_OR_RETURN(const kernels::KernelTable* table, kernels::SelectFromEnvironment());
    if (json_) {
      Json out;
      for (const auto& [name, value] : Environment()) out.Set(name, value);
      out.Set("isa", table->isa);
      PrintJson(out);
      return {};
    }
    Print(fmt::format("lodestone {}{}\n", Version(), Commit().empty() ? "" : fmt::format(" ({})", Commit())));
    Print(fmt::format("built with {}, instruction set {}, {} threads\n", Compiler(), table->isa, AvailableThreads()));
    return {};
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeVersion() { return std::make_unique<VersionCommand>(); }

}  // namespace lodestone::cli
