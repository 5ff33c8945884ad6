// Random values of every kind, and equality of values, for property tests.
#pragma once

#include <bit>
#include <cmath>
#include <random>
#include <string>

#include "base/json.h"

namespace lodestone::testing {

// Equal kinds and bits: 1 is not 1.0, and 0.0 is not -0.0. Lines are not compared.
inline bool SameJson(const Json& a, const Json& b) {
  if (const auto* x = a.as_object(), *y = b.as_object(); x != nullptr && y != nullptr) {
    if (x->size() != y->size()) return false;
    for (size_t i = 0; i < x->size(); ++i) {
      if ((*x)[i].first != (*y)[i].first || !SameJson((*x)[i].second, (*y)[i].second)) return false;
    }
    return true;
  }
  if (const auto* x = a.as_array(), *y = b.as_array(); x != nullptr && y != nullptr) {
    if (x->size() != y->size()) return false;
    for (size_t i = 0; i < x->size(); ++i) {
      if (!SameJson((*x)[i], (*y)[i])) return false;
    }
    return true;
  }
  if (a.TypeName() != b.TypeName()) return false;
  if (a.as_string() != nullptr) return *a.as_string() == *b.as_string();
  if (a.as_bool() != nullptr) return *a.as_bool() == *b.as_bool();
  if (a.as_int() != nullptr) return *a.as_int() == *b.as_int();
  if (a.as_number()) return std::bit_cast<uint64_t>(*a.as_number()) == std::bit_cast<uint64_t>(*b.as_number());
  return true;  // both null
}

class RandomJson {
 public:
  explicit RandomJson(uint64_t seed) : random_(seed) {}

  Json Value(int depth) {
    switch (Below(depth > 0 ? 8 : 6)) {
      case 0:
        return nullptr;
      case 1:
        return Below(2) == 0;
      case 2:
        return static_cast<int64_t>(random_()) >> Below(64);
      case 3:
        return Real();
      case 4:
      case 5:
        return Text();
      case 6: {
        Json::Array items;
        for (size_t i = Below(6); i > 0; --i) items.push_back(Value(depth - 1));
        return items;
      }
      default: {
        Json object = Json::Object{};
        for (size_t i = Below(Below(4) == 0 ? 40 : 6); i > 0; --i) object.Set(Text(), Value(depth - 1));
        return object;
      }
    }
  }

  size_t Below(size_t bound) { return std::uniform_int_distribution<size_t>(0, bound - 1)(random_); }

 private:
  double Real() {
    double value = std::bit_cast<double>(random_());  // all exponents, subnormals too
    while (!std::isfinite(value)) value = std::bit_cast<double>(random_());
    return Below(2) == 0 ? value : static_cast<double>(static_cast<int64_t>(random_()) >> Below(64)) / 8;
  }

  // Characters of every length in UTF-8, and all that JSON must escape.
  std::string Text() {
    static const std::string kPieces[] = {"a",  "Z",  "0",  " ",  "\"",   "\\",           "/",
                                          "\n", "\t", "\b", "\f", "\x01", "\x7f",         "é",
                                          "€",  "😀",  "\r", "'",  "\x1f", "\xEF\xBF\xBF", std::string(1, '\0')};
    std::string text;
    for (size_t i = Below(8); i > 0; --i) text += kPieces[Below(std::size(kPieces))];
    return text;
  }

  std::mt19937_64 random_;
};

}  // namespace lodestone::testing
