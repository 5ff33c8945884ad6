// The Lodestone runtime in C99: open an appliance, configure its cards with a model's stages, weights and KV pages
// once, submit passes and receive logits, ask framebuffers and counters, close. The same calls drive this host's CPU
// ("cpu") and simulated cards ("northpole-16"), with tokens or with times alone. docs/runtime.md tells the life of an
// appliance.
//
// Errors. Every call but the last four returns a result; lodestone_error_message says why it refused. A refused call
//   changes nothing unless it says otherwise, and gives NULL for a handle. No call aborts or throws, whatever it is
//   given short of wild pointers.
// Handles. A handle is a name, not an address: it is never given out twice, so a closed one, one of another kind or any
//   other number is refused. NULL is never a handle.
// Threads. Any call may come from any thread. Calls on one appliance run one after another, in no promised order; calls
//   on different appliances, and on models, run at the same time.
// Growth. A struct that is passed by pointer begins with its size: set it to sizeof, and what is not needed to 0. A
//   later version adds fields at the end whose 0 means what was before; what an older library does not know is refused
//   unless it is 0. An incompatible change raises LODESTONE_API_VERSION, and with it the library's soname.
// Times are picoseconds since the appliance was configured, on the wall clock of measured cards or on the virtual clock
//   of simulated ones.
#ifndef LODESTONE_LODESTONE_H_
#define LODESTONE_LODESTONE_H_

#include <stddef.h>
#include <stdint.h>

#define LODESTONE_API_VERSION 1

#if defined(__GNUC__)
#define LODESTONE_API __attribute__((visibility("default")))
#else
#define LODESTONE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lodestone_result {
  LODESTONE_OK = 0,
  LODESTONE_INVALID = 1,      // misuse, or input that is malformed or inconsistent
  LODESTONE_NOT_FOUND = 2,    // a file or a name does not exist
  LODESTONE_IO = 3,           // the operating system refused
  LODESTONE_UNSUPPORTED = 4,  // well-formed, but this library does not do it
  LODESTONE_INFEASIBLE = 5,   // it does not fit: memory, positions, cards
  LODESTONE_BUSY = 6,         // the chain is full: take the next pass first
  LODESTONE_EMPTY = 7,        // no pass is inside the chain
  LODESTONE_NO_MEMORY = 8,    // this host has none left
  LODESTONE_INTERNAL = 9      // a fault of the library
} lodestone_result;

typedef struct lodestone_model lodestone_model;
typedef struct lodestone_appliance lodestone_appliance;

// ---- Models: a shape, weights and a tokenizer. Immutable; may be closed once the appliances are configured.

// A directory with config.json, weights and tokenizer.json, a GGUF file, or "random:NAME[@SEED]" for a shape of the
// catalogue with seeded weights.
LODESTONE_API lodestone_result lodestone_model_open(const char* name, lodestone_model** model);
// The shape alone, also by its name in the catalogue; for appliances that make no tokens.
LODESTONE_API lodestone_result lodestone_model_open_shape(const char* name, lodestone_model** model);
LODESTONE_API lodestone_result lodestone_model_close(lodestone_model* model);

typedef struct lodestone_model_info {
  size_t size;
  const char* name;           // holds until the model is closed
  const int32_t* eos_tokens;  // [eos_count], end a text; hold until the model is closed
  size_t eos_count;
  int64_t max_positions;
  int32_t vocab, layers, hidden;
  int32_t bos_token;  // begins a text; −1: none
} lodestone_model_info;
LODESTONE_API lodestone_result lodestone_model_describe(lodestone_model* model, lodestone_model_info* info);

// Token ids of a UTF-8 text, with the tokens that the model puts around a text. `count` becomes their number, also
// where `capacity` is too small (LODESTONE_INFEASIBLE, nothing is written).
LODESTONE_API lodestone_result lodestone_model_encode(lodestone_model* model, const char* text, int32_t* tokens,
                                                      size_t capacity, size_t* count);
// UTF-8 text of token ids, ended by a NUL that `length` does not count. `length` becomes its bytes, also where
// `capacity`, NUL included, is too small (LODESTONE_INFEASIBLE, nothing is written).
LODESTONE_API lodestone_result lodestone_model_decode(lodestone_model* model, const int32_t* tokens, size_t count,
                                                      char* text, size_t capacity, size_t* length);

// ---- Appliances

enum { LODESTONE_TRANSFERS_DIRECT = 0, LODESTONE_TRANSFERS_HOST = 1 };
enum { LODESTONE_FIDELITY_CALIBRATED = 0, LODESTONE_FIDELITY_IDEAL = 1 };

typedef struct lodestone_appliance_options {
  size_t size;
  int32_t threads;      // that compute; 0: LODESTONE_THREADS of the environment, else every processor there is
  int32_t timing_only;  // 1: simulated cards make no tokens, rows are load alone
  int32_t transfers;    // between simulated cards: LODESTONE_TRANSFERS_…
  int32_t fidelity;     // of simulated cards: LODESTONE_FIDELITY_…
} lodestone_appliance_options;

// "cpu" for this host, a machine of the catalogue, or a TOML file. `options` may be NULL.
LODESTONE_API lodestone_result lodestone_appliance_open(const char* name, const lodestone_appliance_options* options,
                                                        lodestone_appliance** appliance);
// Passes inside are lost, and what pointed into the appliance is gone. A call under way in another thread ends first.
LODESTONE_API lodestone_result lodestone_appliance_close(lodestone_appliance* appliance);

typedef struct lodestone_demand {
  size_t size;
  const char* recipe;     // number formats, such as "w4a8"; NULL: that of a quantised checkpoint
  int32_t users;          // whose KV the cards hold
  int32_t context;        // positions a user: prompt and generated tokens
  int32_t rows_per_pass;  // largest pass
  int32_t decode_rows;    // rows of a pass that only decodes; 0: as many as users, at most rows_per_pass
} lodestone_demand;

// Once: places the model's stages on the cards, packs their weights, reserves KV pages. A refusal leaves the appliance
// as it was opened.
LODESTONE_API lodestone_result lodestone_appliance_configure(lodestone_appliance* appliance, lodestone_model* model,
                                                             const lodestone_demand* demand);

typedef struct lodestone_appliance_info {
  size_t size;
  int32_t computes;    // makes tokens
  int32_t simulated;   // times are of a virtual clock
  int32_t configured;  // what follows is 0 until then
  int32_t cards, cards_used, stages;
  int32_t max_in_flight, in_flight;               // passes inside the chain
  int32_t pages, pages_per_user, page_positions;  // of KV
  int32_t max_users;                              // who would fit at this context
  int32_t rows_per_pass, vocab;
  int64_t max_positions;  // of a sequence
  int64_t now_ps;
} lodestone_appliance_info;
LODESTONE_API lodestone_result lodestone_appliance_describe(lodestone_appliance* appliance,
                                                            lodestone_appliance_info* info);

// ---- Passes

// One token of one sequence.
typedef struct lodestone_row {
  uint32_t sequence;  // row of the pass's page table
  int32_t position;   // of the token in its sequence, from 0
  int32_t token;
  int32_t wants_logits;  // 1 or 0
} lodestone_row;

// K and V of a whole page.
typedef struct lodestone_page_copy {
  int32_t from, to;
} lodestone_page_copy;

// Rows travel through all stages together: prompt chunks and decoding rows, mixed. Rows of one sequence are in order of
// position, and what precedes them was submitted before.
typedef struct lodestone_pass {
  size_t size;
  uint64_t id;  // the caller's own; comes back
  const lodestone_row* rows;
  size_t row_count;
  // [sequences][pages_per_sequence], of the sequences that have rows: entry p is the page that holds positions
  // p × page_positions and following. The caller deals out pages 0 … pages − 1; sequences may share what they only
  // read.
  const int32_t* page_table;
  size_t sequences, pages_per_sequence;
  const lodestone_page_copy* page_copies;  // made in this order before the first row runs
  size_t page_copy_count;
} lodestone_pass;

// Sends a pass into the chain; it is read before this returns. Refused: rows, positions, tokens, pages and shapes out
// of range, two rows that write one KV entry, LODESTONE_BUSY where max_in_flight passes are inside. An appliance that
// makes no tokens ignores tokens, page table and page copies.
LODESTONE_API lodestone_result lodestone_appliance_submit(lodestone_appliance* appliance, const lodestone_pass* pass);

typedef struct lodestone_done {
  size_t size;
  uint64_t id;
  const float* logits;  // [logit_rows][vocab], rows in the order of the pass; NULL where there are none. Hold until the
                        // next call of lodestone_appliance_next on this appliance, or its end
  size_t logit_rows, vocab;
  int64_t submitted_ps, finished_ps;
} lodestone_done;

// The next pass to leave the chain, in the order of submission; cards that compute do so here. LODESTONE_EMPTY: none is
// inside. Another error is that of the pass `done->id`, which is then no longer inside.
LODESTONE_API lodestone_result lodestone_appliance_next(lodestone_appliance* appliance, lodestone_done* done);

// ---- Counters, since the appliance was configured

typedef struct lodestone_stage_info {
  size_t size;
  const char* label;   // "layer 3"; holds until the appliance is closed
  int64_t busy_ps;     // computing
  int64_t gathers_ps;  // waiting for other cards' parts
  int64_t stalls_ps;   // waiting because results cannot leave
  int64_t passes;
  int64_t bytes_in, bytes_out;                                   // over simulated links
  int64_t matrix_pj, memory_pj, vector_pj, network_pj, link_pj;  // dynamic energy of simulated cards, picojoules
  int32_t card;                                                  // in the appliance
  int32_t ranks;  // cards that share the work of the stage, each one a stage of this list
} lodestone_stage_info;
// Stage `index` of the pipeline, from 0.
LODESTONE_API lodestone_result lodestone_appliance_stage(lodestone_appliance* appliance, size_t index,
                                                         lodestone_stage_info* info);

typedef struct lodestone_framebuffer_info {
  size_t size;
  int64_t capacity_bytes, slot_bytes;  // a slot holds the tensor of the largest pass
  int64_t peak_bytes;
  double byte_seconds;  // ∫ bytes dt: over the time of the run, the average occupancy
  int32_t slots_in, slots_out;
} lodestone_framebuffer_info;
// Of used card `index`, from 0. LODESTONE_UNSUPPORTED where cards are not simulated: they have none.
LODESTONE_API lodestone_result lodestone_appliance_framebuffer(lodestone_appliance* appliance, size_t index,
                                                               lodestone_framebuffer_info* info);

// ---- These cannot fail

// Why the latest refused call of this thread was refused; "" before any. Holds until the thread's next call.
LODESTONE_API const char* lodestone_error_message(void);
LODESTONE_API const char* lodestone_result_name(lodestone_result result);  // "invalid", …; "unknown result"
LODESTONE_API int lodestone_api_version(void);      // LODESTONE_API_VERSION of the library, not of the header
LODESTONE_API const char* lodestone_version(void);  // "0.1.0"

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // LODESTONE_LODESTONE_H_
