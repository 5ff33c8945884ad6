// SentencePiece's BPE as merge rules: a vocabulary with a score a token, in which two neighbours may merge where their
// text together is a token, the best score first. Source: Kudo and Richardson, "SentencePiece: A simple and language
// independent subword tokenizer", EMNLP 2018, and its `bpe_model.cc`.
#pragma once

#include <vector>

#include "text/bpe.h"
#include "text/token_list.h"
#include "text/vocabulary.h"

namespace lodestone {

// Every way to cut a normal token into two others is a rule, ranked by the whole token's score; equal scores share a
// rank, so that the leftmost pair merges first, as SentencePiece decides. `vocabulary` has the list's tokens.
std::vector<Bpe::Rule> MergeRulesOf(const TokenList& list, const Vocabulary& vocabulary);

}  // namespace lodestone
