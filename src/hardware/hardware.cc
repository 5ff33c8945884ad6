#include "hardware/hardware.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "base/nearest.h"
#include "base/quote.h"
#include "hardware/figure_reader.h"
#include "hardware/hardware_catalog.h"

namespace lodestone {
namespace {

constexpr int64_t kMaxCards = 1'000'000;

std::string ReadName(ObjectReader& reader, bool required) { return ReadText(reader, "name", required, kMaxNameBytes); }

// Makes the keys known before the first is read, so that what stays unread is a stranger.
template <typename Field, size_t kCount>
void Announce(ObjectReader& reader, const Field (&fields)[kCount]) {
  for (const Field& field : fields) reader.Ignore(field.key);
}

// The table of a file of assumptions that a description names; empty where it names none.
struct Assumptions {
  HardwareFile source;
  std::string table;

  // A reader of the table where it gives the figure.
  std::optional<ObjectReader> Giving(std::string_view key) const {
    const Json* json = source.json.Find(table);
    if (json == nullptr || json->Find(key) == nullptr) return std::nullopt;
    return ObjectReader(*json, source.file, table);
  }
};

template <typename Spec, size_t kCount>
Status ReadFigures(ObjectReader& reader, const FigureField<Spec> (&fields)[kCount], const Assumptions& assumptions,
                   Spec& spec) {
  for (const FigureField<Spec>& field : fields) {
    std::optional<ObjectReader> assumed;
    if (!reader.Has(field.key)) assumed = assumptions.Giving(field.key);
    LODESTONE_ASSIGN_OR_RETURN(spec.*field.member, ReadFigure(assumed ? *assumed : reader, field.key, field.range));
  }
  return {};
}

// What an appliance may lack is taken from its assumptions where `assume` says that it needs it.
template <typename Spec, size_t kCount>
Status ReadFigures(ObjectReader& reader, const OptionalFigureField<Spec> (&fields)[kCount],
                   const Assumptions& assumptions, bool assume, Spec& spec) {
  for (const OptionalFigureField<Spec>& field : fields) {
    std::optional<ObjectReader> assumed;
    if (!reader.Has(field.key)) {
      if (assume) assumed = assumptions.Giving(field.key);
      if (!assumed) continue;
    }
    LODESTONE_ASSIGN_OR_RETURN(spec.*field.member, ReadFigure(assumed ? *assumed : reader, field.key, field.range));
  }
  return {};
}

// Why a figure of a chip contradicts the others.
struct Contradiction {
  std::string_view key;
  std::string message;
};
std::optional<Contradiction> ContradictionIn(const ChipSpec& chip) {
  const double columns = chip.cores.value / chip.array_rows.value;
  if (columns != std::floor(columns)) {
    return Contradiction{"array_rows",
                         fmt::format("found {}, expected a divisor of the {} cores: an array is a rectangle",
                                     chip.array_rows.value, chip.cores.value)};
  }
  const double slowest = std::min(
      {chip.int8_ops_per_core_cycle.value, chip.int4_ops_per_core_cycle.value, chip.int2_ops_per_core_cycle.value});
  if (2 * chip.matrix_columns.value > slowest) {
    return Contradiction{"matrix_columns",
                         fmt::format("found {}, expected at most half of the {} operations a core and cycle: each "
                                     "column takes a multiply and an add",
                                     chip.matrix_columns.value, slowest)};
  }
  return std::nullopt;
}

// A file says what it describes; a table within another file need not repeat it.
void ReadKind(ObjectReader& reader, std::string_view kind, bool required) {
  const std::string found = required ? reader.RequireString("kind") : reader.OptionalString("kind", kind);
  if (found != kind) reader.Fail("kind", fmt::format("found {}, expected '{}'", Quoted(found), kind));
}

template <typename... Fields>
Status CheckTable(const Json* table, const std::string& file, const std::string& path, const Fields&... fields) {
  if (table == nullptr) return {};
  ObjectReader reader(*table, file, path);
  (Announce(reader, fields), ...);
  return reader.Finish();
}

// A file of assumptions has known figures only; each is read where a description lacks it.
Status CheckAssumptions(const Json& json, const std::string& file) {
  ObjectReader reader(json, file);
  for (const char* table : {"chip", "card", "appliance"}) reader.Ignore(table);
  ReadKind(reader, "assumptions", true);
  ReadName(reader, true);
  ReadText(reader, "description", false, kMaxTextBytes);
  LODESTONE_RETURN_IF_ERROR(Close(reader));
  LODESTONE_RETURN_IF_ERROR(CheckTable(json.Find("chip"), file, "chip", kChipFields));
  LODESTONE_RETURN_IF_ERROR(CheckTable(json.Find("card"), file, "card", kCardFields));
  return CheckTable(json.Find("appliance"), file, "appliance", kApplianceFields, kOptionalApplianceFields);
}

// `assumptions = "NAME"` of a chip, a card or an appliance, whose `table` it then is.
Result<Assumptions> ReadAssumptions(ObjectReader& reader, std::string_view table) {
  Assumptions assumptions;
  assumptions.table = table;
  reader.Ignore("assumptions");
  if (!reader.Has("assumptions")) return assumptions;
  const std::string name = reader.RequireString("assumptions");
  LODESTONE_RETURN_IF_ERROR(reader.status());
  Result<HardwareFile> found = FindHardwareFile("assumptions", name);
  if (!found.ok()) {
    reader.Fail("assumptions", found.error().message, found.error().code);
    return reader.status().error();
  }
  LODESTONE_RETURN_IF_ERROR(CheckAssumptions(found->json, found->file));
  assumptions.source = *std::move(found);
  return assumptions;
}

Result<ChipSpec> ParseChip(const Json& json, const std::string& file, const std::string& path) {
  ObjectReader reader(json, file, path);
  Announce(reader, kChipFields);
  ReadKind(reader, "chip", path.empty());
  ReadName(reader, false);
  ReadText(reader, "description", false, kMaxTextBytes);
  LODESTONE_RETURN_IF_ERROR(reader.status());
  LODESTONE_ASSIGN_OR_RETURN(const Assumptions assumptions, ReadAssumptions(reader, "chip"));
  ChipSpec chip;
  LODESTONE_RETURN_IF_ERROR(ReadFigures(reader, kChipFields, assumptions, chip));
  if (const auto found = ContradictionIn(chip)) reader.Fail(found->key, found->message);
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
  LODESTONE_ASSIGN_OR_RETURN(const Assumptions assumptions, ReadAssumptions(reader, "card"));
  LODESTONE_RETURN_IF_ERROR(ReadFigures(reader, kCardFields, assumptions, card));
  LODESTONE_ASSIGN_OR_RETURN(card.chip, ParseMember(reader, "chip", ParseChip));
  LODESTONE_RETURN_IF_ERROR(Close(reader));
  return card;
}

template <typename Spec, size_t kCount>
void List(const Spec& spec, const std::string& prefix, const FigureField<Spec> (&fields)[kCount],
          std::vector<NamedFigure>& list) {
  for (const FigureField<Spec>& field : fields) {
    list.push_back({prefix + std::string(field.key), spec.*field.member, field.better});
  }
}

// Whether one of `fields` has the name; its value is then set, or refused in `status`.
template <typename Field, typename Spec, size_t kCount>
bool Set(Spec& spec, std::string_view prefix, const Field (&fields)[kCount], std::string_view name, double value,
         Status* status) {
  if (!name.starts_with(prefix)) return false;
  for (const Field& field : fields) {
    if (field.key != name.substr(prefix.size())) continue;
    const FigureRange& range = field.range;
    if (!(value >= range.min && value <= range.max) || (range.whole && value != std::floor(value))) {
      *status = Invalid(fmt::format("{}: found {}, expected a {}number from {} to {}", name, value,
                                    range.whole ? "whole " : "", range.min, range.max));
      return true;
    }
    if constexpr (std::is_same_v<Field, FigureField<Spec>>) {
      (spec.*field.member).value = value;
    } else {
      if (!(spec.*field.member)) return false;
      (spec.*field.member)->value = value;
    }
    return true;
  }
  return false;
}

}  // namespace

std::vector<NamedFigure> FiguresOf(const ApplianceSpec& spec) {
  std::vector<NamedFigure> list;
  List(spec.card.chip, "card.chip.", kChipFields, list);
  List(spec.card, "card.", kCardFields, list);
  List(spec, "", kApplianceFields, list);
  for (const auto& field : kOptionalApplianceFields) {
    if (const std::optional<Figure>& figure = spec.*field.member) {
      list.push_back({std::string(field.key), *figure, field.better});
    }
  }
  return list;
}

bool RestsOnNoSource(const Figure& figure) {
  return figure.source == FieldSource::kAssumed ||
         (figure.source == FieldSource::kDerived && figure.low && figure.high);
}

Status SetFigure(ApplianceSpec& spec, std::string_view name, double value) {
  Status status;
  if (ChipSpec chip = spec.card.chip; Set(chip, "card.chip.", kChipFields, name, value, &status)) {
    LODESTONE_RETURN_IF_ERROR(status);
    if (const auto found = ContradictionIn(chip)) {
      return Invalid(fmt::format("{} = {}: card.chip.{}: {}", name, value, found->key, found->message));
    }
    spec.card.chip = std::move(chip);
    return {};
  }
  if (Set(spec.card, "card.", kCardFields, name, value, &status) ||
      Set(spec, "", kApplianceFields, name, value, &status) ||
      Set(spec, "", kOptionalApplianceFields, name, value, &status)) {
    return status;
  }
  std::vector<std::string> names;
  for (const NamedFigure& named : FiguresOf(spec)) names.push_back(named.name);
  const std::optional<std::string> nearest = Nearest(std::string(name), names);
  return NotFound(fmt::format("{} has no figure {}{}; 'lodestone hardware {}' lists them", spec.name, Quoted(name),
                              nearest ? fmt::format(" (did you mean '{}'?)", *nearest) : "", spec.name));
}

Result<ApplianceSpec> ParseAppliance(const Json& toml, const std::string& file) {
  ObjectReader reader(toml, file);
  for (const char* key : {"cards", "cards_per_server", "cards_per_switch", "card"}) reader.Ignore(key);
  Announce(reader, kApplianceFields);
  Announce(reader, kOptionalApplianceFields);
  ReadKind(reader, "appliance", true);
  ApplianceSpec spec;
  spec.name = ReadName(reader, true);
  spec.description = ReadText(reader, "description", false, kMaxTextBytes);
  spec.cards = static_cast<int>(reader.RequireInt("cards", 1, kMaxCards));
  spec.cards_per_server = static_cast<int>(reader.RequireInt("cards_per_server", 1, kMaxCards));
  spec.cards_per_switch = static_cast<int>(reader.RequireInt("cards_per_switch", 1, kMaxCards));
  if (spec.cards_per_switch > spec.cards_per_server) {
    reader.Fail("cards_per_switch", fmt::format("found {}, expected at most the {} cards of a server",
                                                spec.cards_per_switch, spec.cards_per_server));
  }
  if (const Status status = reader.status(); !status.ok()) return Close(reader).error();
  LODESTONE_ASSIGN_OR_RETURN(spec.card, ParseMember(reader, "card", ParseCard));
  LODESTONE_ASSIGN_OR_RETURN(const Assumptions assumptions, ReadAssumptions(reader, "appliance"));
  LODESTONE_RETURN_IF_ERROR(ReadFigures(reader, kApplianceFields, assumptions, spec));
  const bool several_servers = spec.cards > spec.cards_per_server;
  LODESTONE_RETURN_IF_ERROR(ReadFigures(reader, kOptionalApplianceFields, assumptions, several_servers, spec));
  LODESTONE_RETURN_IF_ERROR(Close(reader));
  if (several_servers) {
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
