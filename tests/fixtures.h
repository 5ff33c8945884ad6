// Where tests find the fixtures that live beside the checkout, and how they skip where these are absent.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace lodestone::testing {

// The folder shared/, which a user's machine does not have: $LODESTONE_SHARED or ../shared beside the sources.
inline std::filesystem::path SharedDir() {
  if (const char* dir = std::getenv("LODESTONE_SHARED")) return dir;
  return std::filesystem::path(LODESTONE_SOURCE_DIR) / ".." / "shared";
}

// Skips the current test, saying which fixture is missing.
#define LODESTONE_REQUIRE_FIXTURE(relative)                                                      \
  if (!std::filesystem::exists(::lodestone::testing::SharedDir() / (relative)))                  \
  GTEST_SKIP() << "fixture " << (relative) << " is not in " << ::lodestone::testing::SharedDir() \
               << "; set LODESTONE_SHARED to the folder that has it"

}  // namespace lodestone::testing
