#include "report/svg.h"

#include <fmt/format.h>

#include <cmath>

#include "report/text_width.h"

namespace lodestone {
namespace {

// Width of a character over the size of the font: the fonts of the common systems have 0.5 to 0.6 on average.
constexpr double kGlyph = 0.58;

// Length of the UTF-8 sequence that begins here, or 0 where none does (stray, overlong, surrogate, beyond U+10FFFF).
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                        : lead >= 0xE0 && lead <= 0xEF ? 3
                        : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
      (lead == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

std::string_view Entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

bool IsControl(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n') || c == 0x7F; }

}  // namespace

std::string_view SvgStyle() {
  return R"css(:root{--ink:#1c2126;--soft:#5a646e;--grid:#dfe3e7;--page:#fff;--edge:#fff;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#c46a9f;--c4:#e69f00;--c5:#56b4e9;--c6:#d9c800;--c7:#7b5bb5;--c8:#8a9199}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa5b0;--grid:#2f373f;--page:#14181c;--edge:#14181c;
--c0:#4aa8e0;--c1:#f58a4b;--c2:#2fc79c;--c3:#e09cc6;--c4:#f2b848;--c5:#8fd0f5;--c6:#e6da57;--c7:#ab92e0;--c8:#8f99a3}}
.c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}.c5{--c:var(--c5)}
.c6{--c:var(--c6)}.c7{--c:var(--c7)}.c8{--c:var(--c8)}.ci{--c:var(--ink)}
.plot{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-variant-numeric:tabular-nums}
.plot text{fill:var(--ink)}.plot .soft{fill:var(--soft)}.plot .small{font-size:11px}.plot .tiny{font-size:9px}
.plot .halo{paint-order:stroke;stroke:var(--page);stroke-width:3px;stroke-linejoin:round}
.plot .strong{font-weight:600}.plot .inside{fill:#111}
.plot .grid{stroke:var(--grid);stroke-width:1}.plot .minor{stroke:var(--grid);stroke-width:.5}
.plot .axis{stroke:var(--soft);stroke-width:1}.plot .fill{fill:var(--c)}
.plot .bar{fill:var(--c);stroke:var(--edge);stroke-width:.75}.plot .ghost{fill:none;stroke:var(--soft);stroke-width:1}
.plot .line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}
.plot .dashed{fill:none;stroke:var(--c);stroke-width:1.5;stroke-dasharray:5 4}
.plot .whisker{stroke:var(--c);stroke-width:1.25;opacity:.7}
.plot .dot{fill:var(--c);stroke:var(--edge);stroke-width:1}
.plot .ring{fill:var(--page);fill-opacity:.75;stroke:var(--c);stroke-width:1.75}
.plot .span{stroke:var(--c);stroke-width:4;stroke-linecap:round;opacity:.35}
.plot .iso{stroke:var(--soft);stroke-width:1;stroke-dasharray:1 4;stroke-linecap:round}
)css";
}

std::string EscapeMarkup(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t length = SequenceLength(text.substr(i));
    if (length == 0 || IsControl(text[i])) {
      out += "\xEF\xBF\xBD";
      ++i;
      continue;
    }
    const std::string_view entity = length == 1 ? Entity(text[i]) : std::string_view();
    out += entity.empty() ? text.substr(i, length) : entity;
    i += length;
  }
  return out;
}

double SvgTextWidth(std::string_view text, double font_px) {
  return static_cast<double>(TextWidth(text)) * font_px * kGlyph;
}

std::string FitText(std::string_view text, double width, double font_px) {
  if (SvgTextWidth(text, font_px) <= width) return std::string(text);
  const auto fits = static_cast<size_t>(std::max(1.0, width / (font_px * kGlyph)));
  std::string out;
  size_t points = 0;
  for (size_t i = 0; i < text.size() && points + 1 < fits; ++points) {
    const size_t length = std::max<size_t>(1, SequenceLength(text.substr(i)));
    out += text.substr(i, length);
    i += length;
  }
  return out + "…";
}

std::string SvgNumber(double value) {
  if (!std::isfinite(value)) return "0";
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

SvgCanvas::SvgCanvas(double width, double height, std::string_view title, std::string_view description) {
  const std::string w = SvgNumber(width), h = SvgNumber(height);
  out_ = fmt::format(
      "<svg class=\"plot\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{}\" "
      "height=\"{}\"><title>{}</title><desc>{}</desc>\n",
      w, h, w, h, EscapeMarkup(title), EscapeMarkup(description));
}

void SvgCanvas::Line(double x1, double y1, double x2, double y2, std::string_view css) {
  out_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" class=\"{}\"/>\n", SvgNumber(x1), SvgNumber(y1),
                      SvgNumber(x2), SvgNumber(y2), css);
}

void SvgCanvas::Rect(double x, double y, double width, double height, std::string_view css, std::string_view tip) {
  out_ += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"{}\"", SvgNumber(x), SvgNumber(y),
                      SvgNumber(width), SvgNumber(height), css);
  out_ += tip.empty() ? "/>\n" : fmt::format("><title>{}</title></rect>\n", EscapeMarkup(tip));
}

void SvgCanvas::Path(std::string_view data, std::string_view css, std::string_view tip) {
  out_ += fmt::format("<path d=\"{}\" class=\"{}\"", data, css);
  out_ += tip.empty() ? "/>\n" : fmt::format("><title>{}</title></path>\n", EscapeMarkup(tip));
}

void SvgCanvas::Marker(int shape, double x, double y, std::string_view css, std::string_view tip) {
  constexpr const char* kShapes[] = {
      "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",                // circle
      "m-4 -4h8v8h-8z",                                              // square
      "m0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z",                         // diamond
      "m0 -5.2l5 9h-10z",                                            // triangle
      "m-1.6 -5h3.2v3.4h3.4v3.2h-3.4v3.4h-3.2v-3.4h-3.4v-3.2h3.4z",  // cross
      "m0 5.2l5 -9h-10z",                                            // triangle on its tip
      "m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0z",                // small dot
  };
  Path(fmt::format("M{} {}{}", SvgNumber(x), SvgNumber(y), kShapes[static_cast<size_t>(shape) % std::size(kShapes)]),
       css, tip);
}

void SvgCanvas::Text(double x, double y, std::string_view text, std::string_view css, Anchor anchor) {
  out_ += fmt::format("<text x=\"{}\" y=\"{}\"", SvgNumber(x), SvgNumber(y));
  if (!css.empty()) out_ += fmt::format(" class=\"{}\"", css);
  if (anchor != Anchor::kStart) {
    out_ += fmt::format(" text-anchor=\"{}\"", anchor == Anchor::kMiddle ? "middle" : "end");
  }
  out_ += fmt::format(">{}</text>\n", EscapeMarkup(text));
}

Svg SvgCanvas::Finish() && { return {std::move(out_) + "</svg>\n"}; }

namespace {

constexpr double kLegendRow = 18, kSwatch = 14, kLegendGap = 16;

double EntryWidth(const LegendEntry& entry) { return kSwatch + 6 + SvgTextWidth(entry.name) + kLegendGap; }

// Calls `at(entry, x, row)` for each entry in its place; returns the number of rows.
template <typename At>
int LayLegend(std::span<const LegendEntry> entries, double width, const At& at) {
  double x = 0;
  int row = 0;
  for (const LegendEntry& entry : entries) {
    if (x > 0 && x + EntryWidth(entry) - kLegendGap > width) {
      x = 0;
      ++row;
    }
    at(entry, x, row);
    x += EntryWidth(entry);
  }
  return entries.empty() ? 0 : row + 1;
}

}  // namespace

double LegendHeight(std::span<const LegendEntry> entries, double width) {
  return kLegendRow * LayLegend(entries, width, [](const LegendEntry&, double, int) {});
}

double DrawLegend(SvgCanvas& canvas, std::span<const LegendEntry> entries, double x, double y, double width) {
  const int rows = LayLegend(entries, width, [&](const LegendEntry& entry, double dx, int row) {
    const double left = x + dx, middle = y + row * kLegendRow + kLegendRow / 2;
    switch (entry.mark) {
      case LegendEntry::Mark::kArea:
        canvas.Rect(left + 1, middle - 5, kSwatch - 3, 10, fmt::format("bar c{}", entry.colour % kSvgColours));
        break;
      case LegendEntry::Mark::kLine:
      case LegendEntry::Mark::kDashed:
        canvas.Line(left, middle, left + kSwatch, middle,
                    fmt::format("{} c{}", entry.mark == LegendEntry::Mark::kLine ? "line" : "dashed",
                                entry.colour % kSvgColours));
        break;
      case LegendEntry::Mark::kMarker:
      case LegendEntry::Mark::kHollow:
        canvas.Marker(entry.shape, left + kSwatch / 2, middle,
                      fmt::format("{} c{}", entry.mark == LegendEntry::Mark::kMarker ? "dot" : "ring",
                                  entry.colour % kSvgColours));
        break;
    }
    canvas.Text(left + kSwatch + 6, middle + 4, entry.name);
  });
  return y + rows * kLegendRow;
}

}  // namespace lodestone
