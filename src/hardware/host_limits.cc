#include "hardware/host_limits.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quote.h"
#include "hardware/figure_reader.h"

namespace lodestone {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;
constexpr int kMaxThreads = 65536;
constexpr FigureRange kHostRateRange{1e3, 1e18};
constexpr FigureRange kCacheRange{1, 1e15, true};

constexpr HostRateField kRates[] = {
    {"l1_bytes_per_s", &HostLimits::l1_bytes_per_s},
    {"l2_bytes_per_s", &HostLimits::l2_bytes_per_s},
    {"l3_bytes_per_s", &HostLimits::l3_bytes_per_s},
    {"dram_bytes_per_s", &HostLimits::dram_bytes_per_s},
    {"f32_ops_per_s", &HostLimits::f32_ops_per_s},
    {"int8_avx2_ops_per_s", &HostLimits::int8_avx2_ops_per_s},
    {"int8_vnni_ops_per_s", &HostLimits::int8_vnni_ops_per_s},
    {"int8_amx_ops_per_s", &HostLimits::int8_amx_ops_per_s},
    {"bf16_amx_ops_per_s", &HostLimits::bf16_amx_ops_per_s},
};

Result<HostRate> ReadRate(ObjectReader& parent, std::string_view key) {
  const Json* table = parent.Require(key);
  if (table == nullptr || table->as_object() == nullptr) {
    parent.Fail(key, "expected {one = {…}, all = {…}}: the figures of one thread and of all");
    return parent.status().error();
  }
  ObjectReader reader(*table, parent.file(), parent.PathOf(key));
  reader.Ignore("all");
  HostRate rate;
  LODESTONE_ASSIGN_OR_RETURN(rate.one, ReadFigure(reader, "one", kHostRateRange));
  LODESTONE_ASSIGN_OR_RETURN(rate.all, ReadFigure(reader, "all", kHostRateRange));
  LODESTONE_RETURN_IF_ERROR(Close(reader));
  return rate;
}

// A JSON string is a TOML string.
std::string Text(const std::string& text) { return Json(text).Dump(-1); }

std::string Text(const Figure& figure) {
  return fmt::format("{{value = {:.4g}, source = \"{}\", note = {}}}", figure.value, ToString(figure.source),
                     Text(figure.note));
}

}  // namespace

double HostRate::At(int threads, int of) const {
  if (threads <= 1) return one.value;
  return threads >= of ? all.value : std::min(one.value * threads, std::max(one.value, all.value));
}

const HostRate* HostLimits::int8_ops_per_s() const {
  const HostRate* best = nullptr;
  for (const auto* rate : {&int8_avx2_ops_per_s, &int8_vnni_ops_per_s, &int8_amx_ops_per_s}) {
    if (*rate && (best == nullptr || (*rate)->all.value > best->all.value)) best = &**rate;
  }
  return best;
}

std::span<const HostRateField> HostRateFields() { return kRates; }

Result<HostLimits> ParseHostLimits(const Json& toml, const std::string& file) {
  ObjectReader reader(toml, file);
  reader.Ignore("l3_bytes");
  for (const HostRateField& field : kRates) reader.Ignore(field.key);
  const std::string kind = reader.RequireString("kind");
  if (kind != "host") reader.Fail("kind", fmt::format("found {}, expected 'host'", Quoted(kind)));
  HostLimits limits;
  limits.cpu_name = ReadText(reader, "cpu_name", true, kMaxNameBytes);
  limits.threads = static_cast<int>(reader.RequireInt("threads", 1, kMaxThreads));
  limits.measured_at = ReadText(reader, "measured_at", true, kMaxNameBytes);
  if (!reader.status().ok()) return Close(reader).error();
  if (reader.Has("l3_bytes")) {
    LODESTONE_ASSIGN_OR_RETURN(limits.l3_bytes, ReadFigure(reader, "l3_bytes", kCacheRange));
  }
  for (const HostRateField& field : kRates) {
    if (!reader.Has(field.key)) continue;
    LODESTONE_ASSIGN_OR_RETURN(limits.*field.member, ReadRate(reader, field.key));
  }
  LODESTONE_RETURN_IF_ERROR(Close(reader));
  return limits;
}

Result<HostLimits> ReadHostLimits(const std::string& path) {
  LODESTONE_ASSIGN_OR_RETURN(const Json toml, ReadTomlFile(path, kMaxFileBytes));
  return ParseHostLimits(toml, path);
}

std::string ToToml(const HostLimits& limits) {
  std::string text = fmt::format("kind = \"host\"\ncpu_name = {}\nthreads = {}\nmeasured_at = {}\n",
                                 Text(limits.cpu_name), limits.threads, Text(limits.measured_at));
  if (limits.l3_bytes) {
    const Figure& bytes = *limits.l3_bytes;
    text += fmt::format("l3_bytes = {{value = {:.0f}, source = \"{}\", note = {}}}\n", bytes.value,
                        ToString(bytes.source), Text(bytes.note));
  }
  for (const HostRateField& field : kRates) {
    const std::optional<HostRate>& rate = limits.*field.member;
    if (rate) text += fmt::format("\n[{}]\none = {}\nall = {}\n", field.key, Text(rate->one), Text(rate->all));
  }
  return text;
}

}  // namespace lodestone
