#include "hardware/host_limits.h"

#include <gtest/gtest.h>

namespace lodestone {
namespace {

Result<HostLimits> Parse(const std::string& text) {
  LODESTONE_ASSIGN_OR_RETURN(const Json json, ParseToml(text, "host.toml"));
  return ParseHostLimits(json, "host.toml");
}

const std::string kHead = "kind = \"host\"\ncpu_name = \"A CPU\"\nthreads = 4\nmeasured_at = \"2026-01-31\"\n";

HostRate Rate(double one, double all) {
  const auto figure = [](double value) {
    return Figure{.value = value, .source = FieldSource::kMeasured, .note = "a \"note\" with \\ and · in it"};
  };
  return {figure(one), figure(all)};
}

TEST(HostLimits, TheTextReadsBackTheSame) {
  HostLimits limits;
  limits.cpu_name = "A CPU \"of\" a kind";
  limits.threads = 4;
  limits.measured_at = "2026-01-31";
  limits.l3_bytes = Figure{.value = 33554432, .source = FieldSource::kMeasured, .note = "told"};
  double value = 1e9;
  for (const HostRateField& field : HostRateFields()) {
    value *= 2;
    limits.*field.member = Rate(value, 3 * value);
  }
  const Result<HostLimits> read = Parse(ToToml(limits));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->cpu_name, limits.cpu_name);
  EXPECT_EQ(read->threads, 4);
  EXPECT_EQ(read->measured_at, "2026-01-31");
  EXPECT_EQ(read->l3_bytes->value, 33554432);
  for (const HostRateField& field : HostRateFields()) {
    const std::optional<HostRate>&written = limits.*field.member, &found = (*read).*field.member;
    ASSERT_TRUE(found.has_value()) << field.key;
    EXPECT_NEAR(found->one.value / written->one.value, 1, 1e-3) << field.key;
    EXPECT_NEAR(found->all.value / written->all.value, 1, 1e-3) << field.key;
    EXPECT_EQ(found->all.note, written->all.note);
    EXPECT_EQ(found->all.source, FieldSource::kMeasured);
  }
}

TEST(HostLimits, WhatIsNotGivenIsAbsent) {
  const Result<HostLimits> read = Parse(kHead);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_FALSE(read->l3_bytes.has_value());
  EXPECT_EQ(read->int8_ops_per_s(), nullptr);
  for (const HostRateField& field : HostRateFields()) EXPECT_FALSE(((*read).*field.member).has_value()) << field.key;
}

TEST(HostLimits, TheFastestInt8UnitCounts) {
  HostLimits limits;
  limits.int8_avx2_ops_per_s = Rate(1e11, 2e11);
  EXPECT_EQ(limits.int8_ops_per_s()->all.value, 2e11);
  limits.int8_amx_ops_per_s = Rate(6e12, 12e12);
  limits.int8_vnni_ops_per_s = Rate(1e12, 2e12);
  EXPECT_EQ(limits.int8_ops_per_s()->all.value, 12e12);
}

TEST(HostRate, BetweenOneAndAllTheLowerLimitHolds) {
  const HostRate memory = Rate(10e9, 25e9);
  EXPECT_EQ(memory.At(1, 4), 10e9);
  EXPECT_EQ(memory.At(2, 4), 20e9);
  EXPECT_EQ(memory.At(3, 4), 25e9);
  EXPECT_EQ(memory.At(4, 4), 25e9);
  EXPECT_EQ(memory.At(9, 4), 25e9);
  EXPECT_EQ(memory.At(1, 1), 10e9);
}

TEST(HostLimits, RefusesWithKeyAndLine) {
  const std::string figure = "{value = 1e9, source = \"measured\"}";
  const std::pair<std::string, std::vector<std::string>> cases[] = {
      {kHead + "speed = 1", {"host.toml:5", "speed"}},
      {kHead + "dram_bytes_per_s = 1e9", {"host.toml:5", "dram_bytes_per_s", "one"}},
      {kHead + "[dram_bytes_per_s]\none = " + figure, {"dram_bytes_per_s.all"}},
      {kHead + "[dram_bytes_per_s]\none = " + figure + "\nall = " + figure + "\ntwo = 1",
       {"host.toml:8", "dram_bytes_per_s.two"}},
      {kHead + "[dram_bytes_per_s]\none = {value = -1, source = \"measured\"}\nall = " + figure,
       {"host.toml:6", "dram_bytes_per_s.one.value"}},
      {kHead + "[dram_bytes_per_s]\none = {value = 1e9}\nall = " + figure, {"dram_bytes_per_s.one.source"}},
      {"kind = \"chip\"\n" + kHead.substr(kHead.find('\n') + 1), {"host.toml:1", "'chip'", "'host'"}},
      {"kind = \"host\"\nthreads = 0\ncpu_name = \"x\"\nmeasured_at = \"y\"", {"host.toml:2", "threads"}},
      {"kind = \"host\"\nthreads = 1\nmeasured_at = \"y\"", {"cpu_name"}},
      {"", {"kind"}},
  };
  for (const auto& [text, parts] : cases) {
    const Result<HostLimits> read = Parse(text);
    ASSERT_FALSE(read.ok()) << text;
    for (const std::string& part : parts) {
      EXPECT_NE(read.error().message.find(part), std::string::npos) << part << " in " << read.error().message;
    }
  }
}

}  // namespace
}  // namespace lodestone
