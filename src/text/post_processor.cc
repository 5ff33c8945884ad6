#include "text/post_processor.h"

#include <fmt/format.h>

#include "base/quote.h"

namespace lodestone {
namespace {

constexpr int64_t kMaxTypeId = 1 << 30;  // told apart by encoders of sentence pairs, of no consequence here

// The ids of "special_tokens"[name].
Result<std::vector<int32_t>> SpecialIds(const Json& table, const JsonPlace& place, const std::string& name,
                                        const Vocabulary& vocabulary) {
  const Json* entry = table.Find(name);
  if (entry == nullptr) {
    return Invalid(fmt::format("{}: key {} has no entry {}", place.file, Quoted(place.path), Quoted(name)));
  }
  ObjectReader reader(*entry, place.file, fmt::format("{}.{}", place.path, name));
  reader.RequireString("id");
  reader.Ignore("tokens");  // the ids say it all
  const Json* list = reader.Require("ids");
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  std::vector<int32_t> ids;
  if (list->as_array() == nullptr) reader.Fail("ids", fmt::format("found {}, expected an array", list->TypeName()));
  LODESTONE_RETURN_IF_ERROR(reader.status());
  for (const Json& value : *list->as_array()) {
    const int64_t* id = value.as_int();
    if (id == nullptr || *id < 0 || *id >= kMaxVocabulary || !vocabulary.Has(static_cast<int32_t>(*id))) {
      reader.Fail("ids", fmt::format("found {}, expected ids of the vocabulary", Quoted(value.Dump(-1))));
      return reader.status().error();
    }
    ids.push_back(static_cast<int32_t>(*id));
  }
  return ids;
}

struct TemplatePart {
  bool special;
  std::string name;
};

// {"SpecialToken": {"id": "<s>", "type_id": 0}} or {"Sequence": {"id": "A", "type_id": 0}}
Result<TemplatePart> ReadPart(const Json& json, const JsonPlace& place) {
  ObjectReader reader(json, place.file, place.path);
  const bool special = reader.Has("SpecialToken");
  const std::string_view key = special ? "SpecialToken" : "Sequence";
  const Json* body = reader.Require(key);
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  ObjectReader inner(*body, place.file, reader.PathOf(key));
  TemplatePart part{special, inner.RequireString("id")};
  inner.OptionalInt("type_id", 0, 0, kMaxTypeId);
  if (!special && part.name != "A") inner.Fail("id", fmt::format("found {}, expected A", Quoted(part.name)));
  LODESTONE_RETURN_IF_ERROR(inner.Finish());
  return part;
}

}  // namespace

Status PostProcessor::ReadTemplate(ObjectReader& reader, const Vocabulary& vocabulary, PostProcessor& result) {
  const Json* parts = reader.Require("single");
  const Json* table = reader.Require("special_tokens");
  reader.Ignore("pair");
  LODESTONE_RETURN_IF_ERROR(reader.status());
  if (parts->as_array() == nullptr) {
    reader.Fail("single", fmt::format("found {}, expected an array", parts->TypeName()));
    return reader.status();
  }
  std::vector<int32_t> before, after;
  bool seen_text = false;
  size_t index = 0;
  for (const Json& json : *parts->as_array()) {
    const JsonPlace place{reader.file(), fmt::format("{}[{}]", reader.PathOf("single"), index++)};
    LODESTONE_ASSIGN_OR_RETURN(const TemplatePart part, ReadPart(json, place));
    if (!part.special) {
      if (seen_text) reader.Fail("single", "the text stands in it twice", ErrorCode::kUnsupported);
      seen_text = true;
      continue;
    }
    const JsonPlace table_place{reader.file(), reader.PathOf("special_tokens")};
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, SpecialIds(*table, table_place, part.name, vocabulary));
    std::vector<int32_t>& side = seen_text ? after : before;
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (!seen_text) reader.Fail("single", "the text does not stand in it");
  result.before_.insert(result.before_.begin(), before.begin(), before.end());
  result.after_.insert(result.after_.end(), after.begin(), after.end());
  return reader.status();
}

Result<PostProcessor> PostProcessor::Read(const Json* json, const JsonPlace& place, const Vocabulary& vocabulary) {
  PostProcessor result;
  const auto read = [&](ObjectReader& reader, std::string_view type) -> Status {
    if (type == "TemplateProcessing") return ReadTemplate(reader, vocabulary, result);
    if (type != "ByteLevel") return UnknownStep(reader, type, "TemplateProcessing, ByteLevel and Sequence");
    for (const char* key : {"add_prefix_space", "trim_offsets", "use_regex"}) reader.Ignore(key);  // about offsets
    return {};
  };
  LODESTONE_RETURN_IF_ERROR(ReadSteps(json, place, "processors", read));
  return result;
}

std::vector<int32_t> PostProcessor::Apply(std::vector<int32_t> ids) const {
  ids.insert(ids.begin(), before_.begin(), before_.end());
  ids.insert(ids.end(), after_.begin(), after_.end());
  return ids;
}

}  // namespace lodestone
