#include "appliance/sections.h"

#include <fmt/format.h>

#include <algorithm>

namespace lodestone {

Result<Tensor> GatherColumns(std::vector<Tensor> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  Tensor whole;
  whole.rows = parts.front().rows;
  for (const Tensor& part : parts) {
    if (part.rows != whole.rows ||
        part.data.size() != static_cast<size_t>(part.rows) * static_cast<size_t>(part.width)) {
      return Invalid(fmt::format("cannot gather a part of {} rows × {} columns ({} values) with parts of {} rows",
                                 part.rows, part.width, part.data.size(), whole.rows));
    }
    whole.width += part.width;
  }
  whole.data.resize(static_cast<size_t>(whole.rows) * static_cast<size_t>(whole.width));
  auto out = whole.data.begin();
  for (int row = 0; row < whole.rows; ++row) {
    for (const Tensor& part : parts) {
      out = std::copy_n(part.data.begin() + static_cast<std::ptrdiff_t>(row) * part.width, part.width, out);
    }
  }
  return whole;
}

Result<Tensor> RunStep(std::span<const StageSeat> ranks, const Pass& pass, Tensor in, bool gather_output) {
  const int sections = ranks.front().executor->Sections(ranks.front().local);
  for (const StageSeat& seat : ranks) {
    const int found = seat.executor->Sections(seat.local);
    if (found != sections || found < 1) {
      return Invalid(fmt::format("stage '{}' has {} sections where rank 0 has {}; at least one is needed", seat.label,
                                 found, sections));
    }
  }
  for (int section = 0; section < sections; ++section) {
    std::vector<Tensor> parts;
    parts.reserve(ranks.size());
    for (size_t r = 0; r < ranks.size(); ++r) {
      const StageSeat& seat = ranks[r];
      // The last rank may keep the input: what was gathered replaces it before the next section.
      auto part = seat.executor->Run(seat.local, section, pass,
                                     r + 1 < ranks.size() ? in : std::move(in));  // NOLINT(bugprone-use-after-move)
      if (!part.ok()) return Error{part.error().code, fmt::format("stage '{}': {}", seat.label, part.error().message)};
      parts.push_back(*std::move(part));
    }
    if (section + 1 < sections || gather_output) {
      LODESTONE_ASSIGN_OR_RETURN(in, GatherColumns(std::move(parts)));
    } else {
      in = std::move(parts.front());
    }
  }
  return in;
}

}  // namespace lodestone
