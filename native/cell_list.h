/* All native cells in one table: number, name, the struct of `cells.h` that computes it, and what it needs of buffers.
 *
 * A new cell is a struct there and a line here: the enumeration, the dispatch to the struct, the checks of the boundary and
 * Python's facts are made from it. `kernels.h` compares the numbers with the struct's own when it is compiled.
 *
 *   gates          blocks of H rows of the weights
 *   num_c          states beside h, which lie side by side in a row of c, (num_c H) wide
 *   peepholes      rows of the peepholes
 *   extra          a second buffer that backward reads: c at every step, where there is one
 *   extra_product  the candidate's product of h is apart, with a bias of its own
 *   late           the last gate multiplies something else than h, after the others
 */
#pragma once

/* clang-format off */
/*       number             name                 struct                         gates num_c peepholes extra extra_product late */
#define OSTINATO_CELLS(CELL) \
    CELL(RNN_TANH,          "rnn_tanh",          SimpleCell<RNN_TANH>,          1,    0,    0,        0,    0,            0) \
    CELL(RNN_RELU,          "rnn_relu",          SimpleCell<RNN_RELU>,          1,    0,    0,        0,    0,            0) \
    CELL(RNN_LEAKY_RELU,    "rnn_leaky_relu",    SimpleCell<RNN_LEAKY_RELU>,    1,    0,    0,        0,    0,            0) \
    CELL(LSTM,              "lstm",              LongShortTermMemory<false>,    4,    1,    3,        1,    0,            0) \
    CELL(LSTM_COUPLED,      "lstm_coupled",      LongShortTermMemory<true>,     3,    1,    2,        1,    0,            0) \
    CELL(GRU_AFTER,         "gru_after",         GatedUnitAfter,                3,    0,    0,        1,    1,            0) \
    CELL(GRU_BEFORE,        "gru_before",        GatedUnitBefore,               3,    0,    0,        1,    0,            1) \
    CELL(SLSTM,             "slstm",             ScalarMemory<true>,            4,    3,    0,        1,    0,            0) \
    CELL(SLSTM_EXPONENTIAL, "slstm_exponential", ScalarMemory<false>,           4,    3,    0,        1,    0,            0)
/* clang-format on */
