#include "hardware/figure_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/quote.h"

namespace lodestone {
namespace {

void CheckWhole(ObjectReader& reader, std::string_view key, double value, const FigureRange& range) {
  if (range.whole && value != std::floor(value)) {
    reader.Fail(key, fmt::format("found {}, expected a whole number", value));
  }
}

std::optional<double> ReadBound(ObjectReader& reader, std::string_view key, const FigureRange& range) {
  if (!reader.Has(key)) {
    reader.Ignore(key);
    return std::nullopt;
  }
  return reader.RequireNumber(key, range.min, range.max);
}

}  // namespace

// The reader's state at the end of its table. A missing key is often a mistyped one, so the stranger is named too.
Status Close(ObjectReader& reader) {
  Status status = reader.Finish();
  if (status.ok() || status.error().code != ErrorCode::kNotFound) return status;
  const std::vector<std::string> unread = reader.Unread();
  if (unread.empty()) return status;
  return NotFound(fmt::format("{}; unknown key there: {}", status.error().message, Quoted(unread.front())));
}

// One line of text that can be shown on a terminal.
std::string ReadText(ObjectReader& reader, std::string_view key, bool required, size_t max_bytes) {
  std::string text = required ? reader.RequireString(key) : reader.OptionalString(key, "");
  const bool control = std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 32 || c == 127; });
  if (control) reader.Fail(key, fmt::format("found {}, expected text without control characters", Quoted(text)));
  if (text.size() > max_bytes) {
    reader.Fail(key, fmt::format("found {} bytes of text, expected at most {}", text.size(), max_bytes));
  }
  if (required && text.empty()) reader.Fail(key, "found an empty string, expected a text");
  return text;
}

Result<Figure> ReadFigure(ObjectReader& parent, std::string_view key, const FigureRange& range) {
  const Json* table = parent.Require(key);
  if (table == nullptr) return Close(parent).error();
  if (table->as_object() == nullptr) {
    parent.Fail(
        key, fmt::format("found {}, expected {{value = …, source = \"data sheet\", note = \"…\"}}", table->TypeName()));
    return parent.status().error();
  }
  ObjectReader reader(*table, parent.file(), parent.PathOf(key));
  Figure figure;
  figure.value = reader.RequireNumber("value", range.min, range.max);
  CheckWhole(reader, "value", figure.value, range);
  const std::string source = reader.RequireString("source");
  if (const std::optional<FieldSource> known = ParseFieldSource(source)) {
    figure.source = *known;
  } else {
    reader.Fail("source",
                fmt::format("found {}, expected data sheet, paper, measured, derived or assumed", Quoted(source)));
  }
  figure.note = ReadText(reader, "note", false, kMaxTextBytes);
  figure.low = ReadBound(reader, "low", range);
  figure.high = ReadBound(reader, "high", range);
  LODESTONE_RETURN_IF_ERROR(Close(reader));

  const bool assumed = figure.source == FieldSource::kAssumed;
  if (figure.note.empty() && (assumed || figure.source == FieldSource::kDerived)) {
    reader.Fail("note", fmt::format("found nothing, expected {}",
                                    assumed ? "the reason of the assumption" : "the arithmetic of the derived figure"));
  }
  if (assumed && !figure.low) reader.Fail("low", "found nothing, expected the lower bound of the assumed figure");
  if (assumed && !figure.high) reader.Fail("high", "found nothing, expected the upper bound of the assumed figure");
  if (figure.low && *figure.low > figure.value) {
    reader.Fail("low", fmt::format("found {}, expected at most the value, {}", *figure.low, figure.value));
  }
  if (figure.high && *figure.high < figure.value) {
    reader.Fail("high", fmt::format("found {}, expected at least the value, {}", *figure.high, figure.value));
  }
  LODESTONE_RETURN_IF_ERROR(reader.status());
  return figure;
}

}  // namespace lodestone
