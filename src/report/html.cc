#include "report/html.h"

#include <fmt/format.h>

#include <array>

#include "base/status.h"
#include "report/page_script.h"

namespace lodestone {
namespace {

constexpr std::string_view kPageStyle = R"css(:root{color-scheme:light dark}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:64rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .6rem;letter-spacing:-.01em}
h2{font-size:1.3rem;margin:3rem 0 .6rem;padding-top:1.1rem;border-top:1px solid var(--grid)}
h3{font-size:1.02rem;margin:1.8rem 0 .4rem}
p{margin:.6rem 0;max-width:46rem}.lead{font-size:1.08rem;color:var(--soft)}
.note{font-size:.875rem;color:var(--soft)}
ul{max-width:46rem;padding-left:1.2rem}li{margin:.3rem 0}
nav ul{list-style:none;padding:0;margin:1.2rem 0 0;display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;font-size:.9rem}
a{color:var(--c0);text-underline-offset:.15em}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(13.5rem,1fr));gap:.9rem;margin:1.4rem 0}
.tile{border:1px solid var(--grid);border-radius:.5rem;padding:.8rem 1rem}
.tile .label{font-size:.875rem;color:var(--soft);margin:0}
.tile .value{font-size:1.65rem;font-weight:600;line-height:1.25;margin:.1rem 0 0;font-variant-numeric:tabular-nums}
.tile .unit{font-size:.875rem;color:var(--soft);margin:0 0 .35rem;line-height:1.35}
.tile .line{font-size:.8125rem;color:var(--soft);margin:0;line-height:1.45}
.wide{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums;line-height:1.4}
caption{text-align:left;font-weight:600;padding:0 0 .4rem}
th,td{padding:.28rem .8rem .28rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--grid);font-weight:400}
thead th{vertical-align:bottom;font-weight:600;white-space:normal;border-bottom:1px solid var(--soft)}
thead small{display:block;font-weight:400;color:var(--soft)}
.n{text-align:right}tbody .n,tbody th{white-space:nowrap}td:last-child:not(.n){min-width:16rem}
[title]{text-decoration:underline dotted var(--soft) 1px;text-underline-offset:.2em;cursor:help}
.from{font-size:.6875rem;color:var(--soft);border:1px solid var(--grid);border-radius:.6rem;padding:0 .4rem;
white-space:nowrap;vertical-align:.1em;font-weight:400}
figure{margin:1.2rem 0}figure svg{width:100%;height:auto;min-width:36rem;display:block}
figcaption{font-size:.875rem;color:var(--soft);margin-top:.4rem;max-width:46rem}
details{margin:1rem 0}summary{cursor:pointer;color:var(--c0)}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
@media print{main{max-width:none;padding:0}nav,.downloads{display:none}h2,h3{break-after:avoid}
figure,tr,.tile{break-inside:avoid}.wide{overflow:visible}figure svg{min-width:0}details::details-content{content-visibility:visible}}
)css";

std::string Mark(Provenance provenance) { return fmt::format(" <span class=\"from\">{}</span>", ToString(provenance)); }

std::string CellHtml(const HtmlCell& cell) {
  std::string out = EscapeMarkup(cell.text);
  if (!cell.note.empty()) {
    const std::string note = EscapeMarkup(cell.note);
    out = fmt::format("<span title=\"{}\">{}</span><span class=\"hidden\"> ({})</span>", note, out, note);
  }
  if (cell.provenance) out += Mark(*cell.provenance);
  return out;
}

// RFC 4648.
std::string Base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    for (size_t j = 0; j < 3; ++j) word = word << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) out += i + j <= bytes.size() ? kDigits[word >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

}  // namespace

HtmlPage::HtmlPage(std::string title, std::string lead) : title_(std::move(title)), lead_(std::move(lead)) {}

void HtmlPage::EndSection() {
  LODESTONE_CHECK(!fold_);
  if (open_) body_ += "</section>\n";
  open_ = false;
}

void HtmlPage::Section(std::string_view heading) {
  EndSection();
  ++sections_;
  open_ = true;
  const std::string text = EscapeMarkup(heading);
  contents_ += fmt::format("<li><a href=\"#s{}\">{}</a></li>\n", sections_, text);
  body_ += fmt::format("<section aria-labelledby=\"s{0}\">\n<h2 id=\"s{0}\">{1}</h2>\n", sections_, text);
}

void HtmlPage::Heading(std::string_view heading) { body_ += fmt::format("<h3>{}</h3>\n", EscapeMarkup(heading)); }

void HtmlPage::Paragraph(std::string_view text) { body_ += fmt::format("<p>{}</p>\n", EscapeMarkup(text)); }

void HtmlPage::Note(std::string_view text) { body_ += fmt::format("<p class=\"note\">{}</p>\n", EscapeMarkup(text)); }

void HtmlPage::List(std::span<const std::string> items) {
  body_ += "<ul>\n";
  for (const std::string& item : items) body_ += fmt::format("<li>{}</li>\n", EscapeMarkup(item));
  body_ += "</ul>\n";
}

void HtmlPage::Tiles(std::span<const HtmlTile> tiles) {
  body_ += "<div class=\"tiles\">\n";
  for (const HtmlTile& tile : tiles) {
    body_ +=
        fmt::format("<div class=\"tile\"><p class=\"label\">{}</p><p class=\"value\">{}</p><p class=\"unit\">{}{}</p>",
                    EscapeMarkup(tile.label), EscapeMarkup(tile.value), EscapeMarkup(tile.unit), Mark(tile.provenance));
    for (const std::string& line : tile.lines) body_ += fmt::format("<p class=\"line\">{}</p>", EscapeMarkup(line));
    body_ += "</div>\n";
  }
  body_ += "</div>\n";
}

void HtmlPage::Table(const HtmlTable& table) {
  body_ += fmt::format(
      "<div class=\"wide{2}\" role=\"region\" tabindex=\"0\" aria-label=\"{0}\">\n<table{1}>\n"
      "<caption>{0}</caption>\n<thead><tr>",
      EscapeMarkup(table.caption), table.live ? " class=\"live\"" : "", table.live ? " long" : "");
  live_ |= table.live;
  for (const HtmlColumn& column : table.columns) {
    body_ += fmt::format("<th scope=\"col\"{}>{}", column.number ? " class=\"n\"" : "", EscapeMarkup(column.heading));
    if (column.provenance) body_ += Mark(*column.provenance);
    if (!column.unit.empty()) body_ += fmt::format("<small>{}</small>", EscapeMarkup(column.unit));
    body_ += "</th>";
  }
  body_ += "</tr></thead>\n<tbody>\n";
  for (const std::vector<HtmlCell>& row : table.rows) {
    body_ += "<tr>";
    for (size_t i = 0; i < table.columns.size(); ++i) {
      const std::string text = i < row.size() ? CellHtml(row[i]) : "";
      std::string attributes = table.columns[i].number ? " class=\"n\"" : "";
      if (i < row.size() && row[i].value) attributes += fmt::format(" data-v=\"{}\"", *row[i].value);
      body_ += i == 0 ? fmt::format("<th scope=\"row\"{}>{}</th>", attributes, text)
                      : fmt::format("<td{}>{}</td>", attributes, text);
    }
    body_ += "</tr>\n";
  }
  body_ += "</tbody>\n</table>\n</div>\n";
}

void HtmlPage::Figure(const Svg& svg, std::string_view caption, std::optional<Provenance> provenance) {
  body_ += fmt::format("<figure><div class=\"wide\">{}</div><figcaption>{}{}</figcaption></figure>\n", svg.text,
                       EscapeMarkup(caption), provenance ? Mark(*provenance) : "");
}

void HtmlPage::Downloads(std::span<const Attachment> attachments) {
  body_ += "<p class=\"downloads\">In this file:";
  for (const Attachment& attachment : attachments) {
    body_ += fmt::format(" <a download=\"{0}\" href=\"data:{1};base64,{2}\">{0}</a>", EscapeMarkup(attachment.name),
                         EscapeMarkup(attachment.type), Base64(attachment.contents));
  }
  body_ += "</p>\n";
}

void HtmlPage::OpenFold(std::string_view summary) {
  LODESTONE_CHECK(!fold_);
  fold_ = true;
  body_ += fmt::format("<details><summary>{}</summary>\n", EscapeMarkup(summary));
}

void HtmlPage::CloseFold() {
  LODESTONE_CHECK(fold_);
  fold_ = false;
  body_ += "</details>\n";
}

std::string HtmlPage::Finish() && {
  EndSection();
  const std::string title = EscapeMarkup(title_);
  const std::string script = live_ ? fmt::format("; script-src '{}'", PageScriptHash()) : "";
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'{}\">\n"
      "<title>{}</title>\n<style>\n",
      script, title);
  page += SvgStyle();
  page += kPageStyle;
  if (live_) page += PageScriptStyle();
  page += fmt::format("</style>\n</head>\n<body>\n<main>\n<header><h1>{}</h1>\n<p class=\"lead\">{}</p>\n", title,
                      EscapeMarkup(lead_));
  if (sections_ > 1) page += fmt::format("<nav aria-label=\"Contents\"><ul>\n{}</ul></nav>\n", contents_);
  page += "</header>\n" + body_ + "</main>\n";
  if (live_) page += fmt::format("<script>{}</script>\n", PageScript());
  page += "</body>\n</html>\n";
  return page;
}

HtmlTable EnvironmentTable(const std::vector<std::pair<std::string, std::string>>& environment) {
  HtmlTable table{.caption = "How this page was made",
                  .columns = {{.heading = "What", .number = false}, {.heading = "Value", .number = false}},
                  .rows = {}};
  for (const auto& [name, value] : environment) table.rows.push_back({name, value});
  return table;
}

}  // namespace lodestone
