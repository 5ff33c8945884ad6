// The tokens around a text: TemplateProcessing ("<s> $A"), ByteLevel (of no consequence for ids), sequences of them.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"
#include "text/components.h"
#include "text/vocabulary.h"

namespace lodestone {

class PostProcessor {
 public:
  // `json` is the value of "post_processor" or null. Templates for pairs of texts are not read.
  static Result<PostProcessor> Read(const Json* json, const JsonPlace& place, const Vocabulary& vocabulary);
  std::vector<int32_t> Apply(std::vector<int32_t> ids) const;

 private:
  static Status ReadTemplate(ObjectReader& reader, const Vocabulary& vocabulary, PostProcessor& result);

  std::vector<int32_t> before_, after_;
};

}  // namespace lodestone
