// A tokenizer.json of any bytes is read or refused; what is read encodes a text or says why not, and decodes its tokens
// to the same text at once and token by token.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const auto tokenizer =
      Tokenizer::Parse(std::string_view(reinterpret_cast<const char*>(data), size), "tokenizer.json");
  if (!tokenizer.ok()) return 0;
  constexpr std::string_view kText = "<s>Hello,  world's 1234\n\n\u00e9\u0301 \u6f22\u5b57 \U0001F44D<|end|> aab ";
  for (const bool parse_special : {false, true}) {
    const auto ids = (*tokenizer)->Encode(kText, {.add_special_tokens = true, .parse_special = parse_special});
    if (!ids.ok()) continue;
    StreamDecoder stream(*tokenizer);
    std::string text;
    for (const int32_t id : *ids) {
      LODESTONE_CHECK(id >= 0 && id < (*tokenizer)->vocab_size());
      text += stream.Push(id);
    }
    text += stream.Finish();
    LODESTONE_CHECK(text == (*tokenizer)->Decode(*ids));
  }
  return 0;
}
