#include <fmt/format.h>

#include "base/quote.h"
#include "text/tokenizer_parts.h"

namespace lodestone {
namespace {

Status ReadVocabulary(ObjectReader& reader, Vocabulary& vocabulary) {
  const Json* json = reader.Require("vocab");
  LODESTONE_RETURN_IF_ERROR(reader.status());
  const Json::Object* entries = json->as_object();
  if (entries == nullptr) {
    reader.Fail("vocab", fmt::format("found {}, expected an object", json->TypeName()));
    return reader.status();
  }
  vocabulary.Reserve(entries->size());
  for (const auto& [token, value] : *entries) {
    const int64_t* id = value.as_int();
    const Status added =
        id == nullptr
            ? Status(Invalid(fmt::format("token {} has {}, expected an integer", Quoted(token), value.TypeName())))
            : vocabulary.AddModelToken(token, *id);
    if (!added.ok()) {
      reader.Fail("vocab", added.error().message);
      return reader.status();
    }
  }
  return {};
}

Status ReadModel(const Json& json, const JsonPlace& place, TokenizerParts& parts) {
  ObjectReader reader(json, place.file, place.path);
  // Files of the first versions leave the type out; only BPE has merges.
  const std::string type = reader.Has("merges") ? reader.OptionalString("type", "BPE") : reader.RequireString("type");
  LODESTONE_RETURN_IF_ERROR(reader.status());
  if (type != "BPE" && type != "WordLevel") return UnknownStep(reader, type, "BPE and WordLevel");
  LODESTONE_RETURN_IF_ERROR(ReadVocabulary(reader, parts.vocabulary));
  if (type == "BPE") {
    LODESTONE_ASSIGN_OR_RETURN(parts.model, Bpe::Read(reader, parts.vocabulary));
  } else {
    LODESTONE_ASSIGN_OR_RETURN(parts.model, WordLevel::Read(reader, parts.vocabulary));
  }
  return reader.Finish();
}

}  // namespace

Result<std::unique_ptr<const TokenizerParts>> ReadTokenizerParts(const Json& json, const std::string& file) {
  ObjectReader reader(json, file);
  const std::string version = reader.OptionalString("version", "1.0");
  if (version != "1.0") {
    reader.Fail("version", fmt::format("{} is not supported; 1.0 is", Quoted(version)), ErrorCode::kUnsupported);
  }
  if (reader.Has("truncation")) {
    reader.Fail("truncation", "is not supported, because it drops text; set it to null and shorten the text",
                ErrorCode::kUnsupported);
  }
  reader.Ignore("truncation");
  reader.Ignore("padding");
  const Json* model = reader.Require("model");
  const Json* normalizer = reader.Optional("normalizer");
  const Json* added_tokens = reader.Optional("added_tokens");
  const Json* pre_tokenizer = reader.Optional("pre_tokenizer");
  const Json* post_processor = reader.Optional("post_processor");
  const Json* decoder = reader.Optional("decoder");
  LODESTONE_RETURN_IF_ERROR(reader.Finish());

  auto parts = std::make_unique<TokenizerParts>();
  const auto place = [&](std::string_view key) { return JsonPlace{file, std::string(key)}; };
  LODESTONE_RETURN_IF_ERROR(ReadModel(*model, place("model"), *parts));
  LODESTONE_ASSIGN_OR_RETURN(parts->normalizer, Normalizer::Read(normalizer, place("normalizer")));
  LODESTONE_ASSIGN_OR_RETURN(parts->added_tokens, AddedTokens::Read(added_tokens, place("added_tokens"),
                                                                    parts->normalizer, parts->vocabulary));
  LODESTONE_ASSIGN_OR_RETURN(parts->pre_tokenizer, PreTokenizer::Read(pre_tokenizer, place("pre_tokenizer")));
  LODESTONE_ASSIGN_OR_RETURN(parts->post_processor,
                             PostProcessor::Read(post_processor, place("post_processor"), parts->vocabulary));
  LODESTONE_ASSIGN_OR_RETURN(parts->decoder, Decoder::Read(decoder, place("decoder")));
  return std::unique_ptr<const TokenizerParts>(std::move(parts));
}

}  // namespace lodestone
