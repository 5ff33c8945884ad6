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
    "cards_per_switch = 4",                                                                                 // 6
    "uplink_bytes_per_s = {value = 6e10, source = \"data sheet\"}",                                         // 7
    "host_transfer_s = {value = 1e-5, source = \"measured\"}",                                              // 8
    "[card]",                                                                                               // 9
    "name = \"own-card\"",                                                                                  // 10
    "chip = \"northpole-chip\"",                                                                            // 11
    "power_w = {value = 40, source = \"measured\"}",                                                        // 12
    "link_bytes_per_s = {value = 8e9, source = \"data sheet\"}",                                            // 13
    "link_latency_s = {value = 1e-6, source = \"derived\", note = \"2 / 2 µs\"}",                           // 14
    "static_power_w = {value = 30, source = \"measured\"}",                                                 // 15
    "link_byte_pj = {value = 80, source = \"data sheet\"}",                                                 // 16
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
  ExpectRefused(12, "power_w = {value = 40, source = \"measured\"}\npower = {value = 40, source = \"measured\"}", 13,
                {"card.power", "did you mean 'power_w'?"});
  ExpectRefused(12, "power_w = {value = 40, source = \"measured\", hgh = 50}", 12, {"card.power_w.hgh", "high"});
  ExpectRefused(3, "cards = 8\ncolour = \"red\"", 4, {"colour", "unknown key"});
  // A mistyped key of a required figure is both missing and unknown.
  ExpectRefused(12, "powr_w = {value = 40, source = \"measured\"}", 9, {"card.power_w", "'powr_w'"});
}

TEST(ParseAppliance, RefusesMissingFigures) {
  ExpectRefused(12, "", 9, {"card.power_w", "found nothing"});
  ExpectRefused(5, "", 1, {"host_turnaround_s", "found nothing"});
  ExpectRefused(12, "power_w = {source = \"measured\"}", 12, {"card.power_w.value", "found nothing"});
  ExpectRefused(12, "power_w = {value = 40}", 12, {"card.power_w.source", "found nothing"});
  ExpectRefused(11, "", 9, {"card.chip", "found nothing"});
}

TEST(ParseAppliance, RefusesWhatIsNoFigure) {
  ExpectRefused(12, "power_w = 40", 12, {"card.power_w", "value = …"});
  ExpectRefused(12, "power_w = {value = \"40\", source = \"measured\"}", 12, {"card.power_w.value", "40"});
  ExpectRefused(12, "power_w = {value = 40, source = \"rumour\"}", 12,
                {"card.power_w.source", "'rumour'", "data sheet"});
}

TEST(ParseAppliance, RefusesValuesOutsideTheirRange) {
  ExpectRefused(12, "power_w = {value = 0, source = \"measured\"}", 12, {"card.power_w.value", "found 0"});
  ExpectRefused(12, "power_w = {value = -1, source = \"measured\"}", 12, {"card.power_w.value", "-1"});
  ExpectRefused(12, "power_w = {value = nan, source = \"measured\"}", 12, {"card.power_w.value"});
  ExpectRefused(12, "power_w = {value = inf, source = \"measured\"}", 12, {"card.power_w.value"});
  ExpectRefused(3, "cards = 0", 3, {"cards", "found 0"});
  ExpectRefused(3, "cards = 1000001", 3, {"cards", "1000000"});
  ExpectRefused(3, "cards = 1.5", 3, {"cards", "1.5"});
  ExpectRefused(4, "cards_per_server = 0", 4, {"cards_per_server"});
}

TEST(ParseAppliance, AssumedAndDerivedFiguresExplainThemselves) {
  ExpectRefused(12, "power_w = {value = 40, source = \"derived\"}", 12, {"card.power_w.note", "arithmetic"});
  ExpectRefused(12, "power_w = {value = 40, source = \"assumed\", low = 1, high = 50}", 12,
                {"card.power_w.note", "reason"});
  ExpectRefused(12, "power_w = {value = 40, source = \"assumed\", note = \"n\", high = 50}", 12, {"card.power_w.low"});
  ExpectRefused(12, "power_w = {value = 40, source = \"assumed\", note = \"n\", low = 30}", 12, {"card.power_w.high"});
  ExpectRefused(12, "power_w = {value = 40, source = \"measured\", low = 41}", 12, {"card.power_w.low", "41"});
  ExpectRefused(12, "power_w = {value = 40, source = \"measured\", high = 39}", 12, {"card.power_w.high", "39"});
}

TEST(ParseAppliance, RefusesAWrongKind) {
  ExpectRefused(1, "kind = \"card\"", 1, {"kind", "'card'", "'appliance'"});
  ExpectRefused(10, "name = \"own-card\"\nkind = \"chip\"", 11, {"card.kind"});
  ExpectRefused(11, "chip = \"northpole-card\"", 11, {"card.chip", "'northpole-card' is a card, not a chip"});
  ExpectRefused(11, "chip = \"northpole-chop\"", 11, {"'northpole-chop'", "did you mean 'northpole-chip'?"});
  ExpectRefused(11, "chip = 5", 11, {"card.chip"});
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

TEST(ParseAppliance, AnArrayIsARectangle) {
  std::vector<std::string> lines = kLines;
  lines[10] = "";
  lines.push_back("[card.chip]\nassumptions = \"northpole-assumptions\"");  // 17, 18
  lines.push_back("cores = {value = 96, source = \"paper\"}");              // 19
  lines.push_back("array_rows = {value = 10, source = \"paper\"}");         // 20
  for (const char* key :
       {"core_memory_bytes", "framebuffer_bytes", "int8_ops_per_core_cycle", "int4_ops_per_core_cycle",
        "int2_ops_per_core_cycle", "memory_bytes_per_core_cycle", "activation_lanes_per_core", "transistors"}) {
    lines.push_back(std::string(key) + " = {value = 64, source = \"paper\"}");
  }
  const Result<ApplianceSpec> refused = Parse(Join(lines));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("own.toml:20"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("found 10, expected a divisor of the 96 cores"), std::string::npos)
      << refused.error().message;
  lines[18] = "array_rows = {value = 8, source = \"paper\"}";
  const Result<ApplianceSpec> spec = Parse(Join(lines));
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(spec->card.chip.matrix_columns.value, 32);  // from the assumptions
}

TEST(ParseAppliance, EveryColumnTakesAMultiplyAndAnAdd) {
  std::vector<std::string> lines = kLines;
  lines[10] = "";
  lines.push_back("[card.chip]\nassumptions = \"northpole-assumptions\"");        // 17, 18
  lines.push_back("matrix_columns = {value = 33, source = \"paper\"}");           // 19
  lines.push_back("cores = {value = 96, source = \"paper\"}");                    // 20
  lines.push_back("array_rows = {value = 8, source = \"paper\"}");                // 21
  lines.push_back("int8_ops_per_core_cycle = {value = 64, source = \"paper\"}");  // 22
  for (const char* key :
       {"core_memory_bytes", "framebuffer_bytes", "int4_ops_per_core_cycle", "int2_ops_per_core_cycle",
        "memory_bytes_per_core_cycle", "activation_lanes_per_core", "transistors"}) {
    lines.push_back(std::string(key) + " = {value = 128, source = \"paper\"}");
  }
  const Result<ApplianceSpec> refused = Parse(Join(lines));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("own.toml:19"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("found 33, expected at most half of the 64 operations"), std::string::npos)
      << refused.error().message;
  lines[17] = "matrix_columns = {value = 32, source = \"paper\"}";
  EXPECT_TRUE(Parse(Join(lines)).ok());
}

TEST(ParseAppliance, ASwitchLiesWithinAServer) {
  ExpectRefused(6, "cards_per_switch = 9", 6, {"cards_per_switch", "found 9", "the 8 cards of a server"});
}

TEST(ParseAppliance, AssumptionsGiveWhatIsMissing) {
  std::vector<std::string> lines = kLines;
  lines[4] = "assumptions = \"northpole-assumptions\"";
  lines[13] = "assumptions = \"northpole-assumptions\"";
  const Result<ApplianceSpec> spec = Parse(Join(lines));
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  const Result<ApplianceSpec> reference = LoadAppliance("northpole-16");
  ASSERT_TRUE(reference.ok()) << reference.error().message;
  EXPECT_EQ(spec->host_turnaround_s.value, reference->host_turnaround_s.value);
  EXPECT_EQ(spec->card.link_latency_s.value, reference->card.link_latency_s.value);
  EXPECT_EQ(spec->card.static_power_w.value, 30);     // what a file gives itself stands
  EXPECT_FALSE(spec->network_latency_s.has_value());  // one server needs no network

  lines[3] = "cards_per_server = 4\nnetwork_bytes_per_s = {value = 1e9, source = \"data sheet\"}";
  const Result<ApplianceSpec> servers = Parse(Join(lines));
  ASSERT_TRUE(servers.ok()) << servers.error().message;
  EXPECT_EQ(servers->network_bytes_per_s->value, 1e9);
  EXPECT_EQ(servers->network_latency_s->value, 5e-6);

  ExpectRefused(5, "assumptions = \"northpole-assumption\"", 5,
                {"assumptions", "did you mean 'northpole-assumptions'?"});
  ExpectRefused(5, "assumptions = \"northpole-chip\"", 5, {"assumptions", "'northpole-chip' is a chip"});
  ExpectRefused(5, "assumptions = 5", 5, {"assumptions"});
}

TEST(SetFigure, SetsOneFigureAndLeavesTheRest) {
  Result<ApplianceSpec> spec = LoadAppliance("northpole-16");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  const std::vector<NamedFigure> before = FiguresOf(*spec);
  ASSERT_TRUE(SetFigure(*spec, "card.chip.clock_hz", 25e6).ok());
  const std::vector<NamedFigure> after = FiguresOf(*spec);
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].name, after[i].name);
    EXPECT_EQ(after[i].figure.value, before[i].name == "card.chip.clock_hz" ? 25e6 : before[i].figure.value);
    EXPECT_EQ(after[i].figure.note, before[i].figure.note);
  }
}

TEST(SetFigure, RefusesNamesAndValues) {
  Result<ApplianceSpec> spec = LoadAppliance("northpole-16");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  const auto expect_refused = [&](const char* name, double value, const char* part) {
    const Status status = SetFigure(*spec, name, value);
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_NE(status.error().message.find(part), std::string::npos) << status.error().message;
  };
  expect_refused("card.chip.clock", 4e8, "did you mean 'card.chip.clock_hz'?");
  expect_refused("clock_hz", 4e8, "has no figure 'clock_hz'");
  expect_refused("network_latency_s", 1e-6, "has no figure");  // one server
  expect_refused("card.chip.clock_hz", 0, "found 0");
  expect_refused("card.chip.clock_hz", -1e300, "expected a number from");
  expect_refused("card.chip.hop_cycles", 1.5, "whole");
  expect_refused("card.chip.array_rows", 10, "divisor of the 256 cores");
  expect_refused("card.chip.cores", 250, "rectangle");
  expect_refused("card.chip.matrix_columns", 1025, "card.chip.matrix_columns: found 1025, expected at most half");
  expect_refused("card.chip.int8_ops_per_core_cycle", 62, "found 32, expected at most half of the 62");
  EXPECT_TRUE(SetFigure(*spec, "card.chip.matrix_columns", 1024).ok());
  EXPECT_EQ(spec->card.chip.cores.value, 256);
  EXPECT_TRUE(SetFigure(*spec, "card.chip.array_rows", 8).ok());
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
    lines[10] = "";
    lines.push_back("[card.chip]");
    for (const auto& field : kChipFields) {
      if (field.key == changed && value.empty()) continue;
      // One row of cores: whatever their number, they are a rectangle.
      const std::string number = field.key == changed ? value
                                 : field.key == "array_rows" || field.key == "matrix_columns"
                                     ? "1"  // and one column of the matrix unit takes any rate
                                     : std::to_string((reference->card.chip.*field.member).value);
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
