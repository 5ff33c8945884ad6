// The one SVG writer: shapes and escaped text of a drawing that stands inside an HTML page.
//
// Colours are classes, not values: `SvgStyle()` gives them for light and dark, and the page that shows a drawing
// includes it once. Coordinates are written with two decimals, so that equal figures give equal bytes everywhere.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lodestone {

// A whole <svg> element. Only what this project drew has this type, so a page need not escape it.
struct Svg {
  std::string text;
};

// The colours that SvgStyle() defines: "c0" … "c8", distinguishable with the common colour blindnesses (Okabe and Ito,
// Color Universal Design, 2008; a violet and a grey added), each in a shade for light and one for dark pages.
inline constexpr int kSvgColours = 9;
std::string_view SvgStyle();

// `&`, `<`, `>`, `"` and `'` as entities; control characters and bytes that are not UTF-8 as U+FFFD. For text and for
// attribute values in quotes, of HTML and SVG alike.
std::string EscapeMarkup(std::string_view text);

// The width of a line of text in the plots' font, about; enough for margins and overlaps.
double SvgTextWidth(std::string_view text, double font_px = 12);
// Cut to `width` with an ellipsis.
std::string FitText(std::string_view text, double width, double font_px = 12);

// "12.35", "3", "-0.5": at most two decimals, no trailing zeros, no negative zero.
std::string SvgNumber(double value);

// Shapes of SvgCanvas::Marker that series get in turn, and one that is asked for.
inline constexpr int kSvgShapes = 6, kSmallDot = 6;

enum class Anchor { kStart, kMiddle, kEnd };

class SvgCanvas {
 public:
  // `title` names the drawing, `description` says what it shows to those who do not see it.
  SvgCanvas(double width, double height, std::string_view title, std::string_view description);

  // `css` names classes: "grid", "axis", "line c2", "fill c3", ….
  void Line(double x1, double y1, double x2, double y2, std::string_view css);
  // `tip`, where given, is shown when the pointer rests on the shape.
  void Rect(double x, double y, double width, double height, std::string_view css, std::string_view tip = "");
  void Path(std::string_view data, std::string_view css, std::string_view tip = "");
  // Series differ in shape as well as in colour: circle, square, diamond, triangle, cross, triangle on its tip; and
  // kSmallDot for points that stand close together.
  void Marker(int shape, double x, double y, std::string_view css, std::string_view tip = "");
  void Text(double x, double y, std::string_view text, std::string_view css = "", Anchor anchor = Anchor::kStart);

  Svg Finish() &&;

 private:
  std::string out_;
};

// Swatches with names from (x, y), wrapped at `width`; returns the y below the last row.
struct LegendEntry {
  std::string name;
  int colour = 0;
  enum class Mark { kArea, kLine, kDashed, kMarker, kHollow } mark = Mark::kArea;
  int shape = 0;  // of a marker
};
double DrawLegend(SvgCanvas& canvas, std::span<const LegendEntry> entries, double x, double y, double width);
// The height that DrawLegend needs.
double LegendHeight(std::span<const LegendEntry> entries, double width);

}  // namespace lodestone
