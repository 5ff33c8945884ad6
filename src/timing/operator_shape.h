// What an operator of a program is to the mapper: widths, bytes and steps a row. Steps and bytes are those of WorkOf
// (program/work.h); nothing is counted twice in two places.
#pragma once

#include <string>
#include <variant>

#include "program/program.h"
#include "timing/attention_mapping.h"
#include "timing/linear_mapping.h"
#include "timing/row_mapping.h"

namespace lodestone {

// The embedding, which the host looks up, and collectives, which the appliance carries out.
struct OffCard {};

using OperatorShape = std::variant<OffCard, RowShape, LinearShape, AttentionShape>;

// Of operator `index` of a segment. Infeasible where it multiplies in a format that the chip has no unit for; `label`
// names the stage in the message.
Result<OperatorShape> ShapeOf(const Segment& segment, size_t index, const std::string& label);

// "q", "down", "output" of a linear layer; empty otherwise.
std::string WeightNameOf(const Op& op);

}  // namespace lodestone
