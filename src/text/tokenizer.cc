#include "text/tokenizer.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/units.h"
#include "text/tokenizer_parts.h"
#include "text/utf8.h"

namespace lodestone {
namespace {

constexpr size_t kMaxFileBytes = size_t{256} << 20;
constexpr size_t kMaxTextBytes = size_t{256} << 20;

// One text on its way to ids.
class Encoding {
 public:
  Encoding(const TokenizerParts& parts, bool parse_special)
      : parts_(parts), parse_special_(parse_special), scratch_(parts.vocabulary, parse_special) {}

  Result<std::vector<int32_t>> Run(std::string_view text) {
    for (const AddedTokenSpan& span : parts_.added_tokens.Split(text, false, parse_special_)) {
      LODESTONE_RETURN_IF_ERROR(AddPlain(text, span));
    }
    return std::move(ids_);
  }

 private:
  Status AddPlain(std::string_view text, const AddedTokenSpan& span) {
    if (AddToken(span)) return {};
    LODESTONE_ASSIGN_OR_RETURN(const std::string normalized, parts_.normalizer.Apply(View(text, span.range)));
    for (const AddedTokenSpan& inner : parts_.added_tokens.Split(normalized, true, parse_special_)) {
      if (AddToken(inner)) continue;
      const bool at_start = span.range.begin == 0 && inner.range.begin == 0;
      LODESTONE_RETURN_IF_ERROR(AddText(View(normalized, inner.range), at_start));
    }
    return {};
  }

  bool AddToken(const AddedTokenSpan& span) {
    if (span.id) ids_.push_back(*span.id);
    return span.id.has_value();
  }

  Status AddText(std::string_view text, bool at_start) {
    LODESTONE_ASSIGN_OR_RETURN(const Pieces pieces, parts_.pre_tokenizer.Apply(std::string(text), at_start));
    for (const Pieces::Piece& piece : pieces.pieces) LODESTONE_RETURN_IF_ERROR(AddPiece(pieces.View(piece)));
    return {};
  }

  Status AddPiece(std::string_view piece) {
    if (const Bpe* bpe = std::get_if<Bpe>(&parts_.model)) return bpe->Encode(piece, scratch_, ids_);
    return std::get<WordLevel>(parts_.model).Encode(piece, parts_.vocabulary, parse_special_, ids_);
  }

  static std::string_view View(std::string_view text, TextRange range) {
    return text.substr(range.begin, range.end - range.begin);
  }

  const TokenizerParts& parts_;
  bool parse_special_;
  Bpe::Scratch scratch_;
  std::vector<int32_t> ids_;
};

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

Result<std::shared_ptr<const Tokenizer>> Tokenizer::Load(const std::string& path) {
  LODESTONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxFileBytes));
  return Parse(text, path);
}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::Parse(std::string_view json, std::string_view name) {
  LODESTONE_ASSIGN_OR_RETURN(const Json document, ParseJson(json, name));
  LODESTONE_ASSIGN_OR_RETURN(std::unique_ptr<const TokenizerParts> parts,
                             ReadTokenizerParts(document, std::string(name)));
  return std::shared_ptr<const Tokenizer>(new Tokenizer(std::move(parts)));
}

Result<std::vector<int32_t>> Tokenizer::Encode(std::string_view utf8, EncodeOptions options) const {
  if (utf8.size() > kMaxTextBytes) {
    return Infeasible(fmt::format("a text of {}; the limit is {}", FormatBytes(static_cast<int64_t>(utf8.size())),
                                  FormatBytes(static_cast<int64_t>(kMaxTextBytes))));
  }
  if (const std::optional<size_t> offset = FindInvalidUtf8(utf8)) {
    return Invalid(
        fmt::format("the text is not UTF-8: byte 0x{:02X} at offset {}", static_cast<uint8_t>(utf8[*offset]), *offset));
  }
  LODESTONE_ASSIGN_OR_RETURN(std::vector<int32_t> ids, Encoding(*parts_, options.parse_special).Run(utf8));
  if (!options.add_special_tokens) return ids;
  return parts_->post_processor.Apply(std::move(ids));
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, bool skip_special) const {
  DecodeRun run(parts_->decoder);
  std::string text;
  for (const int32_t id : ids) {
    if (const std::optional<std::string_view> token = DecodedToken(id, skip_special)) text += run.Push(*token);
  }
  return text + run.Finish();
}

std::optional<std::string_view> Tokenizer::DecodedToken(int32_t id, bool skip_special) const {
  if (!parts_->vocabulary.Has(id) || (skip_special && IsSpecial(id))) return std::nullopt;
  return parts_->vocabulary.TokenOf(id);
}

int32_t Tokenizer::vocab_size() const { return parts_->vocabulary.size(); }
std::optional<int32_t> Tokenizer::TokenToId(std::string_view token) const { return parts_->vocabulary.Find(token); }
std::string_view Tokenizer::IdToToken(int32_t id) const { return parts_->vocabulary.TokenOf(id); }
bool Tokenizer::IsSpecial(int32_t id) const { return parts_->vocabulary.IsSpecial(id); }

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)),
      skip_special_(skip_special),
      run_(std::make_unique<DecodeRun>(tokenizer_->parts_->decoder)) {}
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;
StreamDecoder::~StreamDecoder() = default;

std::string StreamDecoder::Push(int32_t id) {
  const std::optional<std::string_view> token = tokenizer_->DecodedToken(id, skip_special_);
  return token ? run_->Push(*token) : "";
}

std::string StreamDecoder::Finish() {
  std::string rest = run_->Finish();
  run_ = std::make_unique<DecodeRun>(tokenizer_->parts_->decoder);
  return rest;
}

}  // namespace lodestone
