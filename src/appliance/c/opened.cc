#include "appliance/c/opened.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <string>
#include <utility>
#include <vector>

#include "appliance/c/sized_struct.h"
#include "appliance/pass_check.h"

namespace lodestone {
namespace {

constexpr int kMaxThreads = 1024;

Status CheckOption(const char* name, int32_t value, int32_t largest) {
  if (value >= 0 && value <= largest) return {};
  return Invalid(fmt::format("{} is {}, expected 0 to {}", name, value, largest));
}

Result<MachineOptions> OptionsOf(const lodestone_appliance_options& given, bool simulated) {
  LODESTONE_RETURN_IF_ERROR(CheckOption("threads", given.threads, kMaxThreads));
  LODESTONE_RETURN_IF_ERROR(CheckOption("timing_only", given.timing_only, 1));
  LODESTONE_RETURN_IF_ERROR(CheckOption("transfers", given.transfers, LODESTONE_TRANSFERS_HOST));
  LODESTONE_RETURN_IF_ERROR(CheckOption("fidelity", given.fidelity, LODESTONE_FIDELITY_IDEAL));
  if (!simulated && (given.timing_only != 0 || given.transfers != 0 || given.fidelity != 0)) {
    return Invalid("timing_only, transfers and fidelity are for simulated appliances; 'cpu' is this host");
  }
  MachineOptions options;
  options.compute = given.timing_only == 0;
  if (given.transfers == LODESTONE_TRANSFERS_HOST) options.transfers = Transfers::kHost;
  if (given.fidelity == LODESTONE_FIDELITY_IDEAL) options.fidelity = Fidelity::kIdeal;
  if (options.compute) {
    const std::optional<int64_t> threads = given.threads > 0 ? std::optional<int64_t>(given.threads) : std::nullopt;
    LODESTONE_ASSIGN_OR_RETURN(options.threads, ThreadsToUse(threads));
  }
  return options;
}

Result<Recipe> RecipeOf(const lodestone_demand& demand, const ModelConfig& config) {
  if (demand.recipe != nullptr) return ParseRecipe(demand.recipe);
  if (config.stored) return ParseRecipe(config.stored->recipe);
  return Invalid(fmt::format("'{}' states no recipe of its own: name one, such as w8a8", config.name));
}

// What is missing from the weights may be what a static recipe cannot do without.
Error Explain(Error error, const Recipe& recipe) {
  if (error.code == ErrorCode::kNotFound && recipe.activations.scales == Scales::kStatic) {
    error.message +=
        fmt::format("; '{}' needs a checkpoint with step sizes, as 'lodestone quantize' writes", recipe.name);
  }
  return error;
}

Result<Demand> DemandOf(const lodestone_demand& given) {
  if (given.decode_rows < 0 || given.decode_rows > given.rows_per_pass) {
    return Invalid(fmt::format("decode_rows is {}, expected 0 to rows_per_pass, which is {}", given.decode_rows,
                               given.rows_per_pass));
  }
  const int most = std::min(given.users, given.rows_per_pass);
  return Demand{.users = given.users,
                .context = given.context,
                .rows_per_pass = given.rows_per_pass,
                .decode_rows = given.decode_rows > 0 ? given.decode_rows : most};
}

// None, or more than the largest pass: before anything is read from them.
Status CheckRowCount(const lodestone_pass& given, int rows_per_pass) {
  if (given.row_count == 0) return Invalid(fmt::format("pass {} has no rows", given.id));
  if (given.row_count <= static_cast<size_t>(rows_per_pass)) return {};
  return Invalid(fmt::format("pass {} has {} rows, but the appliance was configured for passes of at most {}", given.id,
                             given.row_count, rows_per_pass));
}

Result<std::vector<Row>> RowsOf(const lodestone_pass& given) {
  std::vector<Row> rows;
  rows.reserve(given.row_count);
  for (size_t i = 0; i < given.row_count; ++i) {
    const lodestone_row& row = given.rows[i];
    if (row.wants_logits != 0 && row.wants_logits != 1) {
      return Invalid(
          fmt::format("pass {}, row {}: wants_logits is {}, expected 0 or 1", given.id, i, row.wants_logits));
    }
    rows.push_back({row.sequence, row.position, row.token, row.wants_logits == 1});
  }
  return rows;
}

}  // namespace

Status CheckArgument(const void* argument, const char* name) {
  return argument != nullptr ? Status() : Invalid(fmt::format("{} is NULL", name));
}

Status CheckArray(const void* array, size_t count, size_t most, const char* name) {
  if (count > most) return Invalid(fmt::format("{} has {} entries, expected at most {}", name, count, most));
  return count == 0 ? Status() : CheckArgument(array, name);
}

Result<std::shared_ptr<OpenedAppliance>> OpenedAppliance::Open(const char* name,
                                                               const lodestone_appliance_options* options) {
  auto opened = std::make_shared<OpenedAppliance>();
  LODESTONE_ASSIGN_OR_RETURN(opened->spec_, OpenAppliance(name));
  lodestone_appliance_options given{};
  if (options != nullptr) {
    LODESTONE_ASSIGN_OR_RETURN(given, ReadStruct(options));
  }
  LODESTONE_ASSIGN_OR_RETURN(opened->options_, OptionsOf(given, opened->simulated()));
  return opened;
}

Answer OpenedAppliance::Configure(std::shared_ptr<OpenedModel> model, const lodestone_demand& given) {
  if (configured()) return Invalid("the appliance is already configured; open another one for another model");
  const ModelConfig& config = model->model.config;
  if (options_.compute && model->model.weights == nullptr) {
    return Invalid(
        fmt::format("'{}' was opened as a shape, which has no weights: open it with lodestone_model_open, or the "
                    "appliance with timing_only",
                    config.name));
  }
  LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, RecipeOf(given, config));
  LODESTONE_ASSIGN_OR_RETURN(const Demand demand, DemandOf(given));
  LODESTONE_ASSIGN_OR_RETURN(Placement placement, PlaceOn(spec_, config, recipe, demand));
  const int64_t pages_per_user = PagesPerUser(demand.context), pages = demand.users * pages_per_user;
  if (pages > INT_MAX) return Infeasible(fmt::format("{} KV pages, expected at most {}", pages, INT_MAX));

  // The machine is this appliance's only once all went well: a refusal can be followed by another demand.
  LODESTONE_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(spec_, std::move(placement), options_));
  const Status loaded = machine.appliance->Configure(model->model.weights.get(), static_cast<int>(pages));
  if (!loaded.ok()) return Explain(loaded.error(), recipe);
  rows_per_pass_ = demand.rows_per_pass;
  pages_ = static_cast<int>(pages);
  pages_per_user_ = static_cast<int>(pages_per_user);
  model_ = std::move(model);
  machine_.emplace(std::move(machine));
  return {};
}

Answer OpenedAppliance::Submit(const lodestone_pass& given) {
  LODESTONE_RETURN_IF_ERROR(CheckRowCount(given, rows_per_pass_));
  LODESTONE_RETURN_IF_ERROR(CheckArgument(given.rows, "rows"));
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<Row> rows, RowsOf(given));
  Pass pass{.id = given.id, .load = LoadOf(rows), .rows = rows, .page_table = {}};
  if (options_.compute) {
    LODESTONE_RETURN_IF_ERROR(SubmitWithPages(pass, given));
  } else {
    LODESTONE_RETURN_IF_ERROR(CheckPositions(pass, model_->model.config.max_positions));
    pass.rows = {};
    LODESTONE_RETURN_IF_ERROR(machine_->appliance->Submit(pass));
  }
  inside_.push_back(given.id);
  return {};
}

Status OpenedAppliance::SubmitWithPages(Pass& pass, const lodestone_pass& given) {
  // Every sequence of the table has a row; so neither a wild shape is read nor does the product overflow.
  if (given.sequences > given.row_count || given.pages_per_sequence > INT_MAX) {
    return Invalid(fmt::format("pass {} has a page table of {} sequences × {} pages for {} rows", given.id,
                               given.sequences, given.pages_per_sequence, given.row_count));
  }
  LODESTONE_RETURN_IF_ERROR(CheckArgument(given.page_table, "page_table"));
  LODESTONE_RETURN_IF_ERROR(
      CheckArray(given.page_copies, given.page_copy_count, static_cast<size_t>(pages_), "page_copies"));
  pass.page_table = std::span(given.page_table, given.sequences * given.pages_per_sequence);
  pass.pages_per_sequence = static_cast<int>(given.pages_per_sequence);
  std::vector<PageCopy> copies;
  copies.reserve(given.page_copy_count);
  for (size_t i = 0; i < given.page_copy_count; ++i) {
    copies.push_back({given.page_copies[i].from, given.page_copies[i].to});
  }
  pass.page_copies = copies;
  return machine_->appliance->Submit(pass);
}

Answer OpenedAppliance::Next(lodestone_done& done) {
  if (inside_.empty()) return {LODESTONE_EMPTY, "no pass is inside the appliance; submit one first"};
  done.id = inside_.front();
  inside_.pop_front();
  logits_ = {};
  LODESTONE_ASSIGN_OR_RETURN(std::optional<Done> next, machine_->appliance->Next());
  if (!next) return {LODESTONE_INTERNAL, fmt::format("pass {} was lost", done.id)};
  logits_ = std::move(next->logits);
  if (logits_.rows > 0) {
    done.logits = logits_.data.data();
    done.logit_rows = static_cast<size_t>(logits_.rows);
    done.vocab = static_cast<size_t>(logits_.width);
  }
  done.submitted_ps = next->submitted.ps;
  done.finished_ps = next->finished.ps;
  return {};
}

void OpenedAppliance::Close() {
  closed_ = true;
  machine_.reset();
  model_.reset();
}

lodestone_appliance_info OpenedAppliance::Describe() const {
  lodestone_appliance_info info{};
  info.computes = options_.compute ? 1 : 0;
  info.simulated = simulated() ? 1 : 0;
  if (!configured()) return info;
  const Placement& placement = cards().placement();
  info.configured = 1;
  info.cards = placement.cards;
  info.cards_used = placement.cards_used;
  info.stages = static_cast<int32_t>(placement.stages.size());
  info.max_in_flight = cards().max_in_flight();
  info.in_flight = static_cast<int32_t>(inside_.size());
  info.pages = pages_;
  info.pages_per_user = pages_per_user_;
  info.page_positions = static_cast<int32_t>(kPagePositions);
  info.max_users = placement.max_users;
  info.rows_per_pass = rows_per_pass_;
  info.vocab = model_->model.config.vocab;
  info.max_positions = model_->model.config.max_positions;
  info.now_ps = cards().now().ps;
  return info;
}

}  // namespace lodestone
