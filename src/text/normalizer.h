// The rewriting of a text before it is cut into pieces: Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "text/components.h"
#include "text/pattern.h"
#include "text/unicode.h"

namespace lodestone {

class Normalizer {
 public:
  // `json` is the value of "normalizer" or null.
  static Result<Normalizer> Read(const Json* json, const JsonPlace& place);
  // `text` is valid UTF-8, and so is the result.
  Result<std::string> Apply(std::string_view text) const;

 private:
  struct Prepend {
    std::string content;
  };
  struct Replace {
    Pattern pattern;
    std::string content;
  };
  struct Lower {};
  struct Strip {
    bool left, right;
  };
  using Step = std::variant<Prepend, Replace, NormalForm, Lower, Strip>;

  static Result<std::string> ApplyStep(const Step& step, std::string text);
  std::vector<Step> steps_;
};

// Refuses files whose replacements could blow a text up: multiplies the lengths that `Replace` steps put in place of a
// byte, and says whether the product is still sane. A published file has at most a factor of three ("▁" for a space).
class GrowthLimit {
 public:
  bool Allows(std::string_view content);

 private:
  size_t factor_ = 1;
};

}  // namespace lodestone
