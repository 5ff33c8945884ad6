// Names in catalog/hardware/ and the text behind them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace lodestone {

struct HardwareFile {
  Json json;
  std::string file;  // "catalog/hardware/northpole-card.toml", for messages
};

// The catalogue's file whose name is `name` and whose `kind` is `kind` ("chip", "card", "appliance", "assumptions"). An
// unknown name lists the names of that kind and the nearest one; a name of another kind says which.
Result<HardwareFile> FindHardwareFile(std::string_view kind, std::string_view name);
// Names of one kind, sorted.
std::vector<std::string> HardwareNames(std::string_view kind);

}  // namespace lodestone
