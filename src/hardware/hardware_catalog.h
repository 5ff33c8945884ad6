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

// The catalogue's file whose name is `name` and whose `kind` is `kind` ("chip", "card", "appliance", "assumptions",
// "machine", "efficiency"). An unknown name lists the names of that kind and the nearest one; a name of another kind
// says which.
Result<HardwareFile> FindHardwareFile(std::string_view kind, std::string_view name);
// Names of one kind, sorted.
std::vector<std::string> HardwareNames(std::string_view kind);

// What a file says it describes; empty where it does not say.
std::string KindOf(const Json& toml);
// The kind of a file of the catalogue; empty where it has none of that name.
std::string KindOfHardware(std::string_view name);
// Whether a user means a file: "./my.toml", "machines/my.toml".
bool IsHardwarePath(std::string_view text);

}  // namespace lodestone
