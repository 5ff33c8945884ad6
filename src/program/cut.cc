// Cutting a program between cards, and fusing its row operators.
#include <fmt/format.h>

#include <algorithm>

#include "program/program.h"
#include "program/registers.h"

namespace lodestone {
namespace {

// Where parts begin within one run of a segment: {0, …, ops}. A cut stands where only the residual stream is alive.
std::vector<size_t> PartBoundaries(const Segment& segment) {
  std::vector<size_t> boundaries = {0};
  const std::vector<RegSet> live = LiveAfter(segment.ops);
  for (size_t i = 0; i + 1 < segment.ops.size(); ++i) {
    // Only behind an addition: elsewhere "nothing alive" would part a norm from what it reads.
    if (live[i].none() && std::holds_alternative<Add>(segment.ops[i])) boundaries.push_back(i + 1);
  }
  boundaries.push_back(segment.ops.size());
  return boundaries;
}

int PartsPerRun(const Segment& segment) { return static_cast<int>(PartBoundaries(segment).size()) - 1; }

// `runs` runs of parts [begin, end) of `segment`, from its run number `first_run`.
Segment Piece(const Segment& segment, const std::vector<size_t>& boundaries, int begin, int end, int first_run,
              int runs) {
  const auto from = static_cast<std::ptrdiff_t>(boundaries[begin]);
  const auto to = static_cast<std::ptrdiff_t>(boundaries[end]);
  Segment piece;
  piece.first_layer = segment.first_layer < 0 ? -1 : segment.first_layer + first_run;
  piece.repeat = runs;
  piece.exited = std::clamp(first_run + runs - segment.runs(), 0, runs);
  piece.ops.assign(segment.ops.begin() + from, segment.ops.begin() + to);
  piece.fusion.assign(segment.fusion.begin() + from, segment.fusion.begin() + to);
  return piece;
}

}  // namespace

int PartCount(const Program& program) {
  int parts = 0;
  for (const Segment& segment : program.segments) parts += PartsPerRun(segment) * segment.repeat;
  return parts;
}

Program Slice(const Program& program, int begin, int end) {
  Program slice;
  int part = 0;  // of the first part of the segment
  for (const Segment& segment : program.segments) {
    const std::vector<size_t> boundaries = PartBoundaries(segment);
    const int per_run = static_cast<int>(boundaries.size()) - 1;
    int from = std::max(begin - part, 0);
    const int to = std::min(end - part, per_run * segment.repeat);
    part += per_run * segment.repeat;
    while (from < to) {
      const int run = from / per_run;
      const int first = from % per_run;
      if (first == 0 && to - from >= per_run) {
        const int runs = (to - from) / per_run;
        slice.segments.push_back(Piece(segment, boundaries, 0, per_run, run, runs));
        from += runs * per_run;
      } else {
        const int last = std::min(per_run, first + to - from);
        slice.segments.push_back(Piece(segment, boundaries, first, last, run, 1));
        from += last - first;
      }
    }
  }
  return slice;
}

std::vector<int> LayerCutPoints(const Program& program) {
  std::vector<int> cuts = {0};
  for (const Segment& segment : program.segments) {
    const int per_run = PartsPerRun(segment);
    for (int run = 0; run < segment.repeat; ++run) cuts.push_back(cuts.back() + per_run);
  }
  return cuts;
}

Program Fuse(Program program) {
  for (Segment& segment : program.segments) {
    uint16_t id = 0;
    for (size_t i = 0; i < segment.ops.size(); ++i) {
      const bool row = IsRowOperator(segment.ops[i]);
      const bool continues = row && i > 0 && IsRowOperator(segment.ops[i - 1]);
      if (row && !continues) ++id;
      segment.fusion[i] = row ? id : uint16_t{0};
    }
  }
  return program;
}

Result<Stage> MakeStage(const Program& program, int begin, int end, int rank, int of) {
  const int parts = PartCount(program);
  if (begin < 0 || end > parts || begin >= end) {
    return Invalid(fmt::format("parts {} to {} do not lie in a program of {} parts", begin, end, parts));
  }
  Stage stage;
  stage.program = Slice(program, begin, end);
  stage.rank = rank;
  stage.of = of;
  if (of > 1) {
    LODESTONE_ASSIGN_OR_RETURN(stage.program, Shard(stage.program, rank, of));
  }
  int last_layer = -1;
  bool whole_layers = true, has_attention = false, has_mlp = false;
  for (const Segment& segment : stage.program.segments) {
    if (segment.first_layer < 0) {
      for (const Op& op : segment.ops) {
        if (std::holds_alternative<Embed>(op)) stage.has_embedding = true;
        if (const auto* linear = std::get_if<Linear>(&op); linear != nullptr && linear->out == Reg::kLogits) {
          stage.has_output = true;
        }
      }
      continue;
    }
    if (stage.first_layer < 0) stage.first_layer = segment.first_layer;
    last_layer = segment.first_layer + segment.repeat - 1;
    bool attention = false, mlp = false;
    for (const Op& op : segment.ops) {
      attention |= std::holds_alternative<Attend>(op);
      mlp |= std::holds_alternative<Gate>(op) || std::holds_alternative<Experts>(op);
    }
    whole_layers &= attention && mlp;
    has_attention |= attention;
    has_mlp |= mlp;
  }
  if (last_layer >= 0) stage.layers = last_layer - stage.first_layer + 1;

  std::string label;
  if (stage.layers == 1) {
    label = fmt::format("layer {}", stage.first_layer);
    if (!whole_layers) label += has_attention && has_mlp ? "" : (has_attention ? " attention" : " MLP");
  } else if (stage.layers > 1) {
    label = fmt::format("layers {}–{}", stage.first_layer, last_layer);
    if (!whole_layers) label += " (in part)";
  } else if (stage.has_embedding && !stage.has_output) {
    label = "embedding";
  }
  if (stage.has_output) label += label.empty() ? "output" : " + output";
  if (of > 1) label += fmt::format(" {}/{}", rank + 1, of);
  stage.label = label;
  return stage;
}

}  // namespace lodestone
