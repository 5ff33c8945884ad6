#include "cli/hardware_figures.h"

#include <fmt/format.h>

#include <iterator>

#include "base/units.h"
#include "cli/layout.h"

namespace lodestone::cli {
namespace {

struct Ending {
  std::string_view end, unit;
};
// The first that fits.
constexpr Ending kEndings[] = {{"bytes_per_s", "B/s"}, {"ops_per_s", "OP/s"}, {"bytes", "B"}, {"_usd_per_hour", "$/h"},
                               {"_usd", "$"},          {"_w", "W"},           {"_s", "s"},    {"_nm", "nm"},
                               {"_mm2", "mm²"},        {"speedup", "×"}};

std::string Range(std::string_view name, const Figure& figure) {
  const auto show = [name](double value) { return ShowValue(name, value); };
  if (figure.low && figure.high) return fmt::format(", {} to {}", show(*figure.low), show(*figure.high));
  if (figure.low) return fmt::format(", at least {}", show(*figure.low));
  return figure.high ? fmt::format(", at most {}", show(*figure.high)) : "";
}

}  // namespace

std::string_view UnitOf(std::string_view name) {
  if (name.starts_with("peak_ops_per_s.")) return "OP/s";
  for (const Ending& ending : kEndings) {
    if (name.ends_with(ending.end)) return ending.unit;
  }
  return "";
}

std::string WithPrefix(double value) {
  constexpr std::string_view kPrefixes[] = {"", " k", " M", " G", " T", " P", " E"};
  size_t place = 0;
  while (value >= 999.95 && place + 1 < std::size(kPrefixes)) {
    value /= 1000;
    ++place;
  }
  return fmt::format("{:.4g}{}", value, kPrefixes[place]);
}

std::string ShowValue(std::string_view name, double value) {
  const std::string_view unit = UnitOf(name);
  if (unit == "B") return FormatBytes(static_cast<int64_t>(value));
  if (unit == "s") return value == 0 ? "0 s" : FormatSeconds(value);
  if (unit == "B/s" || unit == "OP/s") {
    const std::string text = WithPrefix(value);
    return text.find(' ') == std::string::npos ? fmt::format("{} {}", text, unit) : fmt::format("{}{}", text, unit);
  }
  if (unit == "×") return fmt::format("× {:g}", value);
  return unit.empty() ? PlainNumber(value) : fmt::format("{} {}", PlainNumber(value), unit);
}

std::string ShowFigure(const NamedFigure& named, std::string_view known_note) {
  const Figure& figure = named.figure;
  std::string text = fmt::format("  {} = {} ({}{})\n", named.name, ShowValue(named.name, figure.value),
                                 ToString(figure.source), Range(named.name, figure));
  if (!figure.note.empty() && figure.note != known_note) text += Wrap("      " + figure.note, kWidth, 6) + "\n";
  return text;
}

Json ToJson(const NamedFigure& named) {
  const Figure& figure = named.figure;
  Json json;
  json.Set("value", figure.value).Set("source", ToString(figure.source)).Set("note", figure.note);
  json.Set("low", figure.low ? Json(*figure.low) : Json(nullptr));
  json.Set("high", figure.high ? Json(*figure.high) : Json(nullptr));
  json.Set("unit", UnitOf(named.name));
  return json;
}

}  // namespace lodestone::cli
