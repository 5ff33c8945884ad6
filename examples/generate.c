// Greedy text from a model, in C: on this host ("cpu") or through simulated cards ("northpole-16"). An end of text is
// a token like any other.
#include <lodestone/lodestone.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 4096, TEXT = 1 << 16 };

static void check(lodestone_result result) {
  if (result == LODESTONE_OK) return;
  fprintf(stderr, "%s: %s\n", lodestone_result_name(result), lodestone_error_message());
  exit(1);
}

static int32_t most_likely(const float* logits, size_t vocab) {
  size_t best = 0;
  for (size_t i = 1; i < vocab; ++i) best = logits[i] > logits[best] ? i : best;
  return (int32_t)best;
}

int main(int argc, char** argv) {
  static int32_t tokens[MOST], pages[MOST];
  static lodestone_row rows[MOST];
  static char text[TEXT];
  const int count = argc == 6 ? atoi(argv[4]) : 0;
  if (count < 1 || count > MOST / 2)
    return fputs("usage: generate_c MODEL APPLIANCE RECIPE TOKENS PROMPT\n", stderr), 2;

  lodestone_model* model;
  lodestone_appliance* appliance;
  check(lodestone_model_open(argv[1], &model));
  check(lodestone_appliance_open(argv[2], NULL, &appliance));
  size_t prompt, fed = 0, length = 0;
  check(lodestone_model_encode(model, argv[5], tokens, MOST / 2, &prompt));
  const size_t total = prompt + (size_t)count;
  lodestone_demand demand = {.size = sizeof demand, .recipe = argv[3], .users = 1, .context = (int32_t)total};
  demand.rows_per_pass = (int32_t)prompt;
  check(lodestone_appliance_configure(appliance, model, &demand));
  lodestone_appliance_info info = {.size = sizeof info};
  check(lodestone_appliance_describe(appliance, &info));

  for (int32_t i = 0; i < info.pages; ++i) pages[i] = i;  // one user: his pages are all there are
  for (length = prompt; length < total; ++length) {
    lodestone_pass pass = {.size = sizeof pass, .rows = rows, .page_table = pages, .sequences = 1};
    pass.pages_per_sequence = (size_t)info.pages_per_user;
    for (; fed < length; ++fed) {  // the prompt at once, then one token after another
      const lodestone_row row = {0, (int32_t)fed, tokens[fed], fed + 1 == length};
      rows[pass.row_count++] = row;
    }
    lodestone_done done = {.size = sizeof done};
    check(lodestone_appliance_submit(appliance, &pass));
    check(lodestone_appliance_next(appliance, &done));
    tokens[length] = most_likely(done.logits, done.vocab);
    printf("%d ", tokens[length]);
  }
  check(lodestone_model_decode(model, tokens + prompt, (size_t)count, text, TEXT, &length));
  printf("\n%s\n", text);
  check(lodestone_appliance_close(appliance));
  check(lodestone_model_close(model));
}
