// Rows of this host: the engine runs the batch, from the prompts to the last token.
#include <fmt/format.h>

#include "appliance/machine.h"
#include "host/energy.h"
#include "kernels/dispatch.h"
#include "lab/batch.h"
#include "lab/compare/targets.h"
#include "model/open_model.h"

namespace lodestone {
namespace {

// Prompts of any tokens will do: times of dense models do not depend on them.
std::vector<Request> RequestsOf(const CompareWorkload& workload, const ModelConfig& config, int batch) {
  std::vector<Request> requests;
  for (int user = 0; user < batch; ++user) {
    Request& request = requests.emplace_back();
    for (int64_t i = 0; i < workload.prompt_tokens; ++i) {
      request.prompt.push_back(static_cast<int32_t>((i * 31 + user * 17 + 1) % config.vocab));
    }
    request.max_tokens = workload.output_tokens;
    request.sampling_key = static_cast<uint64_t>(user);
    request.ignore_eos = true;
  }
  return requests;
}

Status FillRow(const CompareTarget& target, const MeasuredTarget& what, const CompareWorkload& workload, int batch,
               ComparedRow& row) {
  LODESTONE_ASSIGN_OR_RETURN(const kernels::KernelTable* table, kernels::SelectFromEnvironment());
  LODESTONE_ASSIGN_OR_RETURN(const int threads, ThreadsToUse(what.threads));
  LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, ParseRecipe(target.recipe));
  LODESTONE_ASSIGN_OR_RETURN(const Model model, OpenModel(what.model));
  BatchOptions options{.users = batch};
  options.context = workload.prompt_tokens + workload.output_tokens;
  const Demand demand =
      DemandOf(batch, options.micro_batches, options.context, workload.prompt_tokens, options.prefill_chunk);
  LODESTONE_ASSIGN_OR_RETURN(Placement placement, PlaceOn({}, model.config, recipe, demand));
  LODESTONE_ASSIGN_OR_RETURN(OpenedMachine machine,
                             OpenMachine({}, std::move(placement), {.compute = true, .threads = threads}));
  const int64_t pages = batch * PagesPerUser(options.context);
  LODESTONE_RETURN_IF_ERROR(machine.appliance->Configure(model.weights.get(), static_cast<int>(pages)));
  Result<EnergyMeter> meter = EnergyMeter::Open();
  LODESTONE_ASSIGN_OR_RETURN(const BatchResult result,
                             RunBatch(*machine.appliance, *machine.timeline, model.config, model.tokenizer, options,
                                      RequestsOf(workload, model.config, batch), [](size_t, const TokenEvent&) {}));
  const BatchRun& run = result.run;
  const double seconds = result.elapsed.seconds();
  if (!(seconds > 0)) return Invalid("no time passed");
  row.system = ComparedFigure{run.tokens_generated / seconds, {}, {}};
  if (run.ttft_s) row.ttft = ComparedFigure{*run.ttft_s, {}, {}};
  if (run.itl_s) row.tpot = ComparedFigure{*run.itl_s, {}, {}};
  row.power_basis = meter.ok() ? "measured" : meter.error().message;
  if (!meter.ok()) row.note = fmt::format("no power: {}", meter.error().message);
  if (meter.ok()) {
    const Result<double> joules = meter->JoulesSinceLast();
    if (joules.ok() && *joules > 0) row.watts = ComparedFigure{*joules / seconds, {}, {}};
    if (!joules.ok()) row.power_basis = joules.error().message;
  }
  row.source = fmt::format("one run on this host, {}, {} threads, {}", table->isa, threads, model.weights->Describe());
  Complete(row);
  return {};
}

}  // namespace

ComparedRow MeasuredRow(const CompareTarget& target, const MeasuredTarget& what, const CompareWorkload& workload,
                        int batch) {
  ComparedRow row = EmptyRow(target, workload, Provenance::kMeasured, batch);
  row.label = LabelOf(target, workload, "this host");
  row.machine = kThisHost;
  row.platform = "cpu";
  if (what.model != "random:" + workload.model) row.model = what.model;
  if (const Status status = FillRow(target, what, workload, batch, row); !status.ok()) {
    row.reason = status.error().message;
  }
  return row;
}

}  // namespace lodestone
