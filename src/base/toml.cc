// TOML text to `Json`, through toml++ (the only file that includes it).
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/quote.h"

namespace lodestone {
namespace {

constexpr int kMaxDepth = ParseLimits().max_depth;

Error ErrorAt(std::string_view name, toml::source_position at, std::string_view reason) {
  return Invalid(fmt::format("{}:{}:{}: {}", name, at.line, at.column, reason));
}

// Walks over the text's keys and brackets before toml++ builds its tree, whose destructor recurses once a level: the
// dotted key a.a.a… would otherwise take the stack with it. The walk agrees with TOML up to the first fault, where
// toml++ stops as well.
class DepthScan {
 public:
  DepthScan(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  Status Run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        SkipString(c);
        continue;
      }
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      if (c == '.') ++dots_;
      if (c == '[' || c == '{') ++open_;
      if (c == ']' || c == '}') --open_;
      // A key is made of bare words, quoted words and dots; any of these ends it.
      if (std::string_view("=,[]{}\n").find(c) != std::string_view::npos) dots_ = 0;
      if (dots_ >= kMaxDepth || open_ > kMaxDepth) return TooDeep();
      ++at_;
    }
    return {};
  }

 private:
  void SkipString(char quote) {
    const std::string triple(3, quote);
    const bool multi_line = text_.substr(at_, 3) == triple;
    at_ += multi_line ? 3 : 1;
    while (at_ < text_.size()) {
      if (quote == '"' && text_[at_] == '\\') {
        at_ += 2;
      } else if (multi_line && text_.substr(at_, 3) == triple) {
        at_ += 3;
        // Up to two further quotes belong to the contents.
        for (int i = 0; i < 2 && at_ < text_.size() && text_[at_] == quote; ++i) ++at_;
        return;
      } else if (!multi_line && (text_[at_] == quote || text_[at_] == '\n')) {
        ++at_;
        return;
      } else {
        ++at_;
      }
    }
    at_ = std::min(at_, text_.size());
  }

  Error TooDeep() const {
    const std::string_view before = text_.substr(0, at_);
    const auto line = static_cast<toml::source_index>(1 + std::count(before.begin(), before.end(), '\n'));
    const auto column = static_cast<toml::source_index>(at_ - (before.rfind('\n') + 1) + 1);
    return ErrorAt(name_, {line, column},
                   fmt::format("found values nested deeper than {}, expected at most {} levels", kMaxDepth, kMaxDepth));
  }

  std::string_view text_, name_;
  size_t at_ = 0;
  int dots_ = 0;  // of the key at hand
  int open_ = 0;
};

class Converter {
 public:
  explicit Converter(std::string_view name) : name_(name) {}

  // `path` is the dotted key of `node`, for messages; `fallback` is the place of its key, for tables that no text
  // opens.
  Result<Json> Convert(const toml::node& node, const std::string& path, toml::source_position fallback, int depth) {
    const toml::source_position at = node.source().begin ? node.source().begin : fallback;
    if (depth > kMaxDepth) {
      return ErrorAt(
          name_, at,
          fmt::format("found values nested deeper than {}, expected at most {} levels", kMaxDepth, kMaxDepth));
    }
    LODESTONE_ASSIGN_OR_RETURN(Json value, ConvertAt(node, path, at, depth));
    value.line = static_cast<int>(at.line);
    return value;
  }

 private:
  Result<Json> ConvertAt(const toml::node& node, const std::string& path, toml::source_position at, int depth) {
    switch (node.type()) {
      case toml::node_type::table:
        return ConvertTable(*node.as_table(), path, at, depth);
      case toml::node_type::array:
        return ConvertArray(*node.as_array(), path, at, depth);
      case toml::node_type::string:
        return Json(node.as_string()->get());
      case toml::node_type::integer:
        return Json(node.as_integer()->get());
      case toml::node_type::floating_point:
        return Json(node.as_floating_point()->get());
      case toml::node_type::boolean:
        return Json(node.as_boolean()->get());
      case toml::node_type::date:
      case toml::node_type::time:
      case toml::node_type::date_time:
        return ErrorAt(name_, at,
                       fmt::format("key {}: found a date or time, expected a string, number, boolean, array or table; "
                                   "write it as a string in quotes",
                                   Quoted(path)));
      case toml::node_type::none:
        break;
    }
    return ErrorAt(name_, at, fmt::format("key {}: found a value of no known type", Quoted(path)));
  }

  Result<Json> ConvertArray(const toml::array& array, const std::string& path, toml::source_position at, int depth) {
    Json::Array items;
    items.reserve(array.size());
    for (size_t i = 0; i < array.size(); ++i) {
      LODESTONE_ASSIGN_OR_RETURN(Json item, Convert(array[i], fmt::format("{}[{}]", path, i), at, depth + 1));
      items.push_back(std::move(item));
    }
    return Json(std::move(items));
  }

  Result<Json> ConvertTable(const toml::table& table, const std::string& path, toml::source_position at, int depth) {
    // toml++ sorts its tables by name; the places of the keys give the order of the file back.
    std::vector<std::pair<const toml::key*, const toml::node*>> members;
    for (auto it = table.cbegin(); it != table.cend(); ++it) members.emplace_back(&it->first, &it->second);
    std::stable_sort(members.begin(), members.end(),
                     [](const auto& a, const auto& b) { return a.first->source().begin < b.first->source().begin; });
    Json::Object object;
    object.reserve(members.size());
    for (const auto& [key, node] : members) {
      const std::string_view name = key->str();
      const toml::source_position key_at = key->source().begin ? key->source().begin : at;
      LODESTONE_ASSIGN_OR_RETURN(
          Json value,
          Convert(*node, path.empty() ? std::string(name) : fmt::format("{}.{}", path, name), key_at, depth + 1));
      object.emplace_back(std::string(name), std::move(value));
    }
    return Json(std::move(object));
  }

  std::string_view name_;
};

}  // namespace

Result<Json> ParseToml(std::string_view text, std::string_view name) {
  LODESTONE_RETURN_IF_ERROR(DepthScan(text, name).Run());
  try {
    const toml::table table = toml::parse(text, name);
    return Converter(name).Convert(table, "", {1, 1}, 1);
  } catch (const toml::parse_error& error) {
    return ErrorAt(name, error.source().begin, fmt::format("invalid TOML: {}", error.description()));
  } catch (const std::exception& error) {
    return Invalid(fmt::format("{}: invalid TOML: {}", name, error.what()));
  }
}

Result<Json> ReadTomlFile(const std::string& path, size_t max_bytes) {
  LODESTONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, max_bytes));
  return ParseToml(text, path);
}

}  // namespace lodestone
