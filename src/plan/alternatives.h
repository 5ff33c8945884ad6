// What would fit instead: the list behind every refusal of Place.
#pragma once

#include <string>

#include "plan/arrangement.h"

namespace lodestone {

// "21 users at 2,048 positions; 28 users at 1,536 positions; recipe w4a4 (int4 KV); 30 cards", or "nothing smaller
// does".
std::string Alternatives(const ModelConfig& config, const Recipe& recipe, const ModelShape& shape, const Demand& demand,
                         int64_t capacity, int cards);

}  // namespace lodestone
