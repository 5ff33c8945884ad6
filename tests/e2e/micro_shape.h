// The shape of the smallest model that the tests train through the program: 28,832 parameters.
#pragma once

namespace lodestone::testing {

inline constexpr const char* kMicroShape = R"(name = "micro"
description = "for a test"
source = "this test"
architecture = "llama"
layers = 2
hidden = 32
ffn = 64
heads = 2
kv_heads = 1
head_dim = 16
vocab = 320
max_positions = 64
tied_embeddings = true
norm = "rms"
norm_eps = 1e-5
activation = "silu"
gated_mlp = true
position = "rotary"
rope = {theta = 10000, rotary_dim = 16}
)";

}  // namespace lodestone::testing
