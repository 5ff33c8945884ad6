/* The life of an appliance, written in C99. */
#ifndef LODESTONE_TESTS_C99_LIFE_H_
#define LODESTONE_TESTS_C99_LIFE_H_

#include "appliance/lodestone.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A token that depends on every bit of these logits: the greedy one of random weights tends to repeat itself. */
int32_t TokenOfBits(const float* logits, size_t vocab);

/* `count` such tokens of user 0 and of user 1, one after the other, whose prompts are 1 2 3 and 4 5. The first result
   that is not LODESTONE_OK. */
lodestone_result LifeInC99(const char* model_name, const char* appliance_name, const char* recipe, int32_t* tokens,
                           int count);

#ifdef __cplusplus
}
#endif

#endif
