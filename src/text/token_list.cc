#include "text/token_list.h"

#include <fmt/format.h>

#include <cmath>

#include "base/quote.h"
#include "text/cutting_names.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"
#include "text/tokenizer_parts.h"
#include "text/utf8.h"

namespace lodestone {
namespace {

constexpr const char* kSpace = "▁";

Json Step(std::string_view type) { return Json::Object{{"type", type}}; }

Json Replace(std::string_view from, std::string_view to) {
  Json step = Step("Replace");
  return step.Set("pattern", Json::Object{{"String", from}}).Set("content", to);
}

Json Sequence(std::string_view list_key, Json::Array steps) {
  return Step("Sequence").Set(std::string(list_key), std::move(steps));
}

// What the steps around the model are, as a tokenizer.json would write them.
struct Around {
  Json normalizer, pre_tokenizer, decoder;
};

Around AroundSentencePiece(bool space_prefix) {
  const Json spaces = Replace(" ", kSpace), words = Replace(kSpace, " ");
  if (!space_prefix) {
    return {spaces, Json(), Sequence("decoders", {words, Step("ByteFallback"), Step("Fuse")})};
  }
  const Json strip = Step("Strip").Set("content", " ").Set("start", 1).Set("stop", 0);
  return {Sequence("normalizers", {Step("Prepend").Set("prepend", kSpace), spaces}), Json(),
          Sequence("decoders", {words, Step("ByteFallback"), Step("Fuse"), strip})};
}

class Assembly {
 public:
  Assembly(const TokenList& list, const std::string& file) : list_(list), file_(file) {}

  Result<std::unique_ptr<const TokenizerParts>> Run() {
    LODESTONE_RETURN_IF_ERROR(CheckLists());
    LODESTONE_RETURN_IF_ERROR(AddModelTokens());
    Around around;
    bool add_bos = false;
    if (list_.model == TokenList::Model::kSentencePiece) {
      around = AroundSentencePiece(list_.space_prefix);
      add_bos = true;
      parts_->model =
          Bpe::Make(MergeRulesOf(list_, parts_->vocabulary),
                    {.byte_fallback = true, .fuse_unknown = true, .unknown = list_.unknown}, parts_->vocabulary);
    } else {
      Result<Cutting> cutting = FindCutting(list_.cutting);
      if (!cutting.ok()) return Error{cutting.error().code, fmt::format("{}: {}", file_, cutting.error().message)};
      around = {std::move(cutting->normalizer), std::move(cutting->pre_tokenizer), Step("ByteLevel")};
      add_bos = cutting->add_bos;
      LODESTONE_ASSIGN_OR_RETURN(const std::vector<Bpe::Rule> rules, ReadMerges());
      parts_->model =
          Bpe::Make(rules, {.ignore_merges = cutting->ignore_merges, .unknown = list_.unknown}, parts_->vocabulary);
    }
    LODESTONE_RETURN_IF_ERROR(AddSteps(around));
    LODESTONE_RETURN_IF_ERROR(AddEnds(list_.add_bos.value_or(add_bos), list_.add_eos.value_or(false)));
    return std::unique_ptr<const TokenizerParts>(std::move(parts_));
  }

 private:
  Error Fail(std::string_view message) const { return Invalid(fmt::format("{}: {}", file_, message)); }
  TokenKind KindOf(size_t id) const { return list_.kinds.empty() ? TokenKind::kNormal : list_.kinds[id]; }

  Status CheckLists() const {
    if (!list_.kinds.empty() && list_.kinds.size() != list_.tokens.size()) {
      return Fail(fmt::format("{} types of tokens for {} tokens", list_.kinds.size(), list_.tokens.size()));
    }
    if (list_.model == TokenList::Model::kSentencePiece && list_.scores.size() != list_.tokens.size()) {
      return Fail(fmt::format("{} scores for {} tokens", list_.scores.size(), list_.tokens.size()));
    }
    for (size_t id = 0; id < list_.scores.size(); ++id) {
      if (std::isnan(list_.scores[id])) return Fail(fmt::format("the score of token {} is not a number", id));
    }
    for (size_t id = 0; id < list_.tokens.size(); ++id) {
      if (FindInvalidUtf8(list_.tokens[id])) {
        return Fail(fmt::format("token {}, {}, is not UTF-8", id, Quoted(list_.tokens[id])));
      }
    }
    for (const auto& [name, id] :
         {std::pair("begins", list_.bos), {"ends", list_.eos}, {"is unknown in", list_.unknown}}) {
      if (id && (*id < 0 || static_cast<size_t>(*id) >= list_.tokens.size())) {
        return Fail(fmt::format("the token that {} a text has id {}, outside the vocabulary of {}", name, *id,
                                list_.tokens.size()));
      }
    }
    return {};
  }

  // Tokens that the model may spell; the others join as added tokens.
  Status AddModelTokens() {
    parts_->vocabulary.Reserve(list_.tokens.size());
    for (size_t id = 0; id < list_.tokens.size(); ++id) {
      const TokenKind kind = KindOf(id);
      Status added;
      if (kind == TokenKind::kNormal || kind == TokenKind::kByte) {
        added = parts_->vocabulary.AddModelToken(list_.tokens[id], static_cast<int64_t>(id));
      } else if (kind == TokenKind::kUnused) {
        added = parts_->vocabulary.AddAddedToken(list_.tokens[id], static_cast<int64_t>(id), false);
      }
      if (!added.ok()) return Fail(added.error().message);
    }
    return {};
  }

  Result<std::vector<Bpe::Rule>> ReadMerges() const {
    std::vector<Bpe::Rule> rules;
    rules.reserve(list_.merges.size());
    for (size_t i = 0; i < list_.merges.size(); ++i) {
      const std::string_view merge = list_.merges[i];
      const size_t space = merge.find(' ');
      if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos) {
        return Fail(fmt::format("merge {} is {}, expected two tokens with a space between", i, Quoted(merge)));
      }
      const auto rule =
          Bpe::FindRule(merge.substr(0, space), merge.substr(space + 1), static_cast<int32_t>(i), parts_->vocabulary);
      if (!rule.ok()) return Fail(fmt::format("merge {}, {}: {}", i, Quoted(merge), rule.error().message));
      rules.push_back(*rule);
    }
    return rules;
  }

  Status AddSteps(const Around& around) {
    LODESTONE_ASSIGN_OR_RETURN(parts_->normalizer, Normalizer::Read(&around.normalizer, {file_, "normalizer"}));
    LODESTONE_ASSIGN_OR_RETURN(parts_->pre_tokenizer,
                               PreTokenizer::Read(&around.pre_tokenizer, {file_, "pre_tokenizer"}));
    LODESTONE_ASSIGN_OR_RETURN(parts_->decoder, Decoder::Read(&around.decoder, {file_, "decoder"}));
    Json::Array added;
    for (size_t id = 0; id < list_.tokens.size(); ++id) {
      const TokenKind kind = KindOf(id);
      if (kind == TokenKind::kNormal || kind == TokenKind::kByte || kind == TokenKind::kUnused) continue;
      Json token;
      token.Set("id", static_cast<int64_t>(id)).Set("content", list_.tokens[id]).Set("normalized", false);
      added.push_back(token.Set("special", kind != TokenKind::kUserDefined));
    }
    const Json list(std::move(added));
    LODESTONE_ASSIGN_OR_RETURN(parts_->added_tokens, AddedTokens::Read(&list, {file_, "added tokens"},
                                                                       parts_->normalizer, parts_->vocabulary));
    return {};
  }

  Status AddEnds(bool add_bos, bool add_eos) {
    Json::Array single;
    Json ids;
    const auto add = [&](std::optional<int32_t> id, const char* name) -> Status {
      if (!id)
        return Fail(fmt::format("the file asks for {} with each text and does not say which token that is", name));
      single.push_back(Json::Object{{"SpecialToken", Json::Object{{"id", name}, {"type_id", 0}}}});
      ids.Set(name, Json::Object{{"id", name}, {"ids", Json::Array{*id}}});
      return {};
    };
    if (add_bos) LODESTONE_RETURN_IF_ERROR(add(list_.bos, "BOS"));
    single.push_back(Json::Object{{"Sequence", Json::Object{{"id", "A"}, {"type_id", 0}}}});
    if (add_eos) LODESTONE_RETURN_IF_ERROR(add(list_.eos, "EOS"));
    if (single.size() == 1) return {};
    const Json processor =
        Step("TemplateProcessing").Set("single", std::move(single)).Set("special_tokens", std::move(ids));
    LODESTONE_ASSIGN_OR_RETURN(parts_->post_processor,
                               PostProcessor::Read(&processor, {file_, "post_processor"}, parts_->vocabulary));
    return {};
  }

  const TokenList& list_;
  std::string file_;
  std::unique_ptr<TokenizerParts> parts_ = std::make_unique<TokenizerParts>();
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> Tokenizer::Make(const TokenList& list, const std::string& name) {
  LODESTONE_ASSIGN_OR_RETURN(std::unique_ptr<const TokenizerParts> parts, Assembly(list, name).Run());
  return std::shared_ptr<const Tokenizer>(new Tokenizer(std::move(parts)));
}

}  // namespace lodestone
