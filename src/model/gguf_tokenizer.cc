#include <fmt/format.h>

#include <limits>

#include "base/quote.h"
#include "model/gguf_internal.h"
#include "text/token_list.h"

namespace lodestone {
namespace {

constexpr std::string_view kKeys = "tokenizer.ggml.";

std::string Key(std::string_view name) { return fmt::format("{}{}", kKeys, name); }

// The array of a key, each value turned by `convert` into an optional T; empty where the key is absent.
template <typename T, typename Convert>
std::vector<T> ReadList(ObjectReader& reader, std::string_view name, std::string_view expected, Convert convert) {
  std::vector<T> values;
  const Json* json = reader.Optional(Key(name));
  if (json == nullptr) return values;
  if (json->as_array() == nullptr) {
    reader.Fail(Key(name), fmt::format("found {}, expected an array", json->TypeName()));
    return values;
  }
  values.reserve(json->as_array()->size());
  for (const Json& item : *json->as_array()) {
    std::optional<T> value = convert(item);
    if (!value) {
      reader.Fail(Key(name),
                  fmt::format("entry {} is {}, expected {}", values.size(), Quoted(item.Dump(-1)), expected));
      return values;
    }
    values.push_back(*std::move(value));
  }
  return values;
}

std::vector<std::string> ReadTexts(ObjectReader& reader, std::string_view name) {
  return ReadList<std::string>(reader, name, "a string", [](const Json& item) -> std::optional<std::string> {
    return item.as_string() == nullptr ? std::nullopt : std::optional(*item.as_string());
  });
}

std::optional<int32_t> ReadId(ObjectReader& reader, std::string_view name) {
  const std::string key = Key(name);
  if (!reader.Has(key)) return std::nullopt;
  return static_cast<int32_t>(reader.RequireInt(key, 0, std::numeric_limits<int32_t>::max()));
}

std::optional<bool> ReadFlag(ObjectReader& reader, std::string_view name) {
  const std::string key = Key(name);
  if (!reader.Has(key)) return std::nullopt;
  return reader.RequireBool(key);
}

void ReadModel(ObjectReader& reader, TokenList* list) {
  const std::string model = reader.RequireString(Key("model"));
  if (!reader.status().ok()) return;
  if (model == "llama") {
    list->model = TokenList::Model::kSentencePiece;
    reader.Ignore(Key("pre"));  // "default": SentencePiece does not cut
    reader.Ignore(Key("merges"));
    list->space_prefix = ReadFlag(reader, "add_space_prefix").value_or(true);
  } else if (model == "gpt2") {
    list->model = TokenList::Model::kByteLevelBpe;
    list->merges = ReadTexts(reader, "merges");
    reader.Require(Key("merges"));
    if (!reader.Has(Key("pre"))) {
      reader.Fail(Key("pre"),
                  "is missing, so the file does not say how a text is cut; convert the model again with a current "
                  "converter",
                  ErrorCode::kNotFound);
    }
    list->cutting = reader.OptionalString(Key("pre"), "");
    if (ReadFlag(reader, "add_space_prefix").value_or(false)) {
      reader.Fail(Key("add_space_prefix"), "is not supported for a byte-level tokenizer", ErrorCode::kUnsupported);
    }
  } else {
    reader.Fail(Key("model"),
                fmt::format("the tokenizer {} is not supported; supported are gpt2 (byte-level BPE) and llama "
                            "(SentencePiece)",
                            Quoted(model)),
                ErrorCode::kUnsupported);
  }
}

void ReadEnds(ObjectReader& reader, TokenList* list) {
  list->bos = ReadId(reader, "bos_token_id");
  list->eos = ReadId(reader, "eos_token_id");
  list->unknown = ReadId(reader, "unknown_token_id");
  list->add_bos = ReadFlag(reader, "add_bos_token");
  list->add_eos = ReadFlag(reader, "add_eos_token");
  if (list->model == TokenList::Model::kSentencePiece) {
    // What SentencePiece numbers them unless told otherwise.
    const auto count = static_cast<int32_t>(list->tokens.size());
    if (!list->unknown && count > 0) list->unknown = 0;
    if (!list->bos && count > 1) list->bos = 1;
    if (!list->eos && count > 2) list->eos = 2;
  }
  if (ReadFlag(reader, "add_sep_token").value_or(false)) {
    reader.Fail(Key("add_sep_token"), "is not supported", ErrorCode::kUnsupported);
  }
}

// Other tokens' ids say what a token is for, and change no text's ids.
void RefuseOtherKeys(ObjectReader& reader) {
  reader.Ignore(Key("token_type_count"));  // of encoders of sentence pairs
  for (const std::string& key : reader.Unread()) {
    if (!key.starts_with(kKeys) || key.ends_with("_token_id")) continue;
    reader.Fail(key, "this key is not known and may change the tokens", ErrorCode::kUnsupported);
  }
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> ReadGgufTokenizer(const GgufFile& file) {
  ObjectReader reader(file.metadata, file.name);
  TokenList list;
  ReadModel(reader, &list);
  LODESTONE_RETURN_IF_ERROR(reader.status());
  list.tokens = ReadTexts(reader, "tokens");
  list.scores = ReadList<float>(reader, "scores", "a number", [](const Json& item) -> std::optional<float> {
    const std::optional<double> score = item.as_number();
    return score ? std::optional(static_cast<float>(*score)) : std::nullopt;
  });
  list.kinds = ReadList<TokenKind>(reader, "token_type", "an integer from 1 to 6",
                                   [](const Json& item) -> std::optional<TokenKind> {
                                     const int64_t* kind = item.as_int();
                                     if (kind == nullptr || *kind < 1 || *kind > 6) return std::nullopt;
                                     return static_cast<TokenKind>(*kind);
                                   });
  ReadEnds(reader, &list);
  RefuseOtherKeys(reader);
  LODESTONE_RETURN_IF_ERROR(reader.status());
  return Tokenizer::Make(list, file.name);
}

}  // namespace lodestone
