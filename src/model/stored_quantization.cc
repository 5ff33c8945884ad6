// The block `quantization_config` of a config.json that `lodestone quantize` wrote.
#include <fmt/format.h>

#include "base/quote.h"
#include "model/huggingface_internal.h"
#include "model/packed_checkpoint.h"
#include "model/recipe.h"

namespace lodestone {
namespace {

constexpr const char* kKey = "quantization_config";
constexpr const char* kMethod = "lodestone";
constexpr const char* kBytes = "bytes";

}  // namespace

Json StoredQuantizationBlock(const StoredQuantization& stored) {
  Json block;
  block.Set("quant_method", kMethod).Set("version", kPackedVersion).Set("recipe", stored.recipe);
  block.Set("method", stored.method);
  if (stored.byte_tokenizer) block.Set("tokenizer", kBytes);
  return block;
}

void ReadStoredQuantization(ObjectReader& reader, ModelConfig* config) {
  const Json* block = reader.Optional(kKey);
  if (block == nullptr) return;
  const Json* method = block->Find("quant_method");
  const std::string* name = method == nullptr ? nullptr : method->as_string();
  if (name == nullptr || *name != kMethod) {
    return reader.Fail(
        kKey,
        fmt::format("the checkpoint is stored quantised (quant_method {}), which is not read; take the original "
                    "F32, F16 or BF16 checkpoint and choose a recipe such as w4a8",
                    name == nullptr ? "not stated" : Quoted(*name)),
        ErrorCode::kUnsupported);
  }
  ObjectReader keys(*block, reader.file(), reader.PathOf(kKey));
  StoredQuantization stored;
  keys.Ignore("quant_method");
  const int64_t version = keys.RequireInt("version", 1, 1 << 20);
  stored.recipe = keys.RequireString("recipe");
  stored.method = keys.RequireString("method");
  const std::string tokenizer = keys.OptionalString("tokenizer", "");
  stored.byte_tokenizer = tokenizer == kBytes;
  if (!tokenizer.empty() && !stored.byte_tokenizer) {
    keys.Fail("tokenizer", fmt::format("found {}, expected {}", Quoted(tokenizer), Quoted(kBytes)));
  }
  if (version != kPackedVersion) {
    keys.Fail("version", fmt::format("this program reads version {}; quantize the original again", kPackedVersion),
              ErrorCode::kUnsupported);
  }
  if (const auto recipe = ParseRecipe(stored.recipe); !recipe.ok()) keys.Fail("recipe", recipe.error().message);
  if (const Status status = keys.Finish(); !status.ok()) {
    return reader.Fail(kKey, status.error().message, status.error().code);
  }
  config->stored = std::move(stored);
}

}  // namespace lodestone
