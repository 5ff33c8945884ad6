#include <fmt/format.h>

#include "cli/command.h"
#include "cli/output.h"
#include "kernels/dispatch.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

using kernels::Candidate;
using kernels::KernelTable;
using AnyFn = void (*)();

struct Operator {
  const char* name;
  AnyFn (*of)(const KernelTable& table);
};

template <auto kMember>
AnyFn Of(const KernelTable& table) {
  return reinterpret_cast<AnyFn>(table.*kMember);
}

// As kernels/kernel_table.h lists them; input · weights.
constexpr Operator kOperators[] = {
    {"matmul f32", Of<&KernelTable::matmul_f32>},
    {"matmul bf16", Of<&KernelTable::matmul_bf16>},
    {"matmul bf16·int4", Of<&KernelTable::matmul_bf16_int4>},
    {"matmul bf16·int8", Of<&KernelTable::matmul_bf16_int8>},
    {"matmul int8·int4", Of<&KernelTable::matmul_int8_int4>},
    {"matmul int8·int8", Of<&KernelTable::matmul_int8_int8>},
    {"norm", Of<&KernelTable::norm>},
    {"quantize", Of<&KernelTable::quantize>},
    {"to bf16", Of<&KernelTable::to_bf16>},
    {"add", Of<&KernelTable::add>},
    {"gate", Of<&KernelTable::gate>},
    {"rope", Of<&KernelTable::rope>},
    {"attend", Of<&KernelTable::attend>},
};
// A table is its name and one pointer an operator: a new operator must be listed above.
static_assert(sizeof(KernelTable) == (1 + std::size(kOperators)) * sizeof(AnyFn));

// The instruction set that a function was written for: a table may take over those of a plainer one, which comes later
// in the list.
const char* IsaOf(const Operator& op, const KernelTable& table) {
  const char* isa = table.isa;
  for (const Candidate& candidate : kernels::Candidates()) {
    if (op.of(*candidate.table) == op.of(table)) isa = candidate.table->isa;
  }
  return isa;
}

class KernelsCommand final : public Command {
 public:
  CommandLine Line() override {
    return {.name = "kernels",
            .summary = "Which instruction set computes each operator here, and why not another.",
            .details =
                "The first instruction set of the list that can run here is chosen; LODESTONE_ISA forces one. All give "
                "the same bits in what DESIGN calls exact.",
            .options = {{"--json", "", "The same as JSON.", &json_}},
            .examples = {{"what is chosen here", "lodestone kernels"},
                         {"with AVX2 forced", "LODESTONE_ISA=avx2 lodestone kernels"}}};
  }

  Status Run() override {
    LODESTONE_ASSIGN_OR_RETURN(const KernelTable* chosen, kernels::SelectFromEnvironment());
    json_ ? PrintJson(ToJson(*chosen)) : Show(*chosen);
    return {};
  }

 private:
  static std::string Verdict(const Candidate& candidate, const KernelTable& chosen) {
    if (candidate.table == &chosen) return "chosen";
    return candidate.declined.empty() ? "runs here, not chosen" : candidate.declined;
  }

  static Json ToJson(const KernelTable& chosen) {
    Json sets, operators, json;
    for (const Candidate& candidate : kernels::Candidates()) {
      sets.Set(candidate.table->isa, Verdict(candidate, chosen));
    }
    for (const Operator& op : kOperators) operators.Set(op.name, IsaOf(op, chosen));
    json.Set("isa", chosen.isa).Set("instruction_sets", std::move(sets)).Set("operators", std::move(operators));
    return json;
  }

  static void Show(const KernelTable& chosen) {
    std::vector<std::vector<std::string>> sets{{"instruction set", "here"}};
    for (const Candidate& candidate : kernels::Candidates()) {
      sets.push_back({candidate.table->isa, Verdict(candidate, chosen)});
    }
    std::vector<std::vector<std::string>> operators{{"operator", "computed by"}};
    for (const Operator& op : kOperators) operators.push_back({op.name, IsaOf(op, chosen)});
    Print(RenderTable(sets) + "\n" + RenderTable(operators));
  }

  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeKernels() { return std::make_unique<KernelsCommand>(); }

}  // namespace lodestone::cli
