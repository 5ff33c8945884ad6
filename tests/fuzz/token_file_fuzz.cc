// A token file of any bytes is opened or refused; every id of one that is opened is below the vocabulary.
#include <cstddef>
#include <cstdint>
#include <span>

#include "learn/training_data.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  constexpr int64_t kVocab = 70'000;
  const Result<std::unique_ptr<TokenData>> tokens =
      ParseTokenFile(std::as_bytes(std::span(data, size)), "fuzz.tokens", kVocab);
  if (!tokens.ok()) {
    LODESTONE_CHECK(tokens.error().message.starts_with("fuzz.tokens"));
    return 0;
  }
  LODESTONE_CHECK((*tokens)->size() >= 1 && static_cast<size_t>((*tokens)->size()) <= size);
  for (int64_t i = 0; i < (*tokens)->size(); ++i) {
    int32_t id = -1;
    (*tokens)->Read(i, {&id, 1});
    LODESTONE_CHECK(id >= 0 && id < kVocab);
  }
  return 0;
}
