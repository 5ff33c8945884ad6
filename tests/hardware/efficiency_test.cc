#include "hardware/efficiency.h"

#include <gtest/gtest.h>

#include "base/catalog.h"
#include "hardware/machine.h"

namespace lodestone {
namespace {

Result<std::vector<EfficiencyEntry>> Parse(const std::string& body) {
  const std::string text = "kind = \"efficiency\"\nname = \"own\"\n" + body;
  LODESTONE_ASSIGN_OR_RETURN(const Json toml, ParseToml(text, "own.toml"));
  return ParseEfficiency(toml, "own.toml");
}

// An entry with every factor at `share` or `share` seconds.
std::string Whole(const std::string& owner, const std::string& share) {
  std::string text = "[[factors]]\n" + owner + "\nnote = \"made up\"\n";
  for (const EfficiencyField& field : EfficiencyFields()) {
    text += std::string(field.key) + " = {value = " + share + ", source = \"derived\"}\n";
  }
  return text;
}

Machine Named(const std::string& name, const std::string& its_class) {
  Machine machine;
  machine.name = name;
  machine.efficiency_class = its_class;
  return machine;
}

TEST(Efficiency, TheEntryThatSaysMostWinsFactorByFactor) {
  const Result<std::vector<EfficiencyEntry>> entries = Parse(
      Whole("class = \"gpu-nvidia\"", "0.1") +
      "[[factors]]\nclass = \"gpu-nvidia\"\nstack = \"s\"\nnote = \"n\"\n"
      "memory = {value = 0.2, source = \"derived\"}\nkv = {value = 0.2, source = \"derived\"}\n"
      "matrix = {value = 0.2, source = \"derived\"}\n"
      "[[factors]]\nmachine = \"m\"\nnote = \"n\"\nmemory = {value = 0.3, source = \"derived\"}\n"
      "kv = {value = 0.3, source = \"derived\"}\n"
      "[[factors]]\nmachine = \"m\"\nstack = \"s\"\nnote = \"n\"\nmemory = {value = 0.4, source = \"derived\"}\n");
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  const Machine machine = Named("m", "gpu-nvidia");
  const Result<Efficiency> with = EfficiencyOf(machine, "s", *entries);
  ASSERT_TRUE(with.ok()) << with.error().message;
  EXPECT_EQ(with->memory.value, 0.4);  // machine and stack
  EXPECT_EQ(with->kv.value, 0.3);      // machine
  EXPECT_EQ(with->matrix.value, 0.2);  // class and stack
  EXPECT_EQ(with->link.value, 0.1);    // class
  EXPECT_EQ(with->link.note, "made up");
  const Result<Efficiency> without = EfficiencyOf(machine, "", *entries);
  ASSERT_TRUE(without.ok()) << without.error().message;
  EXPECT_EQ(without->memory.value, 0.3);
  EXPECT_EQ(without->matrix.value, 0.1);
  EXPECT_EQ(EfficiencyOf(Named("other", "gpu-nvidia"), "s", *entries)->memory.value, 0.2);
}

TEST(Efficiency, TheMachinesOwnFileSaysMost) {
  const Result<std::vector<EfficiencyEntry>> entries =
      Parse(Whole("class = \"cpu\"", "0.1") + Whole("machine = \"m\"", "0.3"));
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  Machine machine = Named("m", "cpu");
  machine.factors = {{"", "", "", "m.toml:1", {{&EfficiencyFields()[2], Figure{.value = 0.9}}}}};
  const Result<Efficiency> efficiency = EfficiencyOf(machine, "", *entries);
  ASSERT_TRUE(efficiency.ok()) << efficiency.error().message;
  EXPECT_EQ(efficiency->memory.value, 0.9);
  EXPECT_EQ(efficiency->matrix.value, 0.3);
}

TEST(Efficiency, WhatNobodyGivesIsRefusedByName) {
  const Result<std::vector<EfficiencyEntry>> entries = Parse(Whole("class = \"cpu\"", "0.5"));
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  const Result<Efficiency> none = EfficiencyOf(Named("m", "wafer"), "", *entries);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(none.error().message.find("'wafer'"), std::string::npos) << none.error().message;
  EXPECT_NE(none.error().message.find("matrix, matrix_rows, memory"), std::string::npos) << none.error().message;
  EXPECT_TRUE(EfficiencyOf(Named("m", "cpu"), "", *entries).ok());
}

TEST(Efficiency, AnUnknownStackListsTheKnownOnes) {
  const Result<Machine> machine = LoadMachine("a100-40gb");
  ASSERT_TRUE(machine.ok()) << machine.error().message;
  const Result<Efficiency> unknown = EfficiencyOf(*machine, "vlm");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
  EXPECT_NE(unknown.error().message.find("did you mean 'vllm'?"), std::string::npos) << unknown.error().message;
}

TEST(Efficiency, RefusesWithFileAndLine) {
  const auto expect_refused = [](const std::string& body, int line, const std::string& part) {
    const auto entries = Parse(body);
    ASSERT_FALSE(entries.ok()) << body;
    EXPECT_TRUE(entries.error().message.starts_with("own.toml:" + std::to_string(line) + ":"))
        << entries.error().message;
    EXPECT_NE(entries.error().message.find(part), std::string::npos) << entries.error().message;
  };
  const std::string head = "[[factors]]\nclass = \"cpu\"\n";  // lines 3 and 4
  expect_refused(head + "memory = 0.7", 5, "factors[0].memory");
  expect_refused(head + "memory = {value = 1.2, source = \"measured\"}", 5, "1.2");
  expect_refused(head + "memory = {value = 0, source = \"measured\"}", 5, "from 0.0001");
  expect_refused(head + "launch_s = {value = -1e-6, source = \"measured\"}", 5, "launch_s");
  expect_refused(head + "launch_us = {value = 5, source = \"measured\"}", 5, "unknown key");
  expect_refused(head + "memory = {value = 0.5, source = \"derived\"}", 5, "note");
  expect_refused("[[factors]]\nclass = \"gpu\"\n", 4, "gpu-nvidia");
  expect_refused("[[factors]]\nstack = \"vllm\"\n", 3, "either a machine or a class");
  expect_refused("[[factors]]\nclass = \"cpu\"\nmachine = \"m\"\n", 3, "either a machine or a class");
  expect_refused(head + "[[factors]]\nclass = \"cpu\"\n", 5, "own.toml:3");
  expect_refused("factors = 5", 3, "tables");
  expect_refused("comment = 5", 3, "unknown key");
}

TEST(Efficiency, AnIdealDeviceHasItsRatesAndNoOverhead) {
  const Efficiency ideal = IdealEfficiency();
  EXPECT_EQ(ideal.memory.value, 1);
  EXPECT_EQ(ideal.usable_memory.value, 1);
  EXPECT_EQ(ideal.launch_s.value, 0);
  EXPECT_EQ(ideal.matrix_rows.value, 0);
  for (const EfficiencyField& field : EfficiencyFields()) {
    const Figure& figure = ideal.*field.member;
    EXPECT_EQ(figure.value, field.ideal) << field.key;
    EXPECT_EQ(*figure.low, *figure.high) << field.key;
    if (field.share) EXPECT_EQ(figure.value, 1) << field.key;
  }
}

TEST(EfficiencyCatalog, EveryClassHasEveryFactor) {
  const Result<std::vector<EfficiencyEntry>>& entries = CatalogEfficiency();
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  for (const std::string_view name : EfficiencyClasses()) {
    const Result<Efficiency> efficiency = EfficiencyOf(Named("none", std::string(name)), "", *entries);
    EXPECT_TRUE(efficiency.ok()) << efficiency.error().message;
  }
}

TEST(EfficiencyCatalog, FactorsNameMachinesOfTheCatalogue) {
  const Result<std::vector<EfficiencyEntry>>& entries = CatalogEfficiency();
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  for (const EfficiencyEntry& entry : *entries) {
    const bool of_the_catalogue = !entry.machine.empty() && entry.machine != MachineOf(HostLimits{}).name;
    if (of_the_catalogue) EXPECT_TRUE(LoadMachine(entry.machine).ok()) << entry.where << " " << entry.machine;
    for (const auto& [field, figure] : entry.factors) {
      EXPECT_GT(figure.note.size(), 5u) << entry.where << " " << field->key;
      if (figure.source == FieldSource::kAssumed) EXPECT_TRUE(figure.low && figure.high) << entry.where;
    }
  }
}

TEST(EfficiencyCatalog, StacksAreListed) {
  const std::vector<std::string> names = StackNames();
  EXPECT_NE(std::find(names.begin(), names.end(), "vllm"), names.end());
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (const std::string& name : StackNames(*LoadMachine("a100-40gb"))) {
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  }
}

}  // namespace
}  // namespace lodestone
