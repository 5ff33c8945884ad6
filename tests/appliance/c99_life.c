#include "appliance/c99_life.h"

enum { kUsers = 2, kContext = 80, kMostPages = 16 };

static const int32_t kPrompts[kUsers][3] = {{1, 2, 3}, {4, 5, 0}};
static const int32_t kLengths[kUsers] = {3, 2};

int32_t TokenOfBits(const float* logits, size_t vocab) {
  uint32_t hash = 2166136261u; /* FNV-1a */
  const unsigned char* bytes = (const unsigned char*)logits;
  size_t i;
  for (i = 0; i < vocab * sizeof(float); ++i) hash = (hash ^ bytes[i]) * 16777619u;
  return (int32_t)(hash % (uint32_t)vocab);
}

/* Both users in every pass: first their prompts, then a token each. */
static lodestone_result Generate(lodestone_appliance* appliance, int32_t* tokens, int count) {
  lodestone_appliance_info info = {.size = sizeof info};
  lodestone_result result = lodestone_appliance_describe(appliance, &info);
  int32_t pages[kMostPages], fed[kUsers] = {0, 0};
  int i, user;
  if (result != LODESTONE_OK) return result;
  for (i = 0; i < kMostPages; ++i) pages[i] = kMostPages < info.pages ? 0 : info.pages - 1 - i;

  for (i = 0; i < count; ++i) {
    lodestone_row rows[kUsers * 3];
    lodestone_pass pass = {.size = sizeof pass, .id = (uint64_t)i, .rows = rows, .page_table = pages};
    lodestone_done done = {.size = sizeof done};
    pass.sequences = kUsers;
    pass.pages_per_sequence = (size_t)info.pages_per_user;
    for (user = 0; user < kUsers; ++user) {
      for (; fed[user] < kLengths[user] + i; ++fed[user]) {
        const int32_t at = fed[user];
        const int32_t token = at < kLengths[user] ? kPrompts[user][at] : tokens[user * count + at - kLengths[user]];
        rows[pass.row_count++] = (lodestone_row){(uint32_t)user, at, token, at + 1 == kLengths[user] + i};
      }
    }
    if ((result = lodestone_appliance_submit(appliance, &pass)) != LODESTONE_OK) return result;
    if ((result = lodestone_appliance_next(appliance, &done)) != LODESTONE_OK) return result;
    if (done.id != (uint64_t)i || done.logit_rows != kUsers) return LODESTONE_INTERNAL;
    for (user = 0; user < kUsers; ++user) {
      tokens[user * count + i] = TokenOfBits(done.logits + (size_t)user * done.vocab, done.vocab);
    }
  }
  return LODESTONE_OK;
}

lodestone_result LifeInC99(const char* model_name, const char* appliance_name, const char* recipe, int32_t* tokens,
                           int count) {
  lodestone_appliance_options options = {.size = sizeof options, .threads = 1};
  lodestone_demand demand = {.size = sizeof demand, .users = kUsers, .context = kContext, .rows_per_pass = kUsers * 3};
  lodestone_model* model = NULL;
  lodestone_appliance* appliance = NULL;
  lodestone_result result = lodestone_model_open(model_name, &model);
  if (result != LODESTONE_OK) return result;
  demand.recipe = recipe;
  result = lodestone_appliance_open(appliance_name, &options, &appliance);
  if (result == LODESTONE_OK) {
    result = lodestone_appliance_configure(appliance, model, &demand);
    if (lodestone_model_close(model) != LODESTONE_OK) return LODESTONE_INTERNAL; /* it may go by now */
    if (result == LODESTONE_OK) result = Generate(appliance, tokens, count);
    if (lodestone_appliance_close(appliance) != LODESTONE_OK) return LODESTONE_INTERNAL;
  }
  return result;
}
