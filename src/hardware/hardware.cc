#include "hardware/hardware.h"

#include <fmt/format.h>

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
