// Parts of the reader of config.json that have a file of their own. Private to model/.
#pragma once

#include <string_view>

#include "base/json.h"
#include "model/config.h"

namespace lodestone {

// Whether a key of config.json is known to leave the arithmetic of inference alone: what concerns training, sampling
// defaults, storage or the Python implementation.
bool IsWithoutConsequence(std::string_view key);

// `quantization_config`: that of `lodestone quantize` into config->stored; any other is refused by name.
void ReadStoredQuantization(ObjectReader& reader, ModelConfig* config);

// Refuses, by name, settings that are known and change the arithmetic in ways that no operator here does: experts (but
// Mixtral's own), encoder-decoder models. A value that means "off" is accepted.
void RefuseForeignSettings(ObjectReader& reader, Architecture architecture);

// `rope_theta`, `rope_scaling` and the newer `rope_parameters` of one configuration. `partial` is the fraction of a
// head that rotates and is updated where rope_parameters states it. Errors are recorded in `reader`.
Rope ReadRope(ObjectReader& reader, std::string_view theta_key, double* partial);

// `bos_token_id` and `eos_token_id` (one id or a list) of config.json or generation_config.json, where stated.
void ReadTokenIds(ObjectReader& reader, ModelConfig* config);

}  // namespace lodestone
