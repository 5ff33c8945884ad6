#include <gtest/gtest.h>

#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

namespace lodestone::testing {
namespace {

struct Refusal {
  const char* name;
  std::string json;
  std::vector<std::string> says;  // parts of the message
  ErrorCode code = ErrorCode::kInvalid;
};

const char* const kTinyModel = R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]})";

std::string WithModel(const std::string& model) { return TokenizerText{.model = model}.Json(); }
std::string WithNormalizer(const std::string& step) {
  return TokenizerText{.model = kTinyModel, .normalizer = step}.Json();
}
std::string WithPreTokenizer(const std::string& step) {
  return TokenizerText{.model = kTinyModel, .pre_tokenizer = step}.Json();
}
std::string WithPostProcessor(const std::string& step) {
  return TokenizerText{.model = kTinyModel, .post_processor = step}.Json();
}
std::string WithDecoder(const std::string& step) { return TokenizerText{.model = kTinyModel, .decoder = step}.Json(); }
std::string Bpe(const std::string& more) {
  return WithModel(R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"],)" + more + "}");
}

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class TokenizerRefusal : public ::testing::TestWithParam<Refusal> {};

TEST_P(TokenizerRefusal, NamesWhatItRefuses) {
  const auto tokenizer = Tokenizer::Parse(GetParam().json, "dir/tokenizer.json");
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(tokenizer.error().code, GetParam().code) << tokenizer.error().message;
  EXPECT_EQ(tokenizer.error().message.find("dir/tokenizer.json"), 0u) << tokenizer.error().message;
  for (const std::string& part : GetParam().says) {
    EXPECT_NE(tokenizer.error().message.find(part), std::string::npos)
        << part << " is not in " << tokenizer.error().message;
  }
}

constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;
constexpr ErrorCode kNotFound = ErrorCode::kNotFound;

INSTANTIATE_TEST_SUITE_P(
    File, TokenizerRefusal,
    ::testing::Values(Refusal{"NotJson", "{", {}}, Refusal{"NotAnObject", "[]", {"expected an object"}},
                      Refusal{"NoModel", "{}", {"model"}, kNotFound},
                      Refusal{"UnknownKey", R"({"modle":1,"model":)" + std::string(kTinyModel) + "}", {"modle"}},
                      Refusal{"Version",
                              R"({"version":"2.0","model":)" + std::string(kTinyModel) + "}",
                              {"version", "2.0"},
                              kUnsupported},
                      Refusal{"Truncation",
                              R"({"truncation":{"max_length":4},"model":)" + std::string(kTinyModel) + "}",
                              {"truncation", "set it to null"},
                              kUnsupported}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Model, TokenizerRefusal,
    ::testing::Values(
        Refusal{
            "Unigram", WithModel(R"({"type":"Unigram","vocab":[]})"), {"model.type", "Unigram", "BPE"}, kUnsupported},
        Refusal{"WordPiece", WithModel(R"({"type":"WordPiece","vocab":{}})"), {"WordPiece"}, kUnsupported},
        Refusal{"NoType", WithModel(R"({"vocab":{}})"), {"model.type"}, kNotFound},
        Refusal{"UnknownKey", Bpe(R"("speed":1)"), {"model.speed"}},
        Refusal{"Dropout", Bpe(R"("dropout":0.1)"), {"model.dropout"}, kUnsupported},
        Refusal{"Prefix", Bpe(R"("continuing_subword_prefix":"##")"), {"continuing_subword_prefix"}, kUnsupported},
        Refusal{"Suffix", Bpe(R"("end_of_word_suffix":"</w>")"), {"end_of_word_suffix"}, kUnsupported},
        Refusal{"UnknownToken", Bpe(R"("unk_token":"<unk>")"), {"model.unk_token", "<unk>"}},
        Refusal{"VocabIsAList", WithModel(R"({"type":"BPE","vocab":[],"merges":[]})"), {"model.vocab", "an object"}},
        Refusal{"IdIsText", WithModel(R"({"type":"BPE","vocab":{"a":"0"},"merges":[]})"), {"model.vocab", "'a'"}},
        Refusal{"NegativeId", WithModel(R"({"type":"BPE","vocab":{"a":-1},"merges":[]})"), {"'a' has id -1"}},
        Refusal{
            "HugeId", WithModel(R"({"type":"BPE","vocab":{"a":2147483647},"merges":[]})"), {"'a' has id 2147483647"}},
        Refusal{"SharedId", WithModel(R"({"type":"BPE","vocab":{"a":0,"b":0},"merges":[]})"), {"id 0 has two tokens"}},
        Refusal{"NoMerges", WithModel(R"({"type":"BPE","vocab":{"a":0}})"), {"model.merges"}, kNotFound},
        Refusal{
            "MergesAreText", WithModel(R"({"type":"BPE","vocab":{"a":0},"merges":"a"})"), {"model.merges", "an array"}},
        Refusal{"MergeOfThree", WithModel(R"({"type":"BPE","vocab":{"a":0},"merges":["a a a"]})"), {"model.merges[0]"}},
        Refusal{"MergeOfUnknown",
                WithModel(R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b","a c"]})"),
                {"model.merges[1]", "'c' is not in the vocabulary"}},
        Refusal{"MergeIntoUnknown",
                WithModel(R"({"type":"BPE","vocab":{"a":0,"b":1},"merges":[["a","b"]]})"),
                {"model.merges[0]", "'ab' is not in the vocabulary"}}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Components, TokenizerRefusal,
    ::testing::Values(
        Refusal{"Normalizer",
                WithNormalizer(R"({"type":"BertNormalizer"})"),
                {"normalizer.type", "BertNormalizer"},
                kUnsupported},
        Refusal{"NestedNormalizer",
                WithNormalizer(SequenceJson("normalizers", {R"({"type":"NFC"})", R"({"type":"Nmt"})"})),
                {"normalizer.normalizers[1].type", "Nmt"},
                kUnsupported},
        Refusal{"NormalizerKey", WithNormalizer(R"({"type":"NFC","form":1})"), {"normalizer.form"}},
        Refusal{"EmptyPattern",
                WithNormalizer(R"({"type":"Replace","pattern":{"String":""},"content":"x"})"),
                {"normalizer.pattern.String", "empty"}},
        Refusal{"PatternKind",
                WithNormalizer(R"({"type":"Replace","pattern":{"Glob":"*"},"content":"x"})"),
                {"normalizer.pattern"},
                kNotFound},
        Refusal{"PreTokenizer",
                WithPreTokenizer(R"({"type":"UnicodeScripts"})"),
                {"pre_tokenizer.type", "UnicodeScripts"},
                kUnsupported},
        Refusal{"BadRegex", WithPreTokenizer(RegexSplit("(")), {"pre_tokenizer.pattern.Regex", "does not compile"}},
        Refusal{"AmbiguousRegex", WithPreTokenizer(RegexSplit(R"(\p{N}{1,3}+)")), {"after an interval"}, kUnsupported},
        Refusal{"Behavior", WithPreTokenizer(RegexSplit("a", "Sometimes")), {"pre_tokenizer.behavior", "Sometimes"}},
        Refusal{"NoBehavior",
                WithPreTokenizer(R"({"type":"Split","pattern":{"String":"a"}})"),
                {"pre_tokenizer.behavior"},
                kNotFound},
        Refusal{"TwoByteLevels",
                WithPreTokenizer(SequenceJson("pretokenizers",
                                              {ByteLevelStepJson(false, true), ByteLevelStepJson(false, true)})),
                {"pre_tokenizer.pretokenizers[1].type", "second ByteLevel"},
                kUnsupported},
        Refusal{"MetaspaceText",
                WithPreTokenizer(R"({"type":"Metaspace","replacement":"ab"})"),
                {"pre_tokenizer.replacement", "one character"}},
        Refusal{"MetaspaceScheme",
                WithPreTokenizer(R"({"type":"Metaspace","replacement":"_","prepend_scheme":"last"})"),
                {"prepend_scheme", "last"}},
        Refusal{"MetaspaceContradiction",
                WithPreTokenizer(
                    R"({"type":"Metaspace","replacement":"_","prepend_scheme":"always","add_prefix_space":false})"),
                {"prepend_scheme", "contradicts"}},
        Refusal{"PostProcessor",
                WithPostProcessor(R"({"type":"BertProcessing"})"),
                {"post_processor.type", "BertProcessing"},
                kUnsupported},
        Refusal{
            "TemplateWithoutEntry",
            WithPostProcessor(
                R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}}],"special_tokens":{}})"),
            {"post_processor.special_tokens", "'<s>'"}},
        Refusal{"TemplateWithoutText",
                WithPostProcessor(R"({"type":"TemplateProcessing","single":[],"special_tokens":{}})"),
                {"does not stand in it"}},
        Refusal{
            "TemplateOfPairs",
            WithPostProcessor(
                R"({"type":"TemplateProcessing","single":[{"Sequence":{"id":"B","type_id":0}}],"special_tokens":{}})"),
            {"post_processor.single[0].Sequence.id", "expected A"}},
        Refusal{"TemplateTwice",
                WithPostProcessor(R"({"type":"TemplateProcessing","single":[{"Sequence":{"id":"A","type_id":0}},)"
                                  R"({"Sequence":{"id":"A","type_id":0}}],"special_tokens":{}})"),
                {"post_processor.single", "twice"},
                kUnsupported},
        Refusal{"TemplateOfUnknownId", WithPostProcessor(TemplateJson("<s>", 99)), {"special_tokens.<s>.ids", "99"}},
        Refusal{"Decoder", WithDecoder(R"({"type":"WordPiece"})"), {"decoder.type", "WordPiece"}, kUnsupported},
        Refusal{"DecoderRegex",
                WithDecoder(R"({"type":"Replace","pattern":{"Regex":"a"},"content":""})"),
                {"decoder.pattern", "Regex"},
                kUnsupported},
        Refusal{"DecoderStrip",
                WithDecoder(R"({"type":"Strip","content":"","start":1,"stop":0})"),
                {"decoder.content", "one character"}},
        Refusal{
            "SequenceWithoutList", WithDecoder(R"({"type":"Sequence","steps":[]})"), {"decoder.decoders"}, kNotFound},
        Refusal{"TooManySteps",
                WithNormalizer(SequenceJson("normalizers", std::vector<std::string>(65, R"({"type":"NFC"})"))),
                {"more than 64"}}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace lodestone::testing
