// Texts that touch what the split patterns and decoders treat differently.
#pragma once

#include <array>

namespace lodestone::testing {

inline constexpr std::array kGoldenTexts = {
    "",
    "Hello world",
    " the  the   the",
    "I'll say it's Tom'S, WE'LL",
    "1 12 123 1234 12345 3.14",
    "a\n\nb \n c\r\n\td  \n",
    "def f(x):\n    return x  # the end!!\n\n",
    "caf\u00e9 cafe\u0301 \u017f \u00bd",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u6f22\u5b57 \u0939\u093f\u0928\u094d\u0926\u0940",
    "\U0001F44D\U0001F3FD \U0001F468\u200d\U0001F469\u200d\U0001F467!!",
    "   leading and trailing   ",
    "x\u00a0y\u3000z\u180ew\u2028v",
    "\x01\x7f\ttab",
    "<|im_start|>user\nhe<|im_end|><think><|endoftext|><s>a</s> b",
};

}  // namespace lodestone::testing
