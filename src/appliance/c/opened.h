// What the handles of the C interface stand for, and the states of an appliance: opened, configured, closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "appliance/c/answer.h"
#include "appliance/lodestone.h"
#include "appliance/machine.h"
#include "base/status.h"
#include "model/open_model.h"

namespace lodestone {

// Refused where `argument` is null.
Status CheckArgument(const void* argument, const char* name);
// A pointer may be null where nothing is read from it; `most` bounds what a wild count makes us read.
Status CheckArray(const void* array, size_t count, size_t most, const char* name);

// Immutable. Weights and tokenizer are null where only the shape was opened.
struct OpenedModel {
  Model model;
};

class OpenedAppliance {
 public:
  // `options` may be null. Errors: OpenAppliance's, an option out of range or without meaning for this host.
  static Result<std::shared_ptr<OpenedAppliance>> Open(const char* name, const lodestone_appliance_options* options);

  // Held by the caller of any function below.
  std::mutex& mutex() { return mutex_; }

  Answer Configure(std::shared_ptr<OpenedModel> model, const lodestone_demand& demand);
  Answer Submit(const lodestone_pass& pass);
  // `done` tells which pass it is also where that pass failed.
  Answer Next(lodestone_done& done);
  void Close();

  bool closed() const { return closed_; }
  bool configured() const { return machine_.has_value(); }
  bool simulated() const { return spec_.has_value(); }
  const Appliance& cards() const { return *machine_->appliance; }  // once configured
  lodestone_appliance_info Describe() const;

 private:
  Status SubmitWithPages(Pass& pass, const lodestone_pass& given);

  std::mutex mutex_;
  bool closed_ = false;
  std::optional<ApplianceSpec> spec_;
  MachineOptions options_;

  std::shared_ptr<OpenedModel> model_;    // outlives the cards, which may read its mapped weights
  std::optional<OpenedMachine> machine_;  // once configured
  int rows_per_pass_ = 0, pages_ = 0, pages_per_user_ = 0;
  std::deque<uint64_t> inside_;  // ids of passes, oldest first
  Tensor logits_;                // of the pass that came out last
};

}  // namespace lodestone
