#include "text/normalizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/utf8.h"

namespace lodestone {
namespace {

constexpr size_t kMaxGrowth = 4096;

std::string StripSpace(std::string_view text, bool left, bool right) {
  size_t begin = 0;
  size_t end = text.size();
  while (left && begin < end) {
    const Utf8Unit unit = ReadUtf8(text, begin);
    if (!IsWhitespace(unit.value)) break;
    begin += unit.length;
  }
  while (right && end > begin) {
    const size_t last = PreviousCharacter(text, end);
    if (!IsWhitespace(ReadUtf8(text, last).value)) break;
    end = last;
  }
  return std::string(text.substr(begin, end - begin));
}

Result<std::string> ReplaceAll(std::string_view text, const Pattern& pattern, std::string_view content) {
  PatternSearch search(pattern);
  LODESTONE_ASSIGN_OR_RETURN(const std::span<const TextRange> matches, search.FindAll(text));
  std::string out;
  size_t done = 0;
  for (const TextRange& match : matches) {
    out += text.substr(done, match.begin - done);
    out += content;
    done = match.end;
  }
  out += text.substr(done);
  return out;
}

}  // namespace

bool GrowthLimit::Allows(std::string_view content) {
  factor_ *= std::clamp<size_t>(content.size(), 1, kMaxGrowth + 1);
  return factor_ <= kMaxGrowth;
}

Result<Normalizer> Normalizer::Read(const Json* json, const JsonPlace& place) {
  Normalizer normalizer;
  GrowthLimit growth;
  const auto read = [&](ObjectReader& reader, std::string_view type) -> Status {
    std::vector<Step>& steps = normalizer.steps_;
    if (type == "Prepend") {
      steps.push_back(Prepend{reader.RequireString("prepend")});
      if (!growth.Allows(std::get<Prepend>(steps.back()).content)) reader.Fail("prepend", "is too long");
    } else if (type == "Replace") {
      LODESTONE_ASSIGN_OR_RETURN(Pattern pattern, Pattern::Read(reader, "pattern"));
      steps.push_back(Replace{std::move(pattern), reader.RequireString("content")});
      if (!growth.Allows(std::get<Replace>(steps.back()).content)) reader.Fail("content", "is too long");
    } else if (type == "NFC") {
      steps.push_back(NormalForm::kNfc);
    } else if (type == "NFD") {
      steps.push_back(NormalForm::kNfd);
    } else if (type == "NFKC") {
      steps.push_back(NormalForm::kNfkc);
    } else if (type == "NFKD") {
      steps.push_back(NormalForm::kNfkd);
    } else if (type == "Lowercase") {
      steps.push_back(Lower{});
    } else if (type == "Strip") {
      const bool left = reader.RequireBool("strip_left");
      steps.push_back(Strip{left, reader.RequireBool("strip_right")});
    } else {
      return UnknownStep(reader, type, "Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip and Sequence");
    }
    return reader.status();
  };
  LODESTONE_RETURN_IF_ERROR(ReadSteps(json, place, "normalizers", read));
  return normalizer;
}

Result<std::string> Normalizer::Apply(std::string_view text) const {
  std::string current(text);
  for (const Step& step : steps_) {
    LODESTONE_ASSIGN_OR_RETURN(current, ApplyStep(step, std::move(current)));
  }
  return current;
}

Result<std::string> Normalizer::ApplyStep(const Step& step, std::string text) {
  struct Visitor {
    std::string text;
    Result<std::string> operator()(const Prepend& step) { return text.empty() ? text : step.content + text; }
    Result<std::string> operator()(const Replace& step) { return ReplaceAll(text, step.pattern, step.content); }
    Result<std::string> operator()(NormalForm form) { return Normalize(text, form); }
    Result<std::string> operator()(const Lower&) { return Lowercase(text); }
    Result<std::string> operator()(const Strip& step) { return StripSpace(text, step.left, step.right); }
  };
  return std::visit(Visitor{std::move(text)}, step);
}

}  // namespace lodestone
