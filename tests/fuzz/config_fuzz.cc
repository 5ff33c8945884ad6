// A config.json of any bytes is read or refused; what is read has a size that can be computed.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "model/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Json> json = ParseJson(text, "config.json");
  if (!json.ok()) return 0;
  const Result<ModelConfig> config = ParseHuggingFaceConfig(*json, "config.json");
  if (config.ok()) LODESTONE_CHECK(ParameterCount(*config) > 0);
  return 0;
}
