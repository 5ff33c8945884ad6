// What crosses a card's link for a stage.
#pragma once

#include <cstdint>

#include "program/program.h"

namespace lodestone {

// The residual stream a row, or f32 logits a row that wants them.
struct LinkBytes {
  int64_t in_per_row = 0, out_per_row = 0, out_per_logit_row = 0;
};
LinkBytes LinkBytesOf(const Program& program);

}  // namespace lodestone
