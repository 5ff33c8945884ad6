#include "hardware/hardware.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/quote.h"
#include "hardware/figure_fields.h"
#include "hardware/hardware_catalog.h"

namespace lodestone {
namespace {

constexpr int64_t kMaxCards = 1'000'000;
constexpr size_t kMaxNameBytes = 100;
constexpr size_t kMaxTextBytes = 4000;

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

std::string ReadName(ObjectReader& reader, bool required) { return ReadText(reader, "name", required, kMaxNameBytes); }

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

// Makes the keys known before the first is read, so that what stays unread is a stranger.
template <typename Field, size_t kCount>
void Announce(ObjectReader& reader, const Field (&fields)[kCount]) {
  for (const Field& field : fields) reader.Ignore(field.key);
}

template <typename Spec, size_t kCount>
Status ReadFigures(ObjectReader& reader, const FigureField<Spec> (&fields)[kCount], Spec& spec) {
  for (const FigureField<Spec>& field : fields) {
    LODESTONE_ASSIGN_OR_RETURN(spec.*field.member, ReadFigure(reader, field.key, field.range));
  }
  return {};
}

template <typename Spec, size_t kCount>
Status ReadFigures(ObjectReader& reader, const OptionalFigureField<Spec> (&fields)[kCount], Spec& spec) {
  for (const OptionalFigureField<Spec>& field : fields) {
    if (!reader.Has(field.key)) continue;
    LODESTONE_ASSIGN_OR_RETURN(spec.*field.member, ReadFigure(reader, field.key, field.range));
  }
  return {};
}

// A file says what it describes; a table within another file need not repeat it.
void ReadKind(ObjectReader& reader, std::string_view kind, bool required) {
  const std::string found = required ? reader.RequireString("kind") : reader.OptionalString("kind", kind);
  if (found != kind) reader.Fail("kind", fmt::format("found {}, expected '{}'", Quoted(found), kind));
}

Result<ChipSpec> ParseChip(const Json& json, const std::string& file, const std::string& path) {
  ObjectReader reader(json, file, path);
  Announce(reader, kChipFields);
  ReadKind(reader, "chip", path.empty());
  ReadName(reader, false);
  ReadText(reader, "description", false, kMaxTextBytes);
  LODESTONE_RETURN_IF_ERROR(reader.status());
  ChipSpec chip;
  LODESTONE_RETURN_IF_ERROR(ReadFigures(reader, kChipFields, chip));
  LODESTONE_RETURN_IF_ERROR(Close(reader));
  return chip;
}

Result<CardSpec> ParseCard(const Json& json, const std::string& file, const std::string& path);

// A member that is either the description itself or its name in the catalogue.
template <typename Parse>
auto ParseMember(ObjectReader& reader, std::string_view kind, Parse parse)
    -> decltype(parse(Json(), std::string(), std::string())) {
  const Json* member = reader.Require(kind);
  if (member == nullptr) return Close(reader).error();
  if (member->as_object() != nullptr) return parse(*member, reader.file(), reader.PathOf(kind));
  const std::string* name = member->as_string();
  if (name == nullptr) {
    reader.Fail(
        kind, fmt::format("found {}, expected a table or the name of a {} of the catalogue", member->TypeName(), kind));
    return reader.status().error();
  }
  const Result<HardwareFile> found = FindHardwareFile(kind, *name);
  if (!found.ok()) {
    reader.Fail(kind, found.error().message, found.error().code);
    return reader.status().error();
  }
  return parse(found->json, found->file, std::string());
}

Result<CardSpec> ParseCard(const Json& json, const std::string& file, const std::string& path) {
  ObjectReader reader(json, file, path);
  reader.Ignore("chip");
  Announce(reader, kCardFields);
  ReadKind(reader, "card", path.empty());
  CardSpec card;
  card.name = ReadName(reader, true);
  ReadText(reader, "description", false, kMaxTextBytes);
  LODESTONE_RETURN_IF_ERROR(reader.status());
  LODESTONE_RETURN_IF_ERROR(ReadFigures(reader, kCardFields, card));
  LODESTONE_ASSIGN_OR_RETURN(card.chip, ParseMember(reader, "chip", ParseChip));
  LODESTONE_RETURN_IF_ERROR(Close(reader));
  return card;
}

template <typename Spec, size_t kCount>
void List(const Spec& spec, const std::string& prefix, const FigureField<Spec> (&fields)[kCount],
          std::vector<NamedFigure>& list) {
  for (const FigureField<Spec>& field : fields) list.push_back({prefix + std::string(field.key), spec.*field.member});
}

}  // namespace

std::vector<NamedFigure> FiguresOf(const ApplianceSpec& spec) {
  std::vector<NamedFigure> list;
  List(spec.card.chip, "card.chip.", kChipFields, list);
  List(spec.card, "card.", kCardFields, list);
  List(spec, "", kApplianceFields, list);
  for (const auto& field : kOptionalApplianceFields) {
    if (const std::optional<Figure>& figure = spec.*field.member) list.push_back({std::string(field.key), *figure});
  }
  return list;
}

Result<ApplianceSpec> ParseAppliance(const Json& toml, const std::string& file) {
  ObjectReader reader(toml, file);
  for (const char* key : {"cards", "cards_per_server", "card"}) reader.Ignore(key);
  Announce(reader, kApplianceFields);
  Announce(reader, kOptionalApplianceFields);
  ReadKind(reader, "appliance", true);
  ApplianceSpec spec;
  spec.name = ReadName(reader, true);
  spec.description = ReadText(reader, "description", false, kMaxTextBytes);
  spec.cards = static_cast<int>(reader.RequireInt("cards", 1, kMaxCards));
  spec.cards_per_server = static_cast<int>(reader.RequireInt("cards_per_server", 1, kMaxCards));
  if (const Status status = reader.status(); !status.ok()) return Close(reader).error();
  LODESTONE_ASSIGN_OR_RETURN(spec.card, ParseMember(reader, "card", ParseCard));
  LODESTONE_RETURN_IF_ERROR(ReadFigures(reader, kApplianceFields, spec));
  LODESTONE_RETURN_IF_ERROR(ReadFigures(reader, kOptionalApplianceFields, spec));
  LODESTONE_RETURN_IF_ERROR(Close(reader));
  if (spec.cards > spec.cards_per_server) {
    const std::string why =
        fmt::format("found nothing, expected a figure: {} cards at {} a server need a network between servers",
                    spec.cards, spec.cards_per_server);
    if (!spec.network_bytes_per_s) reader.Fail("network_bytes_per_s", why, ErrorCode::kNotFound);
    if (!spec.network_latency_s) reader.Fail("network_latency_s", why, ErrorCode::kNotFound);
  }
  LODESTONE_RETURN_IF_ERROR(reader.status());
  return spec;
}

}  // namespace lodestone
