#include "text/decoder.h"

#include <fmt/format.h>

#include "text/normalizer.h"
#include "text/pattern.h"

namespace lodestone {
namespace {

constexpr int64_t kMaxStrip = 1 << 20;
constexpr std::string_view kSupported = "ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace and Sequence";

std::string Text(const Fragments& fragments) {
  std::string text;
  for (const Fragment& fragment : fragments) text += fragment.text;
  return text;
}

Result<DecodeStep> ReadReplace(ObjectReader& reader, GrowthLimit& growth) {
  LODESTONE_ASSIGN_OR_RETURN(const Pattern pattern, Pattern::Read(reader, "pattern"));
  if (pattern.text() == nullptr) reader.Fail("pattern", "a Regex is not supported here", ErrorCode::kUnsupported);
  ReplaceStep step{pattern.text() == nullptr ? "" : *pattern.text(), reader.RequireString("content")};
  if (!growth.Allows(step.content)) reader.Fail("content", "is too long");
  LODESTONE_RETURN_IF_ERROR(reader.status());
  return DecodeStep(std::move(step));
}

Result<DecodeStep> ReadMetaspace(ObjectReader& reader) {
  LODESTONE_ASSIGN_OR_RETURN(std::string replacement, ReadCharacter(reader, "replacement"));
  const bool add_prefix_space = reader.OptionalBool("add_prefix_space", true);
  const std::string scheme = reader.OptionalString("prepend_scheme", add_prefix_space ? "always" : "never");
  reader.Ignore("split");  // about encoding
  reader.Ignore("str_rep");
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    reader.Fail("prepend_scheme", "expected always, first or never");
  }
  LODESTONE_RETURN_IF_ERROR(reader.status());
  return DecodeStep(MetaspaceStep{std::move(replacement), scheme != "never"});
}

Result<DecodeStep> ReadStrip(ObjectReader& reader) {
  LODESTONE_ASSIGN_OR_RETURN(std::string content, ReadCharacter(reader, "content"));
  const auto start = static_cast<size_t>(reader.RequireInt("start", 0, kMaxStrip));
  const auto stop = static_cast<size_t>(reader.RequireInt("stop", 0, kMaxStrip));
  LODESTONE_RETURN_IF_ERROR(reader.status());
  return DecodeStep(StripStep{std::move(content), start, stop});
}

Result<DecodeStep> ReadStep(ObjectReader& reader, std::string_view type, GrowthLimit& growth) {
  if (type == "Replace") return ReadReplace(reader, growth);
  if (type == "Metaspace") return ReadMetaspace(reader);
  if (type == "Strip") return ReadStrip(reader);
  if (type == "ByteFallback") return DecodeStep(ByteFallbackStep{});
  if (type == "Fuse") return DecodeStep(FuseStep{});
  if (type == "ByteLevel") {
    for (const char* key : {"add_prefix_space", "trim_offsets", "use_regex"}) reader.Ignore(key);  // about encoding
    return DecodeStep(ByteLevelStep{});
  }
  return UnknownStep(reader, type, kSupported).error();
}

}  // namespace

Result<Decoder> Decoder::Read(const Json* json, const JsonPlace& place) {
  Decoder decoder;
  GrowthLimit growth;
  const auto read = [&](ObjectReader& reader, std::string_view type) -> Status {
    LODESTONE_ASSIGN_OR_RETURN(DecodeStep step, ReadStep(reader, type, growth));
    decoder.steps_.push_back(std::move(step));
    return {};
  };
  LODESTONE_RETURN_IF_ERROR(ReadSteps(json, place, "decoders", read));
  if (json == nullptr || json->is_null()) decoder.steps_.emplace_back(std::in_place_type<JoinStep>);
  return decoder;
}

DecodeRun::DecodeRun(const Decoder& decoder) {
  for (const DecodeStep& step : decoder.steps()) stages_.push_back(MakeStage(step));
}

Fragments DecodeRun::Through(DecodeStage& stage, Fragments in) {
  Fragments out;
  for (Fragment& fragment : in) stage.Push(std::move(fragment), out);
  return out;
}

std::string DecodeRun::Push(std::string_view token) {
  Fragments fragments{{std::string(token)}};
  for (const auto& stage : stages_) fragments = Through(*stage, std::move(fragments));
  return Text(fragments);
}

std::string DecodeRun::Finish() {
  Fragments fragments;
  for (const auto& stage : stages_) {
    fragments = Through(*stage, std::move(fragments));
    stage->Finish(fragments);
  }
  return Text(fragments);
}

}  // namespace lodestone
