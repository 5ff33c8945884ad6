#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/quote.h"
#include "model/huggingface_internal.h"

namespace lodestone {
namespace {

constexpr auto kWithoutConsequence = std::to_array<std::string_view>({
    // Storage, provenance and the Python implementation.
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_deepspeed_checkpoint_comment",
    "_flash_attn_2_enabled",
    "_name_or_path",
    "_remove_final_layer_norm",
    "attn_implementation",
    "chunk_size_feed_forward",
    "dtype",
    "name_or_path",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_deepspeed_checkpointing",
    "use_flash_attention",
    "use_flash_attention_2",
    "use_flash_attn",
    "output_attentions",
    "output_hidden_states",
    "return_dict",
    "return_dict_in_generate",
    "output_scores",
    "remove_invalid_values",
    "tf_legacy_loss",
    "tokenizer_class",
    "reorder_and_upcast_attn",  // an order of float operations; the result is the same function
    // Training.
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_pdrop",
    "classifier_dropout",
    "embd_pdrop",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "initializer_range",
    "resid_pdrop",
    "resid_dropout",
    "output_router_logits",
    "router_aux_loss_coef",
    "router_jitter_noise",
    // Heads for tasks other than generating text.
    "finetuning_task",
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "task_specific_params",
    // Special tokens that the tokenizer's own files state, and defaults of sampling.
    "bad_words_ids",
    "begin_suppress_tokens",
    "cls_token_id",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "epsilon_cutoff",
    "eta_cutoff",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "pad_token_id",
    "prefix",
    "repetition_penalty",
    "sep_token_id",
    "suppress_tokens",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
    "unk_token_id",
    // Said by other keys, or of encoders only.
    "is_decoder",
    "n_ctx",
    "tie_encoder_decoder",
});

bool IsOff(const Json& value) {
  if (value.is_null()) return true;
  if (const bool* flag = value.as_bool()) return !*flag;
  if (const std::optional<double> number = value.as_number()) return *number == 0;
  if (const Json::Array* items = value.as_array()) return items->empty();
  if (const Json::Object* members = value.as_object()) return members->empty();
  return false;
}

}  // namespace

bool IsWithoutConsequence(std::string_view key) {
  return std::find(kWithoutConsequence.begin(), kWithoutConsequence.end(), key) != kWithoutConsequence.end();
}

void RefuseForeignSettings(ObjectReader& reader, Architecture architecture) {
  for (const std::string_view key : {"num_local_experts", "num_experts_per_tok", "num_experts", "n_routed_experts",
                                     "moe_intermediate_size", "shared_expert_intermediate_size"}) {
    const bool mixtrals = key == "num_local_experts" || key == "num_experts_per_tok";
    if (mixtrals && architecture == Architecture::kMixtral) continue;
    if (const Json* value = reader.Optional(key); value != nullptr && !IsOff(*value)) {
      reader.Fail(key, "mixture-of-experts models but Mixtral are not supported", ErrorCode::kUnsupported);
    }
  }
  for (const char* key : {"is_encoder_decoder", "add_cross_attention", "cross_attention_hidden_size"}) {
    if (const Json* value = reader.Optional(key); value != nullptr && !IsOff(*value)) {
      reader.Fail(key, "models with an encoder are not supported", ErrorCode::kUnsupported);
    }
  }
  if (const Json* value = reader.Optional("pruned_heads"); value != nullptr && !IsOff(*value)) {
    reader.Fail("pruned_heads", "models with pruned heads are not supported", ErrorCode::kUnsupported);
  }
  if (reader.OptionalNumber("pretraining_tp", 1, 0, 1e6) > 1) {
    reader.Fail("pretraining_tp",
                "sums in slices as in training are not supported; set it to 1, which computes the same "
                "function in whole sums",
                ErrorCode::kUnsupported);
  }
}

}  // namespace lodestone
