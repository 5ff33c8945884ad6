// The fixture stories260k as a GGUF file, with its tokenizer as SentencePiece states one.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "fixtures.h"
#include "model/gguf_of_model.h"
#include "model/open_model.h"

namespace lodestone::testing {

inline constexpr const char* kStoriesFixture = "fixtures/stories260k";

// The vocabulary of a tokenizer.json whose merges came from SentencePiece. The scores are lost there; the ranks of the
// merges that make a token keep their order.
inline void AddSentencePiece(GgufBuilder& builder, const Json& model) {
  const Json::Object& vocabulary = *model.Find("vocab")->as_object();
  std::vector<std::string> tokens(vocabulary.size());
  std::vector<int32_t> types(vocabulary.size(), 1);
  std::vector<float> scores(vocabulary.size(), -1e6f);
  std::map<std::string, size_t> ids;
  for (const auto& [token, id] : vocabulary) {
    const auto at = static_cast<size_t>(*id.as_int());
    tokens[at] = token;
    ids[token] = at;
    if (token.starts_with("<0x")) types[at] = 6;
  }
  types[0] = 2;
  types[1] = types[2] = 3;
  const Json::Array& merges = *model.Find("merges")->as_array();
  for (size_t rank = merges.size(); rank > 0; --rank) {
    std::string token = *merges[rank - 1].as_string();
    token.erase(token.find(' '), 1);
    scores[ids.at(token)] = -static_cast<float>(rank);
  }
  builder.Text("tokenizer.ggml.model", "llama").Text("tokenizer.ggml.pre", "default");
  builder.Texts("tokenizer.ggml.tokens", tokens).Floats("tokenizer.ggml.scores", scores);
  builder.Ints("tokenizer.ggml.token_type", types);
  builder.U32("tokenizer.ggml.bos_token_id", 1).U32("tokenizer.ggml.eos_token_id", 2);
}

inline std::string StoriesAsGguf(uint32_t matrix_type) {
  const std::string folder = (SharedDir() / kStoriesFixture).string();
  const Result<Model> model = OpenModel(folder);
  EXPECT_TRUE(model.ok()) << model.error().message;
  const Result<Json> tokenizer = ReadJsonFile(folder + "/tokenizer.json", 1 << 20);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  GgufBuilder builder;
  AddSentencePiece(builder, *tokenizer->Find("model"));
  GgufOfModel(model->config, *model->weights, matrix_type).AddTo(builder);
  return builder.Build();
}

}  // namespace lodestone::testing
