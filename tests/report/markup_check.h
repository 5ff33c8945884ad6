// A strict reader of the markup that the project writes: every tag closed in order, attributes quoted, text escaped.
#pragma once

#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lodestone::testing {

inline bool IsEntity(std::string_view at) {
  for (const std::string_view entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}) {
    if (at.starts_with(entity)) return true;
  }
  return false;
}

// Empty where the markup is well-formed, else what is wrong and where.
inline std::string MarkupFault(std::string_view text) {
  static const std::set<std::string_view> kVoid{"meta", "br", "hr"};
  std::vector<std::string> open;
  std::set<std::string> ids;
  const auto fault = [&](const std::string& what, size_t at) {
    return what + " near \"" + std::string(text.substr(at, 60)) + "\"";
  };
  size_t i = 0;
  while (i < text.size()) {
    if (text[i] == '&') {
      if (!IsEntity(text.substr(i))) return fault("a bare ampersand", i);
      ++i;
      continue;
    }
    if (text[i] == '>') return fault("a bare >", i);
    if (text[i] != '<') {
      ++i;
      continue;
    }
    if (text.substr(i).starts_with("<!DOCTYPE html>")) {
      i += 15;
      continue;
    }
    const size_t start = i++;
    const bool closes = i < text.size() && text[i] == '/';
    if (closes) ++i;
    std::string name;
    while (i < text.size() && std::isalnum(static_cast<unsigned char>(text[i]))) name += text[i++];
    if (name.empty()) return fault("a bare <", start);
    std::set<std::string> attributes;
    bool self_closed = false;
    while (i < text.size() && text[i] != '>') {
      if (text[i] == '/') {
        self_closed = true;
        ++i;
        continue;
      }
      if (std::isspace(static_cast<unsigned char>(text[i]))) {
        ++i;
        continue;
      }
      std::string attribute;
      while (i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) || text[i] == '-')) {
        attribute += text[i++];
      }
      if (attribute.empty() || text.substr(i, 2) != "=\"")
        return fault("an attribute that is not name=\"value\"", start);
      if (!attributes.insert(attribute).second) return fault("an attribute given twice", start);
      i += 2;
      std::string value;
      while (i < text.size() && text[i] != '"') {
        if (text[i] == '<') return fault("a < in an attribute", i);
        if (text[i] == '&' && !IsEntity(text.substr(i))) return fault("a bare ampersand in an attribute", i);
        value += text[i++];
      }
      ++i;
      if (attribute == "id" && !ids.insert(value).second) return fault("an id given twice", start);
      for (const char* active : {"onclick", "onload", "src"}) {
        if (attribute == active) return fault("something that runs or is fetched", start);
      }
      if (attribute == "href" && !value.starts_with("#")) return fault("a link that leaves the page", start);
    }
    if (i >= text.size()) return fault("a tag without end", start);
    ++i;
    if (name == "script") return fault("a script", start);
    if (closes) {
      if (open.empty() || open.back() != name) return fault("</" + name + "> closes nothing", start);
      open.pop_back();
    } else if (!self_closed && !kVoid.count(name)) {
      open.push_back(name);
      if (name == "style") i = text.find("</style>", i);  // holds > and quotes
    }
  }
  return open.empty() ? "" : "<" + open.back() + "> is not closed";
}

inline size_t CountOf(std::string_view text, std::string_view what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++count;
  return count;
}

}  // namespace lodestone::testing
