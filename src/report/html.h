// The one HTML writer: a page in one file, which asks nothing of any network and needs no script to be read. A page
// with live tables has the one script of page_script.h, and lets no other run.
//
// Light and dark follow the reader's setting, tables scroll by themselves on narrow screens, and the page prints. All
// text is escaped here; callers give plain text.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/provenance.h"
#include "report/svg.h"

namespace lodestone {

struct HtmlCell {
  std::string text;
  std::optional<Provenance> provenance = {};  // a mark behind the text, where it is not the column's
  std::string note = {};                      // shown when the pointer rests on it, and read by screen readers
  std::optional<double> value = {};           // what sorting compares, where the text is a rounded number

  HtmlCell(std::string cell_text) : text(std::move(cell_text)) {}  // NOLINT(google-explicit-constructor)
  HtmlCell(const char* cell_text) : text(cell_text) {}             // NOLINT(google-explicit-constructor)
  HtmlCell(std::string cell_text, std::optional<Provenance> from, std::string cell_note = "")
      : text(std::move(cell_text)), provenance(from), note(std::move(cell_note)) {}
};

struct HtmlColumn {
  std::string heading;
  std::string unit = {};                      // below the heading
  bool number = true;                         // aligned to the right
  std::optional<Provenance> provenance = {};  // of every figure of the column
};

// The first column names the rows.
struct HtmlTable {
  std::string caption;
  std::vector<HtmlColumn> columns;
  std::vector<std::vector<HtmlCell>> rows;  // at most one cell a column; those that lack are empty
  bool live = false;                        // sorts and filters where scripts run: the page then has one
};

// A figure that a reader should see first.
struct HtmlTile {
  std::string label, value, unit;
  Provenance provenance = Provenance::kMeasured;
  std::vector<std::string> lines = {};  // what stands beside it: range, published figure and error
};

// What a page was made with: version, processor, threads, ….
HtmlTable EnvironmentTable(const std::vector<std::pair<std::string, std::string>>& environment);

class HtmlPage {
 public:
  // `lead` is the paragraph that says what the page is.
  HtmlPage(std::string title, std::string lead);

  // Ends the section before; the contents list links to it.
  void Section(std::string_view heading);
  void Heading(std::string_view heading);  // within a section
  void Paragraph(std::string_view text);
  void Note(std::string_view text);  // smaller: how to read what stands above
  void List(std::span<const std::string> items);
  void Tiles(std::span<const HtmlTile> tiles);
  void Table(const HtmlTable& table);
  void Figure(const Svg& svg, std::string_view caption, std::optional<Provenance> provenance = {});
  // Links to files that the page carries in itself.
  struct Attachment {
    std::string name, type, contents;  // "points.csv", "text/csv"
  };
  void Downloads(std::span<const Attachment> attachments);
  // Until CloseFold, behind a line that opens it.
  void OpenFold(std::string_view summary);
  void CloseFold();

  std::string Finish() &&;

 private:
  void EndSection();

  std::string title_, lead_, contents_, body_;
  int sections_ = 0;
  bool open_ = false, fold_ = false, live_ = false;
};

}  // namespace lodestone
