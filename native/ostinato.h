/* The boundary of the native kernels: pointers and sizes, no Python, no torch.
 *
 * Every field is 8 bytes wide, so that a caller in another language mirrors a struct without a thought of padding; where each
 * field lies is told by `ostinato_layout`. Real numbers are float32 or float64 as
 * `is_double` says, contiguous unless a stride is given (in numbers, not bytes). Functions return 0, or a code whose
 * message `ostinato_error` gives; they keep no pointer after they return, and may be called from several threads at once.
 */
#pragma once

#include <stdint.h>

#include "cell_list.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OSTINATO_ABI 12

#define OSTINATO_CELL_NUMBER(number, ...) number,
enum OstinatoCell { OSTINATO_CELLS(OSTINATO_CELL_NUMBER) NUM_CELLS };

/* One direction of one layer over a ragged batch of B sequences with N steps in all; G gates of H units. */
typedef struct {
    int64_t cell, is_double, reverse;
    int64_t B, N, I, H;
    const int64_t* offsets;   /* (B + 1) first step of each sequence; the last is N */
    const int64_t* order;     /* (B) sequences from longest to shortest */
    const void* x;            /* (N, I) */
    int64_t x_stride;
    const void* weight_x;     /* (G H, I) */
    const void* weight_h;     /* (G H, H) */
    const void* bias;         /* (G H) or null: added to the product of x */
    const void* bias_n;       /* (H) or null; GRU_AFTER only: added to the candidate's product of h */
    const void* peepholes;    /* (gates but the candidate, H) or null; LSTM only */
    const void* start_h;      /* (B, H) */
    const void* start_c;      /* (B, C H) the C states beside h, as blocks of H: LSTM: c; SLSTM: c, n, m; others have none */
    const void* mask;         /* (B, H) or null: multiplies h where weight_h reads it */
    void* gates;              /* (N, G H): work space, afterwards the activated gates (SLSTM: i and f before their activation) if
                                 extra is given or the cell is an RNN; null where neither they nor extra are wanted */
    void* extra;              /* (N, H) or null where no gradient will be asked: LSTM: c; SLSTM: (N, 3 H) c, n, m; GRU_AFTER: the
                                 candidate's product of h; GRU_BEFORE: r * h; the RNN needs none */
    void* hidden;             /* (N, H) */
    int64_t hidden_stride;
    void* last_h;             /* (B, H) state after each sequence's last step */
    void* last_c;             /* (B, C H); LSTM and SLSTM only */
    int64_t weight_x_stride;  /* 0: I */
    void* packed;             /* forward: null, or ostinato_scan_packed_size bytes at a multiple of 64: the weights as they are */
    int64_t packed_ready;     /* read, made by the call unless `packed_ready` */
    int64_t half;             /* products as OstinatoProduct's half; of a decoder, whose layers are alike, those outside of the loop over time */
} OstinatoScan;

/* The gradients of a scan that was computed with `extra`. Null: not wanted, or zero for what is given. */
typedef struct {
    const void* d_hidden;     /* (N, H) or null */
    int64_t d_hidden_stride;
    const void* d_last_h;     /* (B, H) or null */
    const void* d_last_c;     /* (B, C H) or null */
    void* d_gates;            /* (N, G H): work space; may be the scan's gates, which it then destroys */
    void* d_extra;            /* (N, H): work space of GRU_AFTER; may be the scan's extra */
    void* d_start_h;          /* (B, H), required */
    void* d_start_c;          /* (B, C H), required by LSTM and SLSTM */
    void* d_x;                /* (N, I) */
    void* d_weight_x;         /* (G H, I) */
    void* d_weight_h;         /* (G H, H) */
    void* d_bias;             /* (G H) */
    void* d_bias_n;           /* (H), GRU_AFTER only */
    void* d_peepholes;
} OstinatoGradients;

/* Weights that were packed, and `ostinato_fingerprint` as it was then. */
typedef struct {
    const void* const* memories;
    const int64_t* bytes;
    int64_t count;
    uint64_t seen;
} OstinatoWatch;

#define MAX_LAYERS 8

/* The attentional decoder of B targets with N steps in all: a stack of cells, each with the attention's context before it or,
 * with `feeding`, with the last readout fed back. F is the width of what is fed: M, or with `feeding` that of the readout.
 *
 * The layers' x, gates, hidden, extra, start states and weights are as in a scan with `extra`; layer 0 has weight_x
 * (G H, I + F) and reads x through its first I columns; the others have I = H and read the layer below, their x is unused.
 * `mask` of a layer above the first is (N, H): dropout of what it reads. Not GRU_BEFORE; forward only; last states are not given.
 */
typedef struct {
    const OstinatoScan* layers;
    int64_t num_layers, feeding, F, A, M;
    const int64_t* memory_offsets;  /* (num_examples + 1) the memory's steps */
    int64_t longest_memory;
    const void* keys;               /* (S, A); a window has none */
    const void* values;             /* (S, M) */
    const void* query_weight;       /* (A, H), or null: the hidden state is the query and A = H */
    const void* query_bias;         /* (A) or null */
    const void* energy;             /* (A): additive scores energy . tanh(query + key); or null: scale * query . key */
    double scale;
    double narrowest;               /* 0, or above 0: in place of these a Gaussian window of query_weight, A = 2, that moves by exp of
                                       the query's first number and deviates by narrowest plus exp of its second (decoder.h) */
    const int64_t* examples;        /* (B) the memory that each target reads, or null: its own number */
    int64_t num_examples;           /* B without `examples`; memory_offsets has one more */
    int64_t fed_back;               /* 0 with feeding: the readout is made at each step but not fed back; layer 0 then has
                                       weight_x (G H, I) */
    void* packed;                   /* null, or ostinato_decoder_packed_size bytes at a multiple of 64: the weights as forward
                                       reads them, made by the call unless `packed_ready` */
    int64_t packed_ready;
    const int64_t* weight_offsets;  /* (B + 1) where each target's weights begin: its steps times its memory's; with `examples` or more */
    const void* readout;            /* (F, H + M), with feeding */
    const void* readout_bias;       /* (F) or null */
    const void* start_fed;          /* (B, F), with feeding */
    const void* start_middle;       /* (B), of a window: where it is before the first step, in steps of the memory */
    void* weights;                  /* as weight_offsets say */
    void* queries;                  /* (N, A), with query_weight */
    void* contexts;                 /* (N, M) */
    void* middles;                  /* (N), of a window */
    void* features;                 /* (N, F), with feeding: the readouts */
    void* dropped;                  /* (num_layers - 1, N, H), where a layer has a mask */
    /* backward; every pointer is required where its counterpart is */
    const OstinatoGradients* layer_gradients; /* d_hidden: of the top layer alone, or null; d_last_*: unused; d_x: of layer 0.
                                                 d_weight_x of layer 0 is (G H, I + F) too */
    void* d_features;               /* (N, F), with feeding: given, and overwritten */
    void* d_contexts;               /* (N, M): given without feeding, and overwritten */
    void* d_start_fed;              /* (B, F), with feeding */
    void* d_start_middle;           /* (B), of a window */
    void* d_queries;                /* (N, A): work space */
    void* d_keys;                   /* (S, A): cleared here; a window has none */
    void* d_values;                 /* (S, M): cleared here */
    void* d_energy;                 /* (B, A): work space; the gradient is the sum of its rows */
    void* d_below;                  /* (B, H): work space, with several layers */
    void* d_query_weight;
    void* d_query_bias;
    void* d_readout;
    void* d_readout_bias;
} OstinatoDecoder;

/* out (M, N) = left * right (+ bias in every row)
 *   kind 0: left (M, K), right (N, K): a linear map
 *   kind 1: left (M, K), right (K, N): its gradient for the input
 *   kind 2: left (K, M), right (K, N): its gradient for the weight; sums (M) takes the columns' sums of left, or null */
typedef struct {
    int64_t kind, is_double, M, N, K;
    const void* left;
    int64_t left_stride;
    const void* right;
    int64_t right_stride;
    const void* bias;
    void* sums;
    void* out;
    int64_t out_stride;
    void* packed;             /* kinds 0 and 1: null, or ostinato_packed_size bytes at a multiple of 64: right as it is read, made */
    int64_t packed_ready;     /* by the call unless `packed_ready` */
    int64_t half;             /* not double, and where ostinato_has_half: both sides are rounded to bfloat16, sums are float32 */
} OstinatoProduct;

/* The energies of an additive attention: e[b, k, s] = energy . tanh(query[b, k] + keys[b, s]), and their gradients. */
typedef struct {
    int64_t is_double, B, K, S, A;
    const void* query;        /* (B, K, A) */
    const void* keys;         /* (B, S, A) */
    const void* energy;       /* (A) */
    void* scores;             /* (B, K, S); forward alone */
    const void* d_scores;     /* (B, K, S); this and what follows: backward alone */
    void* d_query;            /* (B, K, A) */
    void* d_keys;             /* (B, S, A) */
    void* d_energy;           /* (B, A): the gradient is the sum of its rows */
} OstinatoEnergies;

/* A recurrence that is linear in its states, number by number: h[t] = keep[t] * h[t-1] + add[t], and its gradients. */
typedef struct {
    int64_t is_double, B, N, H;
    const int64_t* offsets;   /* (B + 1) first step of each sequence; the last is N */
    const void* keep;         /* (N, H) */
    const void* add;          /* (N, H); forward alone */
    const void* start;        /* (B, H) */
    void* hidden;             /* (N, H) */
    const void* d_hidden;     /* (N, H); this and what follows: backward alone */
    void* d_keep;             /* (N, H) */
    void* d_add;              /* (N, H) */
    void* d_start;            /* (B, H) */
} OstinatoLinearScan;

#define MAX_STEP_LAYERS 64
#define MAX_LOOKS 8

enum OstinatoStepNorm { STEP_LAYER_NORM, STEP_RMS_NORM, NUM_STEP_NORMS };
enum OstinatoStepActivation { STEP_RELU, STEP_SQUARED_RELU, STEP_SWIGLU, NUM_STEP_ACTIVATIONS };

/* What a layer of a Transformer looks at besides its own steps: an input of E examples, padded to S steps. */
typedef struct {
    const void* norm_weight;  /* (H) or null, as every norm's */
    const void* norm_bias;    /* (H) or null */
    const void* query_weight; /* (H, H) */
    const void* query_bias;   /* (H) or null, as every map's */
    const void* gain;         /* (A, D): each head's query is normed by itself; or null */
    const void* output_weight; /* (H, H) */
    const void* output_bias;
    const void* keys;         /* (E, K, S, D) */
    const void* values;       /* (E, K, S, D) */
    const int64_t* lengths;   /* (E) steps of each example, or null: S; one without steps reads its first, which is zeros */
    int64_t S;                /* of the same input the same in every layer */
    void* weights;            /* (R, S) or null: takes the mean of the heads' weights */
} OstinatoLook;

/* A layer of a Transformer: A heads of queries, K of keys and values, D numbers each, H = A D. */
typedef struct {
    const void* norm_weight;
    const void* norm_bias;
    const void* read_weight;  /* ((A + 2 K) D, H): queries, keys, values */
    const void* read_bias;
    const void* gain;         /* (A + K, D) or null: queries and keys are normed, each head by itself */
    const void* output_weight; /* (H, H) */
    const void* output_bias;
    const OstinatoLook* looks; /* num_looks of them */
    const void* last_norm_weight;
    const void* last_norm_bias;
    const void* first_weight; /* (F, H), with swiglu (2 F, H): gates, then what they multiply */
    const void* first_bias;
    const void* second_weight; /* (H, F) */
    const void* second_bias;
    void* keys;               /* (R, K, capacity, D): of `filled` steps; the new step's are written behind them */
    void* values;
} OstinatoLayer;

/* The layers of a Transformer for one step of each of R rows, which have all read as many, without a gradient. */
typedef struct {
    int64_t is_double, R, H, A, K, D, F;
    const OstinatoLayer* layers;
    int64_t num_layers, num_looks;
    int64_t filled;           /* steps that each row has read */
    int64_t capacity;         /* steps that there is room for, `filled` + 1 at least */
    int64_t norm;             /* OstinatoStepNorm */
    double epsilon;           /* of all norms but the heads', which add 1e-6 */
    int64_t norm_first, norm_after; /* norms before sublayers, or after their sums; a norm of weight norm_weight after the last layer */
    int64_t activation;       /* OstinatoStepActivation */
    const void* cosines;      /* (D / 2) or null: numbers i and i + D / 2 of queries and keys are turned */
    const void* sines;
    const void* norm_weight;
    const void* norm_bias;
    const int64_t* examples;  /* (R) the example of the inputs that each row reads, or null: its own number */
    int64_t num_examples;     /* E */
    const void* x;            /* (R, H) */
    void* out;                /* (R, H) */
    void* packed;             /* null, or ostinato_step_packed_size bytes at a multiple of 64: the weights as they are read, made by */
    int64_t packed_ready;     /* the call unless `packed_ready` */
} OstinatoStep;

/* Where a field lies in its struct; a field of null gives the struct's size, a struct of null ends the list. */
typedef struct {
    const char* structure;
    const char* field;
    int64_t offset;
} OstinatoField;

int64_t ostinato_abi(void);
/* Every field of every struct above, for a caller to compare with its own. */
const OstinatoField* ostinato_layout(void);
/* The cells, a line each in the order of their numbers: name, gates, num_c, extra, extra_product, late. */
const char* ostinato_cells(void);
/* The message of the calling thread's last error. */
const char* ostinato_error(void);
/* The instruction sets of this build that this machine has, best first, separated by blanks. */
const char* ostinato_instruction_sets(void);
/* Takes one of them for all that follows; an error names what the machine has. */
int64_t ostinato_use(const char* instruction_set);
/* Whether the set in use multiplies bfloat16. */
int64_t ostinato_has_half(void);
/* The threads to work with, and an OpenMP runtime to take them from: GOMP_parallel, omp_get_thread_num, omp_get_num_threads.
 * With null functions the library keeps threads of its own. */
void ostinato_set_threads(int64_t threads, void* parallel, void* thread_number, void* num_threads);

/* `count` scans over the same sequences, two directions of a layer or one. */
int64_t ostinato_forward(const OstinatoScan* scans, int64_t count);
int64_t ostinato_backward(const OstinatoScan* scan, const OstinatoGradients* gradients);
int64_t ostinato_decoder_forward(const OstinatoDecoder* decoder);
int64_t ostinato_decoder_backward(const OstinatoDecoder* decoder);
int64_t ostinato_multiply(const OstinatoProduct* product);
int64_t ostinato_step(const OstinatoStep* step);
int64_t ostinato_energies_forward(const OstinatoEnergies* energies);
int64_t ostinato_energies_backward(const OstinatoEnergies* energies);
int64_t ostinato_linear_scan_forward(const OstinatoLinearScan* scan);
int64_t ostinato_linear_scan_backward(const OstinatoLinearScan* scan);
/* Bytes of `packed`, for the instruction set in use; 0 where there is nothing to pack. */
int64_t ostinato_packed_size(const OstinatoProduct* product);
int64_t ostinato_scan_packed_size(const OstinatoScan* scan);
int64_t ostinato_decoder_packed_size(const OstinatoDecoder* decoder);
int64_t ostinato_step_packed_size(const OstinatoStep* step);
/* A number made from up to 64 words of each memory, evenly spaced, and from their addresses: it changes when whole weights do,
 * however they were written. */
uint64_t ostinato_fingerprint(const OstinatoWatch* watch);
/* One call of a stream: a scan whose weights are packed already, with these addresses in place of its own. 2, with nothing done,
 * where what is watched (or null) has changed. */
int64_t ostinato_stream(
    const OstinatoScan* prepared, const OstinatoWatch* watch, const void* x, void* hidden, const void* h, const void* c, void* last_h, void* last_c
);
/* y (n) = sigmoid (0), tanh (1), exp of what is 0 or less (2) or the logarithm of the sigmoid (3) of x (n). */
int64_t ostinato_activate(int64_t kind, int64_t is_double, int64_t n, const void* x, void* y);

#ifdef __cplusplus
}
#endif
