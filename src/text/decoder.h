// From tokens back to text: ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace and sequences of them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/components.h"
#include "text/decode_stages.h"

namespace lodestone {

class Decoder {
 public:
  // `json` is the value of "decoder" or null (tokens are joined by spaces).
  static Result<Decoder> Read(const Json* json, const JsonPlace& place);
  const std::vector<DecodeStep>& steps() const { return steps_; }

 private:
  std::vector<DecodeStep> steps_;
};

// One text on its way through the steps of a decoder.
class DecodeRun {
 public:
  explicit DecodeRun(const Decoder& decoder);
  std::string Push(std::string_view token);  // the text that is certain now, whole characters
  std::string Finish();                      // the rest

 private:
  static Fragments Through(DecodeStage& stage, Fragments in);
  std::vector<std::unique_ptr<DecodeStage>> stages_;
};

}  // namespace lodestone
