#include "kernels/kv_layout.h"

#include <cstring>

namespace lodestone::kernels {
namespace {

constexpr int kVector = 16;

int64_t RoundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
int64_t Columns(KvCode code, int head_dim) { return RoundUp(head_dim, code == KvCode::kInt4 ? 2 * kVector : kVector); }

// Element i of a row that runs over the summed index: kPerWord in a word, words `stride` elements apart.
template <typename T>
void ScatterKey(const void* values, int n, int token, std::byte* k) {
  constexpr int kPerWord = 4 / sizeof(T);
  const T* from = static_cast<const T*>(values);
  T* to = reinterpret_cast<T*>(k) + token * kPerWord;
  for (int i = 0; i < n; ++i) to[i / kPerWord * (kBlockTokens * kPerWord) + i % kPerWord] = from[i];
}

template <typename T>
void ScatterValue(const void* values, int n, int64_t columns, int token, std::byte* v) {
  constexpr int kPerWord = 4 / sizeof(T);
  const T* from = static_cast<const T*>(values);
  T* to = reinterpret_cast<T*>(v) + token / kPerWord * columns * kPerWord + token % kPerWord;
  for (int i = 0; i < n; ++i) to[i * kPerWord] = from[i];
}

uint8_t Nibbles(int low, int high) { return static_cast<uint8_t>((low + 8) | (high + 8) << 4); }

}  // namespace

int64_t KeyBlockBytes(KvCode code, int head_dim) {
  const int per_word[] = {1, 2, 4, 8};
  const int each = per_word[static_cast<int>(code)];
  return RoundUp(head_dim, each) / each * kBlockTokens * 4;
}

int64_t ValueBlockBytes(KvCode code, int head_dim) {
  const int bits[] = {32, 16, 8, 4};
  return Columns(code, head_dim) * kBlockTokens * bits[static_cast<int>(code)] / 8;
}

void StoreKey(KvCode code, int head_dim, int token, const void* values, std::byte* k) {
  switch (code) {
    case KvCode::kF32:
      return ScatterKey<float>(values, head_dim, token, k);
    case KvCode::kBf16:
      return ScatterKey<uint16_t>(values, head_dim, token, k);
    case KvCode::kInt8:
      return ScatterKey<int8_t>(values, head_dim, token, k);
    case KvCode::kInt4:
      break;
  }
  const auto* codes = static_cast<const int8_t*>(values);
  const auto at = [&](int i) { return i < head_dim ? codes[i] : 0; };
  for (int i = 0; i < head_dim; i += 8) {
    auto* word = reinterpret_cast<uint8_t*>(k) + (i / 8 * kBlockTokens + token) * 4;
    for (int j = 0; j < 4; ++j) word[j] = Nibbles(at(i + j), at(i + 4 + j));
  }
}

void StoreValue(KvCode code, int head_dim, int token, const void* values, std::byte* v) {
  const int64_t columns = Columns(code, head_dim);
  switch (code) {
    case KvCode::kF32:
      return ScatterValue<float>(values, head_dim, columns, token, v);
    case KvCode::kBf16:
      return ScatterValue<uint16_t>(values, head_dim, columns, token, v);
    case KvCode::kInt8:
      return ScatterValue<int8_t>(values, head_dim, columns, token, v);
    case KvCode::kInt4:
      break;
  }
  const auto* codes = static_cast<const int8_t*>(values);
  const auto at = [&](int i) { return i < head_dim ? codes[i] : 0; };
  auto* bytes = reinterpret_cast<uint8_t*>(v) + token / 4 * columns * 2 + token % 4;
  for (int i = 0; i < head_dim; i += 2 * kVector) {
    for (int c = 0; c < kVector && i + c < head_dim; ++c) {
      bytes[(i / 2 + c) * 4] = Nibbles(at(i + c), at(i + kVector + c));
    }
  }
}

}  // namespace lodestone::kernels
