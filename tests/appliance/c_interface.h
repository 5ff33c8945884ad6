// Handles that close themselves, and small passes, for tests of the C interface.
#pragma once

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "appliance/lodestone.h"

namespace lodestone::testing {

constexpr const char* kSmallModel = "random:nano-14l";
constexpr int kSmallVocab = 2048;

// The call was refused like this, for a reason that contains `part`.
inline void ExpectRefused(lodestone_result result, lodestone_result expected, const std::string& part) {
  EXPECT_EQ(result, expected) << lodestone_error_message();
  EXPECT_NE(std::string(lodestone_error_message()).find(part), std::string::npos) << lodestone_error_message();
}

struct CModel {
  explicit CModel(const char* name = kSmallModel) {
    EXPECT_EQ(lodestone_model_open(name, &handle), LODESTONE_OK) << lodestone_error_message();
  }
  ~CModel() { lodestone_model_close(handle); }
  CModel(const CModel&) = delete;
  CModel& operator=(const CModel&) = delete;
  lodestone_model* handle = nullptr;
};

struct CAppliance {
  explicit CAppliance(const char* name = "cpu", lodestone_appliance_options options = {.threads = 1}) {
    options.size = sizeof options;
    EXPECT_EQ(lodestone_appliance_open(name, &options, &handle), LODESTONE_OK) << lodestone_error_message();
  }
  ~CAppliance() { lodestone_appliance_close(handle); }
  CAppliance(const CAppliance&) = delete;
  CAppliance& operator=(const CAppliance&) = delete;

  lodestone_appliance_info Describe() const {
    lodestone_appliance_info info{.size = sizeof info};
    EXPECT_EQ(lodestone_appliance_describe(handle, &info), LODESTONE_OK) << lodestone_error_message();
    return info;
  }
  lodestone_appliance* handle = nullptr;
};

// Two users with 100 positions each: 4 pages. Passes of 4 rows at most.
inline lodestone_demand SmallDemand() {
  return {.size = sizeof(lodestone_demand), .recipe = "w8a8", .users = 2, .context = 100, .rows_per_pass = 4};
}

// Arrays and the pass that points to them.
struct CPass {
  explicit CPass(std::vector<lodestone_row> pass_rows, std::vector<int32_t> table = {0, 1}, size_t sequences = 1,
                 uint64_t id = 0)
      : rows(std::move(pass_rows)), page_table(std::move(table)) {
    pass = {.size = sizeof pass,
            .id = id,
            .rows = rows.data(),
            .row_count = rows.size(),
            .page_table = page_table.data(),
            .sequences = sequences,
            .pages_per_sequence = sequences > 0 ? page_table.size() / sequences : 0};
  }
  CPass(const CPass&) = delete;
  CPass& operator=(const CPass&) = delete;

  std::vector<lodestone_row> rows;
  std::vector<int32_t> page_table;
  lodestone_pass pass;
};

}  // namespace lodestone::testing
