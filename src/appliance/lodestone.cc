// The calls of the C interface: handles to objects, structs to values, errors to results.
#include "appliance/lodestone.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "appliance/c/answer.h"
#include "appliance/c/handles.h"
#include "appliance/c/opened.h"
#include "appliance/c/sized_struct.h"

namespace lodestone {
namespace {

using OpenHandles = Handles<OpenedModel, OpenedAppliance>;

// Never destroyed: other threads may still call while the process ends.
OpenHandles& Open() {
  static OpenHandles& handles = *new OpenHandles;
  return handles;
}

template <typename Handle>
uint64_t NumberOf(Handle* handle) {
  static_assert(sizeof(uintptr_t) == sizeof(uint64_t));
  return reinterpret_cast<uintptr_t>(handle);
}

template <typename Kind, typename Handle>
void Give(std::shared_ptr<Kind> object, Handle** handle) {
  *handle = reinterpret_cast<Handle*>(Open().Add(std::move(object)));
}

// The appliance of a handle, and no other call on it until this goes.
struct Held {
  std::shared_ptr<OpenedAppliance> appliance;
  std::unique_lock<std::mutex> lock;  // goes before what it locks
  OpenedAppliance* operator->() const { return appliance.get(); }
};

Result<Held> Hold(lodestone_appliance* handle) {
  Held held;
  LODESTONE_ASSIGN_OR_RETURN(held.appliance, Open().Find<OpenedAppliance>(NumberOf(handle), "an appliance"));
  held.lock = std::unique_lock(held->mutex());
  if (held->closed()) return Invalid("expected an appliance, found a handle that was closed");
  return held;
}

Result<Held> HoldConfigured(lodestone_appliance* handle) {
  LODESTONE_ASSIGN_OR_RETURN(Held held, Hold(handle));
  if (!held->configured()) return Invalid("the appliance is not configured; call lodestone_appliance_configure first");
  return held;
}

Result<std::shared_ptr<OpenedModel>> FindModel(lodestone_model* handle) {
  return Open().Find<OpenedModel>(NumberOf(handle), "a model");
}

Result<std::shared_ptr<const Tokenizer>> TokenizerOf(lodestone_model* handle) {
  LODESTONE_ASSIGN_OR_RETURN(const auto opened, FindModel(handle));
  if (opened->model.tokenizer == nullptr) {
    return Invalid(fmt::format("'{}' was opened as a shape, which has no tokenizer", opened->model.name));
  }
  return opened->model.tokenizer;
}

Answer OpenModelAs(const char* name, bool weights, lodestone_model** handle) {
  LODESTONE_RETURN_IF_ERROR(CheckArgument(handle, "model"));
  *handle = nullptr;
  LODESTONE_RETURN_IF_ERROR(CheckArgument(name, "name"));
  auto opened = std::make_shared<OpenedModel>();
  if (weights) {
    LODESTONE_ASSIGN_OR_RETURN(opened->model, OpenModel(name));
  } else {
    LODESTONE_ASSIGN_OR_RETURN(opened->model.config, OpenShape(name));
    opened->model.name = name;
  }
  Give(std::move(opened), handle);
  return {};
}

Status CheckIndex(size_t index, size_t count, const char* what) {
  if (index < count) return {};
  return Invalid(fmt::format("{} {} of {}; the first is 0", what, index, count));
}

}  // namespace
}  // namespace lodestone

using namespace lodestone;

lodestone_result lodestone_model_open(const char* name, lodestone_model** model) {
  return Call([&] { return OpenModelAs(name, true, model); });
}

lodestone_result lodestone_model_open_shape(const char* name, lodestone_model** model) {
  return Call([&] { return OpenModelAs(name, false, model); });
}

lodestone_result lodestone_model_close(lodestone_model* model) {
  return Call([&]() -> Answer { return Open().Remove<OpenedModel>(NumberOf(model), "a model").status(); });
}

lodestone_result lodestone_model_describe(lodestone_model* model, lodestone_model_info* info) {
  return Call([&]() -> Answer {
    LODESTONE_ASSIGN_OR_RETURN(const auto opened, FindModel(model));
    const ModelConfig& config = opened->model.config;
    lodestone_model_info found{};
    found.name = opened->model.name.c_str();
    found.eos_tokens = config.eos_ids.data();
    found.eos_count = config.eos_ids.size();
    found.max_positions = config.max_positions;
    found.vocab = config.vocab;
    found.layers = config.layers;
    found.hidden = config.hidden;
    found.bos_token = config.bos_id.value_or(-1);
    return WriteStruct(found, info);
  });
}

lodestone_result lodestone_model_encode(lodestone_model* model, const char* text, int32_t* tokens, size_t capacity,
                                        size_t* count) {
  return Call([&]() -> Answer {
    LODESTONE_ASSIGN_OR_RETURN(const auto tokenizer, TokenizerOf(model));
    LODESTONE_RETURN_IF_ERROR(CheckArgument(text, "text"));
    LODESTONE_RETURN_IF_ERROR(CheckArgument(count, "count"));
    if (capacity > 0) LODESTONE_RETURN_IF_ERROR(CheckArgument(tokens, "tokens"));
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenizer->Encode(text));
    *count = ids.size();
    if (ids.size() > capacity) {
      return Infeasible(fmt::format("the text has {} tokens, there is room for {}", ids.size(), capacity));
    }
    std::copy(ids.begin(), ids.end(), tokens);
    return {};
  });
}

lodestone_result lodestone_model_decode(lodestone_model* model, const int32_t* tokens, size_t count, char* text,
                                        size_t capacity, size_t* length) {
  return Call([&]() -> Answer {
    LODESTONE_ASSIGN_OR_RETURN(const auto tokenizer, TokenizerOf(model));
    LODESTONE_RETURN_IF_ERROR(CheckArray(tokens, count, INT_MAX, "tokens"));
    LODESTONE_RETURN_IF_ERROR(CheckArgument(length, "length"));
    if (capacity > 0) LODESTONE_RETURN_IF_ERROR(CheckArgument(text, "text"));
    const std::string decoded = tokenizer->Decode(std::span(tokens, count));
    *length = decoded.size();
    if (decoded.size() + 1 > capacity) {
      return Infeasible(
          fmt::format("the text needs {} bytes with its NUL, there is room for {}", decoded.size() + 1, capacity));
    }
    std::copy_n(decoded.c_str(), decoded.size() + 1, text);
    return {};
  });
}

lodestone_result lodestone_appliance_open(const char* name, const lodestone_appliance_options* options,
                                          lodestone_appliance** appliance) {
  return Call([&]() -> Answer {
    LODESTONE_RETURN_IF_ERROR(CheckArgument(appliance, "appliance"));
    *appliance = nullptr;
    LODESTONE_RETURN_IF_ERROR(CheckArgument(name, "name"));
    LODESTONE_ASSIGN_OR_RETURN(auto opened, OpenedAppliance::Open(name, options));
    Give(std::move(opened), appliance);
    return {};
  });
}

lodestone_result lodestone_appliance_close(lodestone_appliance* appliance) {
  return Call([&]() -> Answer {
    LODESTONE_ASSIGN_OR_RETURN(const auto opened, Open().Remove<OpenedAppliance>(NumberOf(appliance), "an appliance"));
    const std::lock_guard lock(opened->mutex());
    opened->Close();  // others may have found it and wait for the lock
    return {};
  });
}

lodestone_result lodestone_appliance_configure(lodestone_appliance* appliance, lodestone_model* model,
                                               const lodestone_demand* demand) {
  return Call([&]() -> Answer {
    LODESTONE_ASSIGN_OR_RETURN(const Held held, Hold(appliance));
    LODESTONE_ASSIGN_OR_RETURN(auto opened, FindModel(model));
    LODESTONE_ASSIGN_OR_RETURN(const lodestone_demand given, ReadStruct(demand));
    return held->Configure(std::move(opened), given);
  });
}

lodestone_result lodestone_appliance_describe(lodestone_appliance* appliance, lodestone_appliance_info* info) {
  return Call([&]() -> Answer {
    LODESTONE_ASSIGN_OR_RETURN(const Held held, Hold(appliance));
    return WriteStruct(held->Describe(), info);
  });
}

lodestone_result lodestone_appliance_submit(lodestone_appliance* appliance, const lodestone_pass* pass) {
  return Call([&]() -> Answer {
    LODESTONE_ASSIGN_OR_RETURN(const Held held, HoldConfigured(appliance));
    LODESTONE_ASSIGN_OR_RETURN(const lodestone_pass given, ReadStruct(pass));
    return held->Submit(given);
  });
}

lodestone_result lodestone_appliance_next(lodestone_appliance* appliance, lodestone_done* done) {
  return Call([&]() -> Answer {
    LODESTONE_ASSIGN_OR_RETURN(const Held held, HoldConfigured(appliance));
    lodestone_done found{};
    LODESTONE_RETURN_IF_ERROR(StatedSize(done).status());  // before a pass is taken
    const Answer answer = held->Next(found);
    if (answer.result == LODESTONE_EMPTY) return answer;
    LODESTONE_RETURN_IF_ERROR(WriteStruct(found, done));
    return answer;
  });
}

lodestone_result lodestone_appliance_stage(lodestone_appliance* appliance, size_t index, lodestone_stage_info* info) {
  return Call([&]() -> Answer {
    LODESTONE_ASSIGN_OR_RETURN(const Held held, HoldConfigured(appliance));
    const Appliance& cards = held->cards();
    const std::vector<StageStats> stages = cards.stats();
    LODESTONE_RETURN_IF_ERROR(CheckIndex(index, stages.size(), "stage"));
    const StageStats& stats = stages[index];
    const Stage& stage = cards.placement().stages[index].stage;
    lodestone_stage_info found{};
    found.label = stage.label.c_str();
    found.card = stats.card;
    found.ranks = stage.of;
    found.busy_ps = stats.busy.ps;
    found.gathers_ps = stats.gathers.ps;
    found.stalls_ps = stats.stalls.ps;
    found.passes = stats.passes;
    found.bytes_in = stats.bytes_in;
    found.bytes_out = stats.bytes_out;
    found.matrix_pj = stats.energy.matrix.pj;
    found.memory_pj = stats.energy.memory.pj;
    found.vector_pj = stats.energy.vector.pj;
    found.network_pj = stats.energy.network.pj;
    found.link_pj = stats.link_energy.pj;
    return WriteStruct(found, info);
  });
}

lodestone_result lodestone_appliance_framebuffer(lodestone_appliance* appliance, size_t index,
                                                 lodestone_framebuffer_info* info) {
  return Call([&]() -> Answer {
    LODESTONE_ASSIGN_OR_RETURN(const Held held, HoldConfigured(appliance));
    if (!held->simulated()) return Unsupported("the cards of this host have no framebuffer");
    const std::vector<FramebufferStats> framebuffers = held->cards().framebuffers();
    LODESTONE_RETURN_IF_ERROR(CheckIndex(index, framebuffers.size(), "framebuffer"));
    const FramebufferStats& stats = framebuffers[index];
    lodestone_framebuffer_info found{};
    found.capacity_bytes = stats.capacity;
    found.slot_bytes = stats.slot_bytes;
    found.peak_bytes = stats.peak_bytes;
    found.byte_seconds = stats.byte_seconds;
    found.slots_in = stats.slots_in;
    found.slots_out = stats.slots_out;
    return WriteStruct(found, info);
  });
}

const char* lodestone_error_message(void) { return ErrorMessage(); }

const char* lodestone_result_name(lodestone_result result) {
  switch (result) {
    case LODESTONE_OK:
      return "ok";
    case LODESTONE_INVALID:
      return "invalid";
    case LODESTONE_NOT_FOUND:
      return "not found";
    case LODESTONE_IO:
      return "input/output";
    case LODESTONE_UNSUPPORTED:
      return "unsupported";
    case LODESTONE_INFEASIBLE:
      return "infeasible";
    case LODESTONE_BUSY:
      return "busy";
    case LODESTONE_EMPTY:
      return "empty";
    case LODESTONE_NO_MEMORY:
      return "out of memory";
    case LODESTONE_INTERNAL:
      return "internal error";
  }
  return "unknown result";
}

int lodestone_api_version(void) { return LODESTONE_API_VERSION; }
const char* lodestone_version(void) { return LODESTONE_VERSION; }
