// A GGUF file of any bytes is read or refused; what is read can be read to its last value, and its metadata make a
// configuration and a tokenizer or an error.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/gguf.h"
#include "model/gguf_internal.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const Result<GgufFile> file = ParseGguf(std::as_bytes(std::span(data, size)), "input");
  if (!file.ok()) return 0;
  for (const GgufTensor& tensor : file->tensors) {
    int64_t values = 1;
    for (const int64_t length : tensor.shape) values *= length;
    std::vector<float> out(static_cast<size_t>(values));
    tensor.Read(0, out);
  }
  static_cast<void>(ReadGgufConfig(*file).ok());
  if (const auto tokenizer = ReadGgufTokenizer(*file); tokenizer.ok()) {
    static_cast<void>((*tokenizer)->Encode("a text, naïvely").ok());
  }
  return 0;
}
