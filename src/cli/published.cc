#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include "base/nearest.h"
#include "base/quote.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "report/published_rows.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

using Rows = std::vector<const PublishedRow*>;

std::string OrDash(const std::string& text) { return text.empty() ? "–" : text; }

std::string CountOrDash(int64_t count) { return count > 0 ? fmt::format("{}", count) : "–"; }

// "4 × h100-sxm, vllm, llama-3-8b, bf16, tp4": what rows of one machine, software and model share.
std::string TitleOf(const PublishedRow& row) {
  std::string title = row.devices == 1   ? ""
                      : row.devices == 0 ? "unknown number of "
                                         : fmt::format("{} × ", row.devices);
  title += row.machine.empty() ? row.system : row.machine;
  for (const std::string* word :
       {&row.stack, row.shape.empty() ? &row.model : &row.shape, &row.recipe, &row.parallelism, &row.method}) {
    if (!word->empty()) title += ", " + *word;
  }
  const bool explained = row.metric == "ratio" || row.metric == "compute_rate" || row.metric == "link_rate";
  return explained && !row.note.empty() ? title + ": " + row.note : title;
}

// One table, its columns aligned throughout, with a line above each run of rows that share a title.
std::string Table(const Rows& rows) {
  std::vector<std::vector<std::string>> table{{"batch", "tokens", "metric", "value", "", "from"}};
  for (const PublishedRow* row : rows) {
    std::string tokens = CountOrDash(row->prompt_tokens);
    if (row->output_tokens > 0) tokens += fmt::format(" + {}", row->output_tokens);
    table.push_back({CountOrDash(row->batch), tokens, row->metric, FormatNumber(row->value),
                     row->unit + (row->caution.empty() ? "" : " !"), row->place.empty() ? row->source : row->place});
  }
  const std::string lines = RenderTable(table, "    ");
  std::string text, title;
  size_t begin = 0;
  for (size_t i = 0; i <= rows.size(); ++i) {
    const size_t end = lines.find('\n', begin) + 1;
    if (i > 0 && TitleOf(*rows[i - 1]) != title) {
      title = TitleOf(*rows[i - 1]);
      text += Wrap("  " + title, kWidth, 4) + "\n";
    }
    text += lines.substr(begin, end - begin);
    begin = end;
  }
  return text;
}

// What the marks of the table mean, and its sources.
std::string Legend(const Rows& rows, const std::vector<PublishedSource>& sources) {
  std::map<std::string, int> cautions;
  std::set<std::string> keys;
  for (const PublishedRow* row : rows) {
    if (!row->caution.empty()) ++cautions[row->caution];
    keys.insert(row->source);
  }
  std::string text = fmt::format("\n{}\n", Counted(static_cast<int64_t>(rows.size()), "figure"));
  for (const auto& [caution, count] : cautions) {
    text += fmt::format("  ! {} of them: {}\n", count, caution);
  }
  for (const PublishedSource& source : sources) {
    if (keys.contains(source.key)) text += Wrap(fmt::format("  {}: {}", source.key, source.title), kWidth, 4) + "\n";
  }
  return text;
}

std::string Overview(std::span<const PublishedRow> rows, const std::vector<PublishedSource>& sources) {
  std::vector<std::vector<std::string>> table{{"source", "figures", "with a caution", "machines"}};
  for (const PublishedSource& source : sources) {
    int figures = 0, cautions = 0;
    std::set<std::string> machines;
    for (const PublishedRow& row : rows) {
      if (row.source != source.key) continue;
      ++figures;
      cautions += !row.caution.empty();
      if (!row.machine.empty()) machines.insert(row.machine);
    }
    std::string names;
    for (const std::string& machine : machines) {
      if (names.size() + machine.size() > 36) {
        names += " …";
        break;
      }
      names += (names.empty() ? "" : " ") + machine;
    }
    table.push_back(
        {source.key, fmt::format("{}", figures), cautions ? fmt::format("{}", cautions) : "–", OrDash(names)});
  }
  return RenderTable(table) +
         "\n'lodestone published --machine NAME' lists figures; docs/published.md explains them.\n";
}

Json ToJson(const PublishedRow& row) {
  const auto text = [](const std::string& value) { return value.empty() ? Json(nullptr) : Json(value); };
  const auto count = [](int64_t value) { return value == 0 ? Json(nullptr) : Json(value); };
  Json json;
  json.Set("provenance", "published").Set("source", row.source).Set("place", text(row.place));
  json.Set("system", row.system).Set("machine", text(row.machine)).Set("devices", count(row.devices));
  json.Set("stack", text(row.stack)).Set("parallelism", text(row.parallelism)).Set("model", text(row.model));
  json.Set("shape", text(row.shape)).Set("recipe", text(row.recipe)).Set("method", text(row.method));
  json.Set("batch", count(row.batch)).Set("prompt_tokens", count(row.prompt_tokens));
  json.Set("output_tokens", count(row.output_tokens)).Set("metric", row.metric).Set("value", row.value);
  json.Set("unit", row.unit).Set("kind", ToString(row.kind)).Set("power_basis", text(row.power_basis));
  json.Set("caution", text(row.caution)).Set("note", text(row.note));
  return json;
}

class PublishedCommand final : public Command {
 public:
  CommandLine Line() override {
    return {.name = "published",
            .summary = "What others published about machines that run models.",
            .details = "Without a filter: the sources. Figures marked ! have a caution and are left out of every fit.",
            .options =
                {{.name = "--machine", .value = "NAME", .help = "Of this machine.", .target = &filters_[0].word},
                 {.name = "--model",
                  .value = "NAME",
                  .help = "Of this shape, or the document's word.",
                  .target = &filters_[1].word},
                 {.name = "--recipe", .value = "R", .help = "In these formats.", .target = &filters_[2].word},
                 {.name = "--stack", .value = "NAME", .help = "Of this software.", .target = &filters_[3].word},
                 {.name = "--metric", .value = "NAME", .help = "Of this metric.", .target = &filters_[4].word},
                 {.name = "--source", .value = "KEY", .help = "Of this source.", .target = &filters_[5].word},
                 {.name = "--batch", .value = "N", .help = "At this batch.", .target = &batch_, .min = 1, .max = 1e9},
                 {.name = "--sound", .help = "Without those that have a caution.", .target = &sound_},
                 {.name = "--format", .value = "F", .help = "text, csv or json (default text).", .target = &format_},
                 {.name = "--json", .help = "The same as --format json.", .target = &json_}},
            .examples = {{"the sources", "lodestone published"},
                         {"one model on one machine", "lodestone published --machine h100-sxm --model llama-3-8b"}}};
  }

  Status Run() override {
    if (json_) format_ = "json";
    if (format_ != "text" && format_ != "csv" && format_ != "json") {
      return Invalid(fmt::format("--format: found {}, expected text, csv or json", Quoted(format_)));
    }
    LODESTONE_ASSIGN_OR_RETURN(const std::span<const PublishedRow> rows, CatalogPublishedRows());
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<PublishedSource> sources, CatalogPublishedSources());
    for (const Filter& filter : filters_) LODESTONE_RETURN_IF_ERROR(Known(filter, rows));
    Rows accepted;
    for (const PublishedRow& row : rows) {
      if (Accepts(row)) accepted.push_back(&row);
    }
    const bool all = !batch_ && std::none_of(filters_.begin(), filters_.end(), [](const auto& f) { return f.word; });
    if (format_ == "csv") {
      Print(PublishedCsv(accepted));
    } else if (format_ == "json") {
      Json::Array list;
      for (const PublishedRow* row : accepted) list.push_back(ToJson(*row));
      PrintJson(list);
    } else if (all) {
      Print(Overview(rows, sources));
    } else if (accepted.empty()) {
      return NotFound("no figure matches all of these filters; fewer of them will");
    } else {
      Print(Table(accepted) + Legend(accepted, sources));
    }
    return {};
  }

 private:
  struct Filter {
    const char* option;
    std::string PublishedRow::*column;
    std::string PublishedRow::*other = nullptr;  // may hold the word in its stead
    std::optional<std::string> word{};

    bool Accepts(const PublishedRow& row) const {
      return !word || row.*column == *word || (other && row.*other == *word);
    }
  };

  bool Accepts(const PublishedRow& row) const {
    return (!sound_ || row.caution.empty()) && (!batch_ || row.batch == *batch_) &&
           std::all_of(filters_.begin(), filters_.end(), [&](const Filter& filter) { return filter.Accepts(row); });
  }

  // Refuses a word that no row has, with the nearest.
  static Status Known(const Filter& filter, std::span<const PublishedRow> rows) {
    if (std::any_of(rows.begin(), rows.end(), [&](const PublishedRow& row) { return filter.Accepts(row); })) return {};
    std::set<std::string> words;
    for (const PublishedRow& row : rows) words.insert(row.*filter.column);
    words.erase("");
    std::vector<std::string> meant;
    std::copy_if(words.begin(), words.end(), std::back_inserter(meant),
                 [&](const std::string& word) { return word.starts_with(*filter.word); });
    if (meant.empty()) {
      const std::vector<std::string> known(words.begin(), words.end());
      if (std::optional<std::string> nearest = Nearest(*filter.word, known)) meant.push_back(*std::move(nearest));
    }
    return NotFound(fmt::format("{}: no published figure has {}{}{}", filter.option, Quoted(*filter.word),
                                meant.empty() ? "" : "; there is ", fmt::join(meant, ", ")));
  }

  std::array<Filter, 6> filters_ = {{
      {"--machine", &PublishedRow::machine, nullptr},
      {"--model", &PublishedRow::shape, &PublishedRow::model},
      {"--recipe", &PublishedRow::recipe, nullptr},
      {"--stack", &PublishedRow::stack, nullptr},
      {"--metric", &PublishedRow::metric, nullptr},
      {"--source", &PublishedRow::source, nullptr},
  }};
  std::optional<int64_t> batch_;
  bool sound_ = false, json_ = false;
  std::string format_ = "text";
};

}  // namespace

std::unique_ptr<Command> MakePublished() { return std::make_unique<PublishedCommand>(); }

}  // namespace lodestone::cli
