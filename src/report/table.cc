#include <algorithm>

#include "report/run_record.h"
#include "report/text_width.h"

namespace lodestone {
namespace {

constexpr std::string_view kAbsent = "–";  // in place of a number or of a text

bool IsNumber(std::string_view cell) {
  for (std::string_view sign : {"+", "-", "−"}) {
    if (cell.starts_with(sign)) {
      cell.remove_prefix(sign.size());
      break;
    }
  }
  return !cell.empty() && cell[0] >= '0' && cell[0] <= '9';
}

struct Column {
  size_t width = 0;
  bool right = false;  // most of its cells are numbers
};

Column ColumnOf(const std::vector<std::vector<std::string>>& rows, size_t column) {
  Column result;
  int numbers = 0, texts = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (column >= rows[i].size()) continue;
    const std::string& cell = rows[i][column];
    result.width = std::max(result.width, TextWidth(cell));
    if (i > 0 && !cell.empty() && cell != kAbsent) ++(IsNumber(cell) ? numbers : texts);
  }
  result.right = numbers > texts;
  return result;
}

}  // namespace

std::string RenderTable(const std::vector<std::vector<std::string>>& rows, const std::string& indent) {
  size_t count = 0;
  for (const auto& row : rows) count = std::max(count, row.size());
  std::vector<Column> columns(count);
  for (size_t i = 0; i < count; ++i) columns[i] = ColumnOf(rows, i);

  std::string out;
  for (const auto& row : rows) {
    std::string line = indent;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      const std::string gap(columns[i].width - TextWidth(row[i]), ' ');
      line += columns[i].right ? gap + row[i] : row[i] + gap;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

}  // namespace lodestone
