#include <gtest/gtest.h>

#include <random>

#include "hardware/figure_fields.h"
#include "hardware/hardware.h"

namespace lodestone {
namespace {

// Line by line, so that a test names the line that it spoils.
const std::vector<std::string> kLines = {
    "kind = \"appliance\"",                                                                                 // 1
    "name = \"own\"",                                                                                       // 2
    "cards = 8",                                                                                            // 3
    "cards_per_server = 8",                                                                                 // 4
    "host_turnaround_s = {value = 2e-5, source = \"assumed\", note = \"guess\", low = 1e-6, high = 1e-4}",  // 5
    "[card]",                                                                                               // 6
    "name = \"own-card\"",                                                                                  // 7
    "chip = \"northpole-chip\"",                                                                            // 8
    "power_w = {value = 40, source = \"measured\"}",                                                        // 9
    "link_bytes_per_s = {value = 8e9, source = \"data sheet\"}",                                            // 10
    "link_latency_s = {value = 1e-6, source = \"derived\", note = \"2 / 2 µs\"}",                           // 11
};

std::string Join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

Result<ApplianceSpec> Parse(const std::string& text) {
  LODESTONE_ASSIGN_OR_RETURN(const Json json, ParseToml(text, "own.toml"));
  return ParseAppliance(json, "own.toml");
}

// The file with line `number` replaced; the message has to name `file:line` and say every one of `parts`.
void ExpectRefused(int number, const std::string& line, int reported_line, const std::vector<std::string>& parts) {
  SCOPED_TRACE(line);
  std::vector<std::string> lines = kLines;
  lines[static_cast<size_t>(number - 1)] = line;
  const Result<ApplianceSpec> spec = Parse(Join(lines));
  ASSERT_FALSE(spec.ok());
  const std::string& message = spec.error().message;
  EXPECT_TRUE(message.starts_with("own.toml:" + std::to_string(reported_line))) << message;
  for (const std::string& part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(ParseAppliance, ReadsAnInlineCardWithAChipOfTheCatalogue) {
  const Result<ApplianceSpec> spec = Parse(Join(kLines));
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(spec->name, "own");
  EXPECT_EQ(spec->cards, 8);
  EXPECT_EQ(spec->card.name, "own-card");
  EXPECT_EQ(spec->card.power_w.value, 40);
  EXPECT_EQ(spec->card.power_w.source, FieldSource::kMeasured);
  EXPECT_EQ(spec->card.link_latency_s.note, "2 / 2 µs");
  EXPECT_EQ(spec->card.chip.cores.value, 256);
  EXPECT_EQ(*spec->host_turnaround_s.low, 1e-6);
  EXPECT_FALSE(spec->card.power_w.low.has_value());
  EXPECT_FALSE(spec->price_usd.has_value());
}

TEST(ParseAppliance, RefusesUnknownKeysByNameAndLine) {
  ExpectRefused(9, "power_w = {value = 40, source = \"measured\"}\npower = {value = 40, source = \"measured\"}", 10,
                {"card.power", "did you mean 'power_w'?"});
  ExpectRefused(9, "power_w = {value = 40, source = \"measured\", hgh = 50}", 9, {"card.power_w.hgh", "high"});
  ExpectRefused(3, "cards = 8\ncolour = \"red\"", 4, {"colour", "unknown key"});
  // A mistyped key of a required figure is both missing and unknown.
  ExpectRefused(9, "powr_w = {value = 40, source = \"measured\"}", 6, {"card.power_w", "'powr_w'"});
}

TEST(ParseAppliance, RefusesMissingFigures) {
  ExpectRefused(9, "", 6, {"card.power_w", "found nothing"});
  ExpectRefused(5, "", 1, {"host_turnaround_s", "found nothing"});
  ExpectRefused(9, "power_w = {source = \"measured\"}", 9, {"card.power_w.value", "found nothing"});
  ExpectRefused(9, "power_w = {value = 40}", 9, {"card.power_w.source", "found nothing"});
  ExpectRefused(8, "", 6, {"card.chip", "found nothing"});
}

TEST(ParseAppliance, RefusesWhatIsNoFigure) {
  ExpectRefused(9, "power_w = 40", 9, {"card.power_w", "value = …"});
  ExpectRefused(9, "power_w = {value = \"40\", source = \"measured\"}", 9, {"card.power_w.value", "40"});
  ExpectRefused(9, "power_w = {value = 40, source = \"rumour\"}", 9, {"card.power_w.source", "'rumour'", "data sheet"});
}

TEST(ParseAppliance, RefusesValuesOutsideTheirRange) {
  ExpectRefused(9, "power_w = {value = 0, source = \"measured\"}", 9, {"card.power_w.value", "found 0"});
  ExpectRefused(9, "power_w = {value = -1, source = \"measured\"}", 9, {"card.power_w.value", "-1"});
  ExpectRefused(9, "power_w = {value = nan, source = \"measured\"}", 9, {"card.power_w.value"});
  ExpectRefused(9, "power_w = {value = inf, source = \"measured\"}", 9, {"card.power_w.value"});
  ExpectRefused(3, "cards = 0", 3, {"cards", "found 0"});
  ExpectRefused(3, "cards = 1000001", 3, {"cards", "1000000"});
  ExpectRefused(3, "cards = 1.5", 3, {"cards", "1.5"});
  ExpectRefused(4, "cards_per_server = 0", 4, {"cards_per_server"});
}

TEST(ParseAppliance, AssumedAndDerivedFiguresExplainThemselves) {
  ExpectRefused(9, "power_w = {value = 40, source = \"derived\"}", 9, {"card.power_w.note", "arithmetic"});
  ExpectRefused(9, "power_w = {value = 40, source = \"assumed\", low = 1, high = 50}", 9,
                {"card.power_w.note", "reason"});
  ExpectRefused(9, "power_w = {value = 40, source = \"assumed\", note = \"n\", high = 50}", 9, {"card.power_w.low"});
  ExpectRefused(9, "power_w = {value = 40, source = \"assumed\", note = \"n\", low = 30}", 9, {"card.power_w.high"});
  ExpectRefused(9, "power_w = {value = 40, source = \"measured\", low = 41}", 9, {"card.power_w.low", "41"});
  ExpectRefused(9, "power_w = {value = 40, source = \"measured\", high = 39}", 9, {"card.power_w.high", "39"});
}

TEST(ParseAppliance, RefusesAWrongKind) {
  ExpectRefused(1, "kind = \"card\"", 1, {"kind", "'card'", "'appliance'"});
  ExpectRefused(7, "name = \"own-card\"\nkind = \"chip\"", 8, {"card.kind"});
  ExpectRefused(8, "chip = \"northpole-card\"", 8, {"card.chip", "'northpole-card' is a card, not a chip"});
  ExpectRefused(8, "chip = \"northpole-chop\"", 8, {"'northpole-chop'", "did you mean 'northpole-chip'?"});
  ExpectRefused(8, "chip = 5", 8, {"card.chip"});
}

TEST(ParseAppliance, RefusesUnprintableNames) {
  ExpectRefused(2, "name = \"a\\u001b[31m\"", 2, {"name", "\\x1b"});
  ExpectRefused(2, "name = \"\"", 2, {"name", "empty"});
  ExpectRefused(2, "name = \"" + std::string(101, 'a') + "\"", 2, {"name", "101"});
}

TEST(ParseAppliance, SeveralServersNeedANetwork) {
  ExpectRefused(4, "cards_per_server = 4", 1, {"network_bytes_per_s", "8 cards at 4 a server"});
  std::vector<std::string> lines = kLines;
  lines[3] =
      "cards_per_server = 4\nnetwork_bytes_per_s = {value = 1e9, source = \"data sheet\"}\n"
      "network_latency_s = {value = 1e-6, source = \"data sheet\"}";
  const Result<ApplianceSpec> spec = Parse(Join(lines));
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(spec->network_bytes_per_s->value, 1e9);
}

TEST(ParseAppliance, RefusesWhatIsNoTable) {
  EXPECT_FALSE(ParseAppliance(Json(5), "own.json").ok());
  EXPECT_FALSE(ParseAppliance(Json(), "own.json").ok());
  EXPECT_FALSE(ParseAppliance(Json(Json::Array{}), "own.json").ok());
}

// Every required figure of the tables in figure_fields.h is required, whole where it says so, and bounded on both
// sides.
TEST(ParseApplianceProperty, EveryChipFigureIsReadAndBounded) {
  const Result<ApplianceSpec> reference = LoadAppliance("northpole-16");
  ASSERT_TRUE(reference.ok()) << reference.error().message;
  const auto chip_text = [&](std::string_view changed, const std::string& value) {
    std::vector<std::string> lines = kLines;
    lines[7] = "";
    lines.push_back("[card.chip]");
    for (const auto& field : kChipFields) {
      if (field.key == changed && value.empty()) continue;
      const std::string number =
          field.key == changed ? value : std::to_string((reference->card.chip.*field.member).value);
      lines.push_back(std::string(field.key) + " = {value = " + number + ", source = \"measured\"}");
    }
    return Join(lines);
  };
  ASSERT_TRUE(Parse(chip_text("", "")).ok()) << Parse(chip_text("", "")).error().message;
  for (const auto& field : kChipFields) {
    SCOPED_TRACE(field.key);
    EXPECT_FALSE(Parse(chip_text(field.key, "")).ok());
    EXPECT_FALSE(Parse(chip_text(field.key, "-1")).ok());
    EXPECT_FALSE(Parse(chip_text(field.key, "1e30")).ok());
    EXPECT_FALSE(Parse(chip_text(field.key, "nan")).ok());
    if (field.range.whole) EXPECT_FALSE(Parse(chip_text(field.key, "2.5")).ok());
    const Result<ApplianceSpec> least = Parse(chip_text(field.key, std::to_string(field.range.min)));
    ASSERT_TRUE(least.ok()) << least.error().message;
    EXPECT_NEAR((least->card.chip.*field.member).value, field.range.min, 1e-9);
  }
}

TEST(ParseApplianceProperty, SpoiledFilesAreReadOrRefusedWithTheirName) {
  std::mt19937 random(7);
  const std::string text = Join(kLines);
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string spoiled = text;
    for (int change = 0; change < 1 + round % 4; ++change) {
      spoiled[random() % spoiled.size()] = static_cast<char>(32 + random() % 95);
    }
    const Result<ApplianceSpec> spec = Parse(spoiled);
    if (spec.ok()) continue;
    ++refused;
    EXPECT_TRUE(spec.error().message.starts_with("own.toml")) << spec.error().message;
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace lodestone
