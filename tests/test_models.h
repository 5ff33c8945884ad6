// Small and published shapes that tests of several folders share.
#pragma once

#include <cmath>

#include "model/config.h"

namespace lodestone::testing {

// A Llama-like shape with every width different, so that a mixed-up dimension shows.
inline ModelConfig TinyLlama() {
  ModelConfig c;
  c.name = "tiny-llama";
  c.layers = 3;
  c.hidden = 48;
  c.ffn = 80;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 16;
  c.vocab = 50;
  c.max_positions = 512;
  c.rope.rotary_dim = 16;
  c.attention_scale = 0.25;
  c.bos_id = 1;
  c.eos_ids = {2};
  return c;
}

// LayerNorm, biases everywhere, learned positions, a plain MLP.
inline ModelConfig TinyGpt2() {
  ModelConfig c = TinyLlama();
  c.name = "tiny-gpt2";
  c.architecture = Architecture::kGpt2;
  c.kv_heads = 4;
  c.norm = NormKind::kLayer;
  c.activation = ActivationKind::kGeluTanh;
  c.gated_mlp = false;
  c.position = PositionKind::kLearned;
  c.rope = {};
  c.qkv_bias = c.attention_output_bias = c.mlp_bias = true;
  c.tied_embeddings = true;
  return c;
}

// Four experts a layer, two a token.
inline ModelConfig TinyMixtral() {
  ModelConfig c = TinyLlama();
  c.name = "tiny-mixtral";
  c.architecture = Architecture::kMixtral;
  c.experts = 4;
  c.experts_per_token = 2;
  return c;
}

// Partial rotary, parallel residual.
inline ModelConfig TinyNeoX() {
  ModelConfig c = TinyGpt2();
  c.name = "tiny-neox";
  c.architecture = Architecture::kGptNeoX;
  c.activation = ActivationKind::kGeluErf;
  c.position = PositionKind::kRotary;
  c.rope.rotary_dim = 4;
  c.parallel_residual = true;
  c.tied_embeddings = false;
  return c;
}

// Granite's multipliers, QKV biases, a norm of each head, tied embeddings.
inline ModelConfig TinyGranite() {
  ModelConfig c = TinyLlama();
  c.name = "tiny-granite";
  c.architecture = Architecture::kGranite;
  c.embedding_multiplier = 12;
  c.residual_multiplier = 0.22;
  c.logits_multiplier = 1.0 / 16;
  c.attention_scale = 0.0078125;
  c.qkv_bias = true;
  c.qk_norm = true;
  c.tied_embeddings = true;
  return c;
}

// The 14-layer model of NorthPole HPEC 2024: one layer is that of Granite-8B-Code.
inline ModelConfig Granite3b14l() {
  ModelConfig c;
  c.name = "granite-3b-14l";
  c.layers = 14;
  c.hidden = 4096;
  c.ffn = 14336;
  c.heads = 32;
  c.kv_heads = 8;
  c.head_dim = 128;
  c.vocab = 49152;
  c.max_positions = 4096;
  c.rope.rotary_dim = 128;
  c.attention_scale = 1 / std::sqrt(128.0);
  return c;
}

}  // namespace lodestone::testing
