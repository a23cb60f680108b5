// The C boundary: every argument is checked here, before any kernel runs.
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "ostinato.h"
#include "table.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace ostinato {

#ifdef OSTINATO_AVX512
extern const Table avx512bf16_table;
extern const Table avx512_table;
#endif
#ifdef OSTINATO_AVX2
extern const Table avx2_table;
#endif
#ifdef OSTINATO_NEON
extern const Table neon_table;
#endif
extern const Table plain_table;

namespace {

thread_local char message[512];

int64_t fail(const char* format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof message, format, values);
    va_end(values);
    return 1;
}

const Table* const TABLES[] = {
#ifdef OSTINATO_AVX512BF16
    &avx512bf16_table,
#endif
#ifdef OSTINATO_AVX512
    &avx512_table,
#endif
#ifdef OSTINATO_AVX2
    &avx2_table,
#endif
#ifdef OSTINATO_NEON
    &neon_table,
#endif
    &plain_table,
};

std::atomic<const Table*> chosen{nullptr};

// One call asks once: workspace and kernel must be of one set, whatever another thread chooses meanwhile.
const Table* table() {
    const Table* one = chosen.load(std::memory_order_relaxed);
    if (one) return one;
    for (const Table* each : TABLES)
        if (each->supported()) {
            chosen = each;
            return each;
        }
    return &plain_table;
}

// The calling thread's workspace: it grows to what its largest call needed, and stays.
struct Workspace {
    char* base = nullptr;
    int64_t size = 0;

    char* of(int64_t wanted) {
        if (wanted > size) {
            free(base);
            size = (wanted + 4095) / 4096 * 4096;
            base = static_cast<char*>(aligned_alloc(4096, size));
            if (!base) size = 0;
        }
        return base;
    }
    ~Workspace() { free(base); }
};
thread_local Workspace workspace;

// Sizes above this cannot be memory; below it, no product of two of them and 8 bytes overflows.
constexpr int64_t LARGEST = int64_t(1) << 40;

bool size_is_bad(int64_t size) { return size < 0 || size > LARGEST; }

bool too_large(int64_t a, int64_t b) { return b && a > (int64_t(1) << 58) / b; }

struct CellFacts {
    int gates, num_c, peepholes;
    bool extra, extra_product, late;

    // Vectors of H in a row of extra.
    int in_extra() const { return num_c ? num_c : 1; }
};

#define OSTINATO_FACTS(number, name, Cell, gates, num_c, peepholes, extra, extra_product, late) {gates, num_c, peepholes, extra, extra_product, late},
constexpr CellFacts FACTS[] = {OSTINATO_CELLS(OSTINATO_FACTS)};
#undef OSTINATO_FACTS

int gates_of(int64_t cell) { return FACTS[cell].gates; }

struct Range {
    const char* name;
    const void* from;
    int64_t bytes;
};

bool overlap(const Range& a, const Range& b) {
    const auto begin = [](const Range& one) { return reinterpret_cast<uintptr_t>(one.from); };
    return a.from && b.from && a.bytes > 0 && b.bytes > 0 && begin(a) < begin(b) + b.bytes && begin(b) < begin(a) + a.bytes;
}

// Numbers lie at multiples of their size: anything else is a wrong pointer, and no machine must read it.
int64_t check_aligned(const Range* ranges, int count, int64_t item) {
    for (int i = 0; i < count; i++)
        if (reinterpret_cast<uintptr_t>(ranges[i].from) % item) return fail("%s begins at an address that is no multiple of %lld bytes: copy it", ranges[i].name, (long long)item);
    return 0;
}

// Written ranges overlap nothing.
int64_t check_apart(const Range* written, int num_written, const Range* read, int num_read) {
    for (int i = 0; i < num_written; i++) {
        for (int k = i + 1; k < num_written; k++)
            if (overlap(written[i], written[k])) return fail("%s and %s overlap", written[i].name, written[k].name);
        for (int k = 0; k < num_read; k++)
            if (overlap(written[i], read[k])) return fail("%s and %s overlap", written[i].name, read[k].name);
    }
    return 0;
}

int64_t rows_span(int64_t rows, int64_t stride, int64_t width) { return rows ? (rows - 1) * stride + width : 0; }

// The memory that a scan's forward pass touches; hidden is the last of what is written.
struct ScanRanges {
    static constexpr int WRITTEN = 5, NUMBERS = 9, READ = 11;
    int64_t item;
    Range written[WRITTEN], read[READ];

    explicit ScanRanges(const OstinatoScan& one) : item(one.is_double ? 8 : 4) {
        const CellFacts& facts = FACTS[one.cell];
        const int64_t width = facts.gates * one.H, states = one.B * one.H * item;
        const bool has_c = facts.num_c;
        const Range all_written[] = {
            {"gates", one.gates, one.N * width * item},
            {"extra", one.extra, one.N * facts.in_extra() * one.H * item},
            {"last_h", one.last_h, states},
            {"last_c", has_c ? one.last_c : nullptr, facts.num_c * states},
            {"hidden", one.hidden, rows_span(one.N, one.hidden_stride, one.H) * item},
        };
        const Range all_read[] = {
            {"x", one.x, rows_span(one.N, one.x_stride, one.I) * item},
            {"weight_x", one.weight_x, width * one.I * item},
            {"weight_h", one.weight_h, width * one.H * item},
            {"bias", one.bias, width * item},
            {"bias_n", one.bias_n, one.H * item},
            {"peepholes", one.peepholes, facts.peepholes * one.H * item},
            {"start_h", one.start_h, states},
            {"start_c", has_c ? one.start_c : nullptr, facts.num_c * states},
            {"mask", one.mask, states},
            {"offsets", one.offsets, (one.B + 1) * 8},
            {"order", one.order, one.B * 8},
        };
        memcpy(written, all_written, sizeof written);
        memcpy(read, all_read, sizeof read);
    }
};

int64_t check_half(int64_t half, int64_t is_double, const Table* own) {
    if (half && is_double) return fail("half: float64 is not rounded to bfloat16");
    return half && !own->has_half ? fail("half: %s has no products of bfloat16", own->name) : 0;
}

int64_t check_scan(const OstinatoScan& one, bool forward) {
    if (one.cell < 0 || one.cell >= NUM_CELLS) return fail("there is no cell %lld", (long long)one.cell);
    const struct { const char* name; int64_t size; } sizes[] = {{"B", one.B}, {"N", one.N}, {"I", one.I}, {"H", one.H}, {"x_stride", one.x_stride}, {"hidden_stride", one.hidden_stride}};
    for (const auto& each : sizes)
        if (size_is_bad(each.size)) return fail("%s = %lld is no size", each.name, (long long)each.size);
    if (!one.H) return fail("H = 0: a layer has one unit at least");
    const int64_t width = gates_of(one.cell) * one.H, in_extra = FACTS[one.cell].in_extra() * one.H;
    if (too_large(one.N + 1, width + in_extra + one.I + one.hidden_stride + one.x_stride) || too_large(width, one.I + one.H) || too_large(one.B + 1, in_extra))
        return fail("sizes B = %lld, N = %lld, I = %lld, H = %lld are larger than memory", (long long)one.B, (long long)one.N, (long long)one.I, (long long)one.H);
    if (one.x_stride < one.I) return fail("x_stride = %lld is below I = %lld", (long long)one.x_stride, (long long)one.I);
    if (one.hidden_stride < one.H) return fail("hidden_stride = %lld is below H = %lld", (long long)one.hidden_stride, (long long)one.H);
    const bool has_c = FACTS[one.cell].num_c;
    if (one.peepholes && !FACTS[one.cell].peepholes) return fail("peepholes: this cell has none");
    if (one.bias_n && !FACTS[one.cell].extra_product) return fail("bias_n: this cell has none");
    if (reinterpret_cast<uintptr_t>(one.packed) % 64) return fail("packed must lie at a multiple of 64");
    if (one.half && one.packed) return fail("half: packed weights are numbers");
    if (check_half(one.half, one.is_double, table())) return 1;
    if (one.weight_x_stride) return fail("weight_x_stride is the decoder's");
    if (!one.offsets || (one.B && !one.order)) return fail("offsets or order is missing");
    if (reinterpret_cast<uintptr_t>(one.offsets) % 8 || reinterpret_cast<uintptr_t>(one.order) % 8) return fail("offsets or order begins at an address that is no multiple of 8 bytes");
    if (!one.weight_h || (one.I && !one.weight_x)) return fail("a weight is missing");
    if (one.N && ((one.I && !one.x) || !one.hidden)) return fail("x or hidden is missing");
    if (one.N && !one.gates && (!forward || one.extra)) return fail("gates is missing");
    if (one.B && (!one.start_h || (forward && !one.last_h))) return fail("start_h or last_h is missing");
    if (one.B && has_c && (!one.start_c || (forward && !one.last_c))) return fail("start_c or last_c is missing");
    if (one.offsets[0] != 0) return fail("offsets begin with %lld, not with 0", (long long)one.offsets[0]);
    for (int64_t b = 0; b < one.B; b++)
        if (one.offsets[b + 1] < one.offsets[b]) return fail("offsets fall from %lld to %lld at sequence %lld", (long long)one.offsets[b], (long long)one.offsets[b + 1], (long long)b);
    if (one.offsets[one.B] != one.N) return fail("offsets end with %lld, but there are N = %lld steps", (long long)one.offsets[one.B], (long long)one.N);
    for (int64_t k = 0, before = INT64_MAX; k < one.B; k++) {
        const int64_t b = one.order[k];
        if (b < 0 || b >= one.B) return fail("order holds %lld; there are %lld sequences", (long long)b, (long long)one.B);
        const int64_t length = one.offsets[b + 1] - one.offsets[b];
        if (length > before) return fail("order does not run from the longest sequence to the shortest");
        if (length == before && k && one.order[k - 1] >= b) return fail("order names a sequence twice, or ties not in order");
        before = length;
    }
    const ScanRanges own(one);
    if (check_aligned(own.written, ScanRanges::WRITTEN, own.item) || check_aligned(own.read, ScanRanges::NUMBERS, own.item)) return 1;
    return check_apart(own.written, ScanRanges::WRITTEN, own.read, ScanRanges::READ);
}

// Two scans of one call write nothing that the other reads or writes; their hidden rows may lie between each other.
int64_t check_pair(const OstinatoScan& one, const OstinatoScan& two) {
    const ScanRanges first(one), second(two);
    constexpr int HIDDEN = ScanRanges::WRITTEN - 1;
    if (check_apart(first.written, HIDDEN, second.written, ScanRanges::WRITTEN) || check_apart(second.written, HIDDEN, first.written, ScanRanges::WRITTEN)) return 1;
    if (check_apart(first.written, ScanRanges::WRITTEN, second.read, ScanRanges::READ) || check_apart(second.written, ScanRanges::WRITTEN, first.read, ScanRanges::READ)) return 1;
    if (!overlap(first.written[HIDDEN], second.written[HIDDEN])) return 0;
    const uintptr_t a = reinterpret_cast<uintptr_t>(one.hidden), b = reinterpret_cast<uintptr_t>(two.hidden);
    const int64_t row = one.hidden_stride * first.item, width = one.H * first.item, between = int64_t(a < b ? b - a : a - b) % row;
    return one.hidden_stride != two.hidden_stride || between < width || between > row - width ? fail("hidden and the other scan's hidden overlap") : 0;
}

int64_t check_gradients(const OstinatoScan& one, const OstinatoGradients& d) {
    const CellFacts& facts = FACTS[one.cell];
    const bool has_c = facts.num_c, is_simple = !facts.extra, apart = facts.extra_product;
    if (!is_simple && one.N && !one.extra) return fail("extra is missing: the scan was computed without gradients");
    if (one.N && !d.d_gates) return fail("d_gates is missing");
    if (one.N && apart && !d.d_extra) return fail("d_extra is missing");
    if (one.B && (!d.d_start_h || (has_c && !d.d_start_c))) return fail("d_start_h or d_start_c is missing");
    if (d.d_hidden && (size_is_bad(d.d_hidden_stride) || d.d_hidden_stride < one.H || too_large(one.N + 1, d.d_hidden_stride)))
        return fail("d_hidden_stride = %lld does not fit H = %lld", (long long)d.d_hidden_stride, (long long)one.H);
    if (d.d_peepholes && !facts.peepholes) return fail("d_peepholes: this cell has none");
    if (d.d_bias_n && !apart) return fail("d_bias_n: this cell has none");
    const int64_t item = one.is_double ? 8 : 4, width = gates_of(one.cell) * one.H, states = one.B * one.H * item;
    const bool gates_apart = d.d_gates != one.gates, extra_apart = !apart || d.d_extra != one.extra;
    const Range written[] = {
        {"d_gates", d.d_gates, one.N * width * item},
        {"d_extra", apart ? d.d_extra : nullptr, one.N * one.H * item},
        {"d_start_h", d.d_start_h, states},
        {"d_start_c", has_c ? d.d_start_c : nullptr, facts.num_c * states},
        {"d_x", d.d_x, one.N * one.I * item},
        {"d_weight_x", d.d_weight_x, width * one.I * item},
        {"d_weight_h", d.d_weight_h, width * one.H * item},
        {"d_bias", d.d_bias, width * item},
        {"d_bias_n", d.d_bias_n, one.H * item},
        {"d_peepholes", d.d_peepholes, facts.peepholes * one.H * item},
    };
    const Range read[] = {
        {"gates", gates_apart ? one.gates : nullptr, one.N * width * item},
        {"extra", extra_apart ? one.extra : nullptr, one.N * facts.in_extra() * one.H * item},
        {"hidden", one.hidden, rows_span(one.N, one.hidden_stride, one.H) * item},
        {"d_hidden", d.d_hidden, rows_span(one.N, d.d_hidden_stride, one.H) * item},
        {"d_last_h", d.d_last_h, states},
        {"d_last_c", has_c ? d.d_last_c : nullptr, facts.num_c * states},
        {"x", one.x, rows_span(one.N, one.x_stride, one.I) * item},
        {"weight_x", one.weight_x, width * one.I * item},
        {"weight_h", one.weight_h, width * one.H * item},
        {"peepholes", one.peepholes, facts.peepholes * one.H * item},
        {"start_h", one.start_h, states},
        {"start_c", has_c ? one.start_c : nullptr, facts.num_c * states},
        {"mask", one.mask, states},
        {"offsets", one.offsets, (one.B + 1) * 8},
        {"order", one.order, one.B * 8},
    };
    return check_aligned(written, 10, item) || check_aligned(read, 6, item) || check_apart(written, 10, read, 15);
}

int64_t check_offsets(const char* name, const int64_t* offsets, int64_t count) {
    if (!offsets) return fail("%s is missing", name);
    if (offsets[0] != 0) return fail("%s begin with %lld, not with 0", name, (long long)offsets[0]);
    for (int64_t k = 0; k < count; k++)
        if (offsets[k + 1] < offsets[k]) return fail("%s fall from %lld to %lld at %lld", name, (long long)offsets[k], (long long)offsets[k + 1], (long long)k);
    return 0;
}

// A list of at most so many ranges, null ones left out.
template <int MOST> struct Ranges {
    Range list[MOST];
    int count = 0;

    void add(const char* name, const void* from, int64_t bytes) {
        if (from) list[count++] = {name, from, bytes};
    }
};

// Room for packed weights overlaps nothing that is written, and nothing at all while it is filled.
int64_t check_packed(const Range& packed, bool ready, const Range* written, int num_written, const Range* read, int num_read) {
    return check_apart(&packed, 1, written, num_written) || (!ready && check_apart(&packed, 1, read, num_read));
}

// What a decoder's loop touches; the sizes have been checked.
int64_t check_decoder_ranges(const OstinatoDecoder& d, bool backward, const Table* own) {
    const OstinatoScan& first = d.layers[0];
    const int64_t item = first.is_double ? 8 : 4, B = first.B, N = first.N, H = first.H, width = gates_of(first.cell) * H, S = d.memory_offsets[d.num_examples];
    const CellFacts& facts = FACTS[first.cell];
    const bool has_c = facts.num_c, apart = facts.extra_product, fed_back = !d.feeding || d.fed_back;
    Ranges<160> written, read, others;
    for (int64_t l = 0; l < d.num_layers; l++) {
        const OstinatoScan& one = d.layers[l];
        const OstinatoGradients none{}, &g = backward ? d.layer_gradients[l] : none;
        const int64_t weight_x = width * (one.I + (l == 0 && fed_back ? d.F : 0)) * item;
        const bool gates_apart = g.d_gates != one.gates, extra_apart = !apart || g.d_extra != one.extra;
        auto& kept = backward ? read : written;
        kept.add("gates", gates_apart ? one.gates : nullptr, N * width * item);
        kept.add("extra", extra_apart ? one.extra : nullptr, N * facts.in_extra() * H * item);
        kept.add("hidden", one.hidden, N * H * item);
        if (l == 0) read.add("x", one.x, rows_span(N, one.x_stride, one.I) * item);
        read.add("weight_x", one.weight_x, weight_x);
        read.add("weight_h", one.weight_h, width * H * item);
        read.add("bias", one.bias, width * item);
        read.add("bias_n", one.bias_n, H * item);
        read.add("peepholes", one.peepholes, facts.peepholes * H * item);
        read.add("start_h", one.start_h, B * H * item);
        read.add("start_c", has_c ? one.start_c : nullptr, B * facts.num_c * H * item);
        read.add("mask", one.mask, N * H * item);
        others.add("offsets", one.offsets, (B + 1) * 8);
        others.add("order", one.order, B * 8);
        read.add("d_hidden", l == d.num_layers - 1 ? g.d_hidden : nullptr, N * H * item);
        written.add("d_gates", g.d_gates, N * width * item);
        written.add("d_extra", apart ? g.d_extra : nullptr, N * H * item);
        written.add("d_start_h", g.d_start_h, B * H * item);
        written.add("d_start_c", has_c ? g.d_start_c : nullptr, B * facts.num_c * H * item);
        written.add("d_x", l ? nullptr : g.d_x, N * one.I * item);
        written.add("d_weight_x", g.d_weight_x, weight_x);
        written.add("d_weight_h", g.d_weight_h, width * H * item);
        written.add("d_bias", g.d_bias, width * item);
        written.add("d_bias_n", g.d_bias_n, H * item);
        written.add("d_peepholes", g.d_peepholes, facts.peepholes * H * item);
    }
    auto& kept = backward ? read : written;
    kept.add("weights", d.weights, d.weight_offsets[B] * item);
    kept.add("queries", d.query_weight ? d.queries : nullptr, N * d.A * item);
    kept.add("contexts", d.contexts, N * d.M * item);
    kept.add("features", d.feeding ? d.features : nullptr, N * d.F * item);
    kept.add("dropped", d.dropped, (d.num_layers - 1) * N * H * item);
    read.add("keys", d.keys, S * d.A * item);
    read.add("values", d.values, S * d.M * item);
    read.add("query_weight", d.query_weight, d.A * H * item);
    read.add("query_bias", d.query_bias, d.A * item);
    read.add("energy", d.energy, d.A * item);
    read.add("readout", d.feeding ? d.readout : nullptr, d.F * (H + d.M) * item);
    read.add("readout_bias", d.feeding ? d.readout_bias : nullptr, d.F * item);
    read.add("start_fed", d.feeding ? d.start_fed : nullptr, B * d.F * item);
    others.add("memory_offsets", d.memory_offsets, (d.num_examples + 1) * 8);
    others.add("weight_offsets", d.weight_offsets, (B + 1) * 8);
    others.add("examples", d.examples, B * 8);
    if (backward) {
        written.add("d_features", d.feeding ? d.d_features : nullptr, N * d.F * item);
        written.add("d_contexts", d.d_contexts, N * d.M * item);
        written.add("d_start_fed", d.feeding ? d.d_start_fed : nullptr, B * d.F * item);
        written.add("d_queries", d.query_weight ? d.d_queries : nullptr, N * d.A * item);
        written.add("d_keys", d.d_keys, S * d.A * item);
        written.add("d_values", d.d_values, S * d.M * item);
        written.add("d_energy", d.energy ? d.d_energy : nullptr, B * d.A * item);
        written.add("d_below", d.num_layers > 1 ? d.d_below : nullptr, B * H * item);
        written.add("d_query_weight", d.d_query_weight, d.A * H * item);
        written.add("d_query_bias", d.d_query_bias, d.A * item);
        written.add("d_readout", d.feeding ? d.d_readout : nullptr, d.F * (H + d.M) * item);
        written.add("d_readout_bias", d.feeding ? d.d_readout_bias : nullptr, d.F * item);
    }
    if (check_aligned(written.list, written.count, item) || check_aligned(read.list, read.count, item) || check_aligned(others.list, others.count, 8)) return 1;
    if (check_apart(written.list, written.count, read.list, read.count)) return 1;
    for (int k = 0; k < written.count; k++)
        if (check_apart(written.list + k, 1, others.list, others.count)) return 1;
    if (backward || !d.packed) return 0;
    const Range packed{"packed", d.packed, own->decoder_packed(&d)};
    return check_packed(packed, d.packed_ready, written.list, written.count, read.list, read.count) || check_packed(packed, d.packed_ready, others.list, others.count, nullptr, 0);
}

int64_t check_decoder(const OstinatoDecoder& d, bool backward, const Table* own) {
    if (!d.layers || d.num_layers < 1 || d.num_layers > MAX_LAYERS) return fail("decoder: %lld layers; 1 to %d are allowed", (long long)d.num_layers, MAX_LAYERS);
    const int64_t sizes[] = {d.F, d.A, d.M, d.longest_memory};
    for (const int64_t each : sizes)
        if (size_is_bad(each)) return fail("decoder: %lld is no size", (long long)each);
    const OstinatoScan& first = d.layers[0];
    if (first.I < 1) return fail("decoder: I = %lld: the first layer reads one number at least", (long long)first.I);
    for (int64_t l = 0; l < d.num_layers; l++) {
        OstinatoScan one = d.layers[l];
        const void* mask = one.mask;
        one.mask = nullptr;  // not a scan's: one row per step
        if (!one.hidden_stride) return fail("decoder: hidden_stride of layer %lld is missing", (long long)l);
        if (l) one.x = d.layers[l - 1].hidden, one.x_stride = one.I;  // what it reads
        const bool fed_back = !d.feeding || d.fed_back;
        if (one.weight_x_stride != (l || !fed_back ? 0 : one.I + d.F)) return fail("decoder: weight_x_stride of layer %lld is %lld", (long long)l, (long long)one.weight_x_stride);
        one.weight_x_stride = 0;
        if (check_scan(one, false)) return 1;
        if (one.half && d.packed) return fail("decoder: half: packed weights are numbers");
        if (one.cell != first.cell || one.is_double != first.is_double || one.half != first.half || one.B != first.B || one.N != first.N || one.H != first.H || (l && one.I != one.H))
            return fail("decoder: layer %lld differs from the first in cell, type or sizes", (long long)l);
        if (FACTS[one.cell].late || one.reverse) return fail("decoder: a GRU with the reset before, or a reversed cell, cannot be computed here");
        if (one.hidden_stride != one.H) return fail("decoder: hidden_stride must be H = %lld", (long long)one.H);
        if (one.N && FACTS[one.cell].extra && !one.extra) return fail("decoder: extra is missing");
        if (mask && (!l || !d.dropped)) return fail("decoder: dropout needs `dropped`, and a layer below");
        if (backward && !d.layer_gradients) return fail("decoder: layer_gradients is missing");
        if (backward && check_gradients(one, d.layer_gradients[l])) return 1;
        for (int64_t b = 0; b < one.B; b++)
            if (one.offsets[b] != first.offsets[b] || one.order[b] != first.order[b]) return fail("decoder: layers have different sequences");
    }
    const int64_t num_examples = d.examples ? d.num_examples : first.B;
    if (size_is_bad(num_examples) || d.num_examples != num_examples) return fail("decoder: %lld examples for %lld targets", (long long)d.num_examples, (long long)first.B);
    if (d.examples && backward) return fail("decoder: with `examples` there is no backward");
    for (int64_t b = 0; d.examples && b < first.B; b++)
        if (d.examples[b] < 0 || d.examples[b] >= num_examples) return fail("decoder: example %lld of %lld", (long long)d.examples[b], (long long)num_examples);
    if (reinterpret_cast<uintptr_t>(d.packed) % 64) return fail("decoder: packed must lie at a multiple of 64");
    if (check_offsets("memory_offsets", d.memory_offsets, num_examples) || check_offsets("weight_offsets", d.weight_offsets, first.B)) return 1;
    const int64_t S = d.memory_offsets[num_examples];
    const int64_t H = first.H, width = gates_of(first.cell) * H;
    if (size_is_bad(S) || too_large(S + 1, d.A + d.M) || too_large(first.N + 1, d.A + d.M + d.F) || too_large(first.B + 1, d.A + d.F) || too_large(width, first.I + d.F + H) ||
        too_large(d.F, H + d.M) || too_large(d.A, H) || too_large(first.N + 1, d.num_layers * H))
        return fail("decoder: sizes are larger than memory");
    for (int64_t b = 0; b < first.B; b++) {
        const int64_t steps = first.offsets[b + 1] - first.offsets[b], example = d.examples ? d.examples[b] : b, memory = d.memory_offsets[example + 1] - d.memory_offsets[example];
        if (too_large(steps + 1, memory)) return fail("decoder: %lld steps that look at %lld are larger than memory", (long long)steps, (long long)memory);
        if (memory > d.longest_memory) return fail("decoder: a memory of %lld steps; longest_memory is %lld", (long long)memory, (long long)d.longest_memory);
        if (d.examples ? d.weight_offsets[b + 1] - d.weight_offsets[b] < steps * memory : d.weight_offsets[b + 1] - d.weight_offsets[b] != steps * memory) return fail("decoder: weight_offsets do not fit sequence %lld", (long long)b);
    }
    if (!d.query_weight && d.A != first.H) return fail("decoder: without query_weight A = %lld must be H = %lld", (long long)d.A, (long long)first.H);
    if (d.F != (d.feeding ? d.F : d.M)) return fail("decoder: F = %lld must be M = %lld without feeding", (long long)d.F, (long long)d.M);
    const bool some = first.N;
    if ((S && (!d.keys || !d.values)) || (some && !d.contexts) || (d.weight_offsets[first.B] && !d.weights)) return fail("decoder: keys, values, contexts or weights are missing");
    if (some && d.query_weight && !d.queries) return fail("decoder: queries is missing");
    if (d.feeding && (!d.readout || !d.start_fed || (some && !d.features))) return fail("decoder: readout, start_fed or features is missing");
    if (!backward) return check_decoder_ranges(d, false, own);
    if ((S && (!d.d_keys || !d.d_values)) || (some && !d.d_contexts)) return fail("decoder: d_keys, d_values or d_contexts is missing");
    if (some && d.query_weight && !d.d_queries) return fail("decoder: d_queries is missing");
    if (d.d_query_weight && !d.query_weight) return fail("decoder: d_query_weight is given, but no query_weight");
    if (d.d_query_bias && !d.d_query_weight) return fail("decoder: d_query_bias needs d_query_weight");
    for (int64_t l = 0; l < d.num_layers; l++)
        if ((d.layer_gradients[l].d_bias && !d.layer_gradients[l].d_weight_x) || (d.layer_gradients[l].d_bias_n && !d.layer_gradients[l].d_weight_h))
            return fail("decoder: d_bias needs d_weight_x, and d_bias_n d_weight_h");
    if (d.energy && !d.d_energy) return fail("decoder: d_energy is missing");
    if (d.num_layers > 1 && !d.d_below) return fail("decoder: d_below is missing");
    if (d.feeding && (!d.d_start_fed || !d.d_readout || (some && !d.d_features))) return fail("decoder: d_start_fed, d_readout or d_features is missing");
    return check_decoder_ranges(d, true, own);
}

int64_t check_product(const OstinatoProduct& one, const Table* own) {
    if (one.kind < 0 || one.kind > 2) return fail("there is no kind %lld of product", (long long)one.kind);
    const int64_t all[] = {one.M, one.N, one.K, one.left_stride, one.right_stride, one.out_stride};
    for (const int64_t each : all)
        if (size_is_bad(each)) return fail("%lld is no size", (long long)each);
    const int64_t left_rows = one.kind == 2 ? one.K : one.M, left_width = one.kind == 2 ? one.M : one.K;
    const int64_t right_rows = one.kind == 0 ? one.N : one.K, right_width = one.kind == 0 ? one.K : one.N;
    if (one.left_stride < left_width || one.right_stride < right_width || one.out_stride < one.N)
        return fail("strides %lld, %lld, %lld do not fit M = %lld, N = %lld, K = %lld", (long long)one.left_stride, (long long)one.right_stride, (long long)one.out_stride, (long long)one.M, (long long)one.N, (long long)one.K);
    if (too_large(left_rows + 1, one.left_stride) || too_large(right_rows + 1, one.right_stride) || too_large(one.M + 1, one.out_stride))
        return fail("M = %lld, N = %lld, K = %lld are larger than memory", (long long)one.M, (long long)one.N, (long long)one.K);
    if ((left_rows && left_width && !one.left) || (right_rows && right_width && !one.right) || (one.M && one.N && !one.out)) return fail("left, right or out is missing");
    if (check_half(one.half, one.is_double, own)) return 1;
    if (one.bias && one.kind == 2) return fail("bias: this product has none");
    if (one.packed && (one.kind == 2 || reinterpret_cast<uintptr_t>(one.packed) % 64)) return fail("packed: kinds 0 and 1 have it, at a multiple of 64");
    if (one.sums && one.kind != 2) return fail("sums: this product has none");
    const int64_t item = one.is_double ? 8 : 4;
    const Range written[] = {{"out", one.out, rows_span(one.M, one.out_stride, one.N) * item}, {"sums", one.sums, one.M * item}};
    const Range read[] = {
        {"left", one.left, rows_span(left_rows, one.left_stride, left_width) * item},
        {"right", one.right, rows_span(right_rows, one.right_stride, right_width) * item},
        {"bias", one.bias, one.N * item},
    };
    if (check_aligned(written, 2, item) || check_aligned(read, 3, item) || check_apart(written, 2, read, 3)) return 1;
    return one.packed && check_packed({"packed", one.packed, own->product_packed(&one)}, one.packed_ready, written, 2, read, 3);
}

int64_t check_map(const char* name, const void* weight) { return weight ? 0 : fail("step: %s is missing", name); }

int64_t check_look(const OstinatoStep& s, const OstinatoLook& look, int64_t S) {
    if (size_is_bad(look.S) || look.S != S) return fail("step: a look with S = %lld, the first layer's has %lld", (long long)look.S, (long long)S);
    if (too_large(s.num_examples + 1, s.H) || too_large((s.num_examples + 1) * s.H, look.S) || too_large(s.R + 1, look.S)) return fail("step: an input of %lld steps is larger than memory", (long long)look.S);
    if (check_map("query_weight", look.query_weight) || check_map("output_weight", look.output_weight)) return 1;
    if (s.num_examples && look.S && (!look.keys || !look.values)) return fail("step: keys or values of a look are missing");
    if (reinterpret_cast<uintptr_t>(look.lengths) % 8) return fail("step: lengths begin at an address that is no multiple of 8 bytes");
    for (int64_t e = 0; look.lengths && e < s.num_examples; e++)
        if (look.lengths[e] < 0 || look.lengths[e] > look.S) return fail("step: example %lld has %lld steps of S = %lld", (long long)e, (long long)look.lengths[e], (long long)look.S);
    return 0;
}

int64_t check_step(const OstinatoStep& s, const Table* own) {
    const struct { const char* name; int64_t size; } sizes[] = {{"R", s.R}, {"H", s.H}, {"A", s.A}, {"K", s.K}, {"D", s.D}, {"F", s.F}, {"filled", s.filled}, {"capacity", s.capacity}, {"num_examples", s.num_examples}};
    for (const auto& each : sizes)
        if (size_is_bad(each.size)) return fail("step: %s = %lld is no size", each.name, (long long)each.size);
    if (!s.layers || s.num_layers < 1 || s.num_layers > MAX_STEP_LAYERS) return fail("step: %lld layers; 1 to %d are allowed", (long long)s.num_layers, MAX_STEP_LAYERS);
    if (s.num_looks < 0 || s.num_looks > MAX_LOOKS) return fail("step: %lld looks; 0 to %d are allowed", (long long)s.num_looks, MAX_LOOKS);
    if (s.A < 1 || s.K < 1 || s.D < 1 || s.F < 1 || s.A % s.K || too_large(s.A, s.D) || s.A * s.D != s.H) return fail("step: H = %lld, A = %lld, K = %lld, D = %lld do not fit", (long long)s.H, (long long)s.A, (long long)s.K, (long long)s.D);
    if (!s.cosines != !s.sines || (s.cosines && s.D % 2)) return fail("step: cosines and sines belong together, and turn pairs of D = %lld numbers", (long long)s.D);
    if (s.norm < 0 || s.norm >= NUM_STEP_NORMS) return fail("step: there is no norm %lld", (long long)s.norm);
    if (s.activation < 0 || s.activation >= NUM_STEP_ACTIVATIONS) return fail("step: there is no activation %lld", (long long)s.activation);
    if (!(s.epsilon >= 0)) return fail("step: epsilon is below 0, or no number");
    if (s.filled >= s.capacity) return fail("step: %lld steps fill the room of %lld", (long long)s.filled, (long long)s.capacity);
    if (too_large(s.H, 3 * s.H) || too_large(s.H, 2 * s.F) || too_large(s.R + 1, s.H) || too_large((s.R + 1) * s.H, s.capacity)) return fail("step: sizes are larger than memory");
    if (s.R && (!s.x || !s.out)) return fail("step: x or out is missing");
    if (reinterpret_cast<uintptr_t>(s.packed) % 64 || reinterpret_cast<uintptr_t>(s.examples) % 8) return fail("step: packed must lie at a multiple of 64, examples at one of 8");
    if (!s.examples && s.num_looks && s.num_examples != s.R) return fail("step: %lld examples for %lld rows", (long long)s.num_examples, (long long)s.R);
    for (int64_t r = 0; s.examples && r < s.R; r++)
        if (s.examples[r] < 0 || s.examples[r] >= s.num_examples) return fail("step: example %lld of %lld", (long long)s.examples[r], (long long)s.num_examples);
    const int64_t item = s.is_double ? 8 : 4, square = s.H * s.H * item, row = s.H * item, first = (s.activation == STEP_SWIGLU ? 2 : 1) * s.F;
    const int64_t wide = (s.A + 2 * s.K) * s.D, rooms = s.R * s.K * s.capacity * s.D * item;
    static thread_local Ranges<2 + 3 * MAX_STEP_LAYERS * MAX_LOOKS> written;
    static thread_local Ranges<8 + MAX_STEP_LAYERS * (13 + 10 * MAX_LOOKS)> read, whole;
    written.count = read.count = whole.count = 0;
    written.add("out", s.out, s.R * row);
    read.add("x", s.x, s.R * row), read.add("cosines", s.cosines, s.D / 2 * item), read.add("sines", s.sines, s.D / 2 * item);
    read.add("norm_weight", s.norm_weight, row), read.add("norm_bias", s.norm_bias, row);
    whole.add("examples", s.examples, s.R * 8);
    for (int64_t l = 0; l < s.num_layers; l++) {
        const OstinatoLayer& layer = s.layers[l];
        if (check_map("read_weight", layer.read_weight) || check_map("output_weight", layer.output_weight) || check_map("first_weight", layer.first_weight) || check_map("second_weight", layer.second_weight)) return 1;
        if (s.R && (!layer.keys || !layer.values)) return fail("step: keys or values of layer %lld are missing", (long long)l);
        if (s.num_looks && !layer.looks) return fail("step: looks of layer %lld are missing", (long long)l);
        written.add("keys", layer.keys, rooms), written.add("values", layer.values, rooms);
        read.add("norm_weight", layer.norm_weight, row), read.add("norm_bias", layer.norm_bias, row);
        read.add("read_weight", layer.read_weight, wide * row), read.add("read_bias", layer.read_bias, wide * item);
        read.add("gain", layer.gain, (s.A + s.K) * s.D * item);
        read.add("output_weight", layer.output_weight, square), read.add("output_bias", layer.output_bias, row);
        read.add("last_norm_weight", layer.last_norm_weight, row), read.add("last_norm_bias", layer.last_norm_bias, row);
        read.add("first_weight", layer.first_weight, first * row), read.add("first_bias", layer.first_bias, first * item);
        read.add("second_weight", layer.second_weight, s.F * row), read.add("second_bias", layer.second_bias, row);
        for (int64_t k = 0; k < s.num_looks; k++) {
            const OstinatoLook& look = layer.looks[k];
            if (check_look(s, look, s.layers[0].looks[k].S)) return 1;
            const int64_t memory = s.num_examples * s.K * look.S * s.D * item;
            written.add("weights", look.weights, s.R * look.S * item);
            read.add("norm_weight", look.norm_weight, row), read.add("norm_bias", look.norm_bias, row);
            read.add("query_weight", look.query_weight, square), read.add("query_bias", look.query_bias, row);
            read.add("gain", look.gain, row);
            read.add("output_weight", look.output_weight, square), read.add("output_bias", look.output_bias, row);
            read.add("keys", look.keys, memory), read.add("values", look.values, memory);
            whole.add("lengths", look.lengths, s.num_examples * 8);
        }
    }
    if (check_aligned(written.list, written.count, item) || check_aligned(read.list, read.count, item)) return 1;
    if (check_apart(written.list, written.count, read.list, read.count) || check_apart(written.list, written.count, whole.list, whole.count)) return 1;
    return s.packed && check_packed({"packed", s.packed, own->step_packed(&s)}, s.packed_ready, written.list, written.count, read.list, read.count);
}

// Waking another thread takes about 3 us, in which one thread alone does this many multiplications.
constexpr double ALONE_BELOW = 4e5;

int threads_for(double multiplications) { return multiplications < ALONE_BELOW ? 1 : num_threads(); }

template <class F> int64_t run(int threads, int64_t space, F&& work) {
    char* base = workspace.of(space);
    if (space && !base) return fail("out of memory: %lld bytes of work space", (long long)space);
    struct Shared {
        F* work;
        char* base;
        Barrier all;
    } shared{&work, base, {}};
    parallel(threads, [](void* data, int thread, int of) {
        Shared* one = static_cast<Shared*>(data);
        (*one->work)(one->base, Team{thread, of, &one->all});
    }, &shared);
    return 0;
}

}  // namespace

}  // namespace ostinato

using namespace ostinato;

EXPORT int64_t ostinato_abi(void) { return OSTINATO_ABI; }

EXPORT const char* ostinato_cells(void) {
#define OSTINATO_LINE(number, name, Cell, gates, num_c, peepholes, extra, extra_product, late) name " " #gates " " #num_c " " #extra " " #extra_product " " #late "\n"
    return OSTINATO_CELLS(OSTINATO_LINE);
#undef OSTINATO_LINE
}

EXPORT const OstinatoField* ostinato_layout(void) {
    static const OstinatoField fields[] = {
#define SIZE(structure) {#structure, nullptr, sizeof(structure)},
#define S(field) {"OstinatoScan", #field, offsetof(OstinatoScan, field)},
#define G(field) {"OstinatoGradients", #field, offsetof(OstinatoGradients, field)},
#define W(field) {"OstinatoWatch", #field, offsetof(OstinatoWatch, field)},
#define D(field) {"OstinatoDecoder", #field, offsetof(OstinatoDecoder, field)},
#define P(field) {"OstinatoProduct", #field, offsetof(OstinatoProduct, field)},
#define K(field) {"OstinatoLook", #field, offsetof(OstinatoLook, field)},
#define L(field) {"OstinatoLayer", #field, offsetof(OstinatoLayer, field)},
#define T(field) {"OstinatoStep", #field, offsetof(OstinatoStep, field)},
        // clang-format off
        SIZE(OstinatoScan)
        S(cell) S(is_double) S(reverse) S(B) S(N) S(I) S(H) S(offsets) S(order) S(x) S(x_stride) S(weight_x) S(weight_h) S(bias) S(bias_n)
        S(peepholes) S(start_h) S(start_c) S(mask) S(gates) S(extra) S(hidden) S(hidden_stride) S(last_h) S(last_c) S(weight_x_stride)
        S(packed) S(packed_ready) S(half)
        SIZE(OstinatoGradients)
        G(d_hidden) G(d_hidden_stride) G(d_last_h) G(d_last_c) G(d_gates) G(d_extra) G(d_start_h) G(d_start_c) G(d_x) G(d_weight_x)
        G(d_weight_h) G(d_bias) G(d_bias_n) G(d_peepholes)
        SIZE(OstinatoWatch)
        W(memories) W(bytes) W(count) W(seen)
        SIZE(OstinatoDecoder)
        D(layers) D(num_layers) D(feeding) D(F) D(A) D(M) D(memory_offsets) D(longest_memory) D(keys) D(values) D(query_weight) D(query_bias)
        D(energy) D(scale) D(examples) D(num_examples) D(fed_back) D(packed) D(packed_ready) D(weight_offsets) D(readout) D(readout_bias)
        D(start_fed) D(weights) D(queries) D(contexts) D(features) D(dropped) D(layer_gradients) D(d_features) D(d_contexts) D(d_start_fed)
        D(d_queries) D(d_keys) D(d_values) D(d_energy) D(d_below) D(d_query_weight) D(d_query_bias) D(d_readout) D(d_readout_bias)
        SIZE(OstinatoProduct)
        P(kind) P(is_double) P(M) P(N) P(K) P(left) P(left_stride) P(right) P(right_stride) P(bias) P(sums) P(out) P(out_stride) P(packed)
        P(packed_ready) P(half)
        SIZE(OstinatoLook)
        K(norm_weight) K(norm_bias) K(query_weight) K(query_bias) K(gain) K(output_weight) K(output_bias) K(keys) K(values) K(lengths) K(S)
        K(weights)
        SIZE(OstinatoLayer)
        L(norm_weight) L(norm_bias) L(read_weight) L(read_bias) L(gain) L(output_weight) L(output_bias) L(looks) L(last_norm_weight)
        L(last_norm_bias) L(first_weight) L(first_bias) L(second_weight) L(second_bias) L(keys) L(values)
        SIZE(OstinatoStep)
        T(is_double) T(R) T(H) T(A) T(K) T(D) T(F) T(layers) T(num_layers) T(num_looks) T(filled) T(capacity) T(norm) T(epsilon) T(norm_first)
        T(norm_after) T(activation) T(cosines) T(sines) T(norm_weight) T(norm_bias) T(examples) T(num_examples) T(x) T(out) T(packed)
        T(packed_ready)
        {nullptr, nullptr, 0},
        // clang-format on
#undef SIZE
#undef S
#undef G
#undef W
#undef D
#undef P
#undef K
#undef L
#undef T
    };
    return fields;
}

EXPORT const char* ostinato_error(void) { return message; }

EXPORT const char* ostinato_instruction_sets(void) {
    static thread_local char names[64];
    names[0] = 0;
    for (const Table* each : TABLES)
        if (each->supported()) {
            if (names[0]) strcat(names, " ");
            strcat(names, each->name);
        }
    return names;
}

EXPORT int64_t ostinato_use(const char* instruction_set) {
    for (const Table* each : TABLES)
        if (instruction_set && !strcmp(each->name, instruction_set)) {
            if (!each->supported()) return fail("this processor has no %s; it has: %s", each->name, ostinato_instruction_sets());
            chosen = each;
            return 0;
        }
    return fail("this build has no instruction set '%s'; this machine can use: %s", instruction_set ? instruction_set : "", ostinato_instruction_sets());
}

EXPORT void ostinato_set_threads(int64_t threads, void* parallel, void* thread_number, void* num_threads) {
    set_threads(threads > 1024 ? 1024 : (int)threads, parallel, thread_number, num_threads);
}

EXPORT int64_t ostinato_forward(const OstinatoScan* scans, int64_t count) {
    if (!scans || count < 1 || count > 2) return fail("%lld scans: one or two are allowed", (long long)count);
    for (int64_t k = 0; k < count; k++)
        if (check_scan(scans[k], true)) return 1;
    const OstinatoScan &one = scans[0], &two = scans[count - 1];
    if (one.cell != two.cell || one.is_double != two.is_double || one.B != two.B || one.N != two.N || one.H != two.H || !one.mask != !two.mask)
        return fail("two scans of one call differ in cell, type, sequences, H or in having a mask");
    if (count == 2 && check_pair(one, two)) return 1;
    const Table* own = table();
    Range packed[2] = {};
    for (int64_t k = 0; k < count; k++) {
        if (!scans[k].packed) continue;
        packed[k] = {"packed", scans[k].packed, own->scan_packed(&scans[k])};
        for (int64_t other = 0; other < count; other++) {
            const ScanRanges ranges(scans[other]);
            if (check_packed(packed[k], scans[k].packed_ready, ranges.written, ScanRanges::WRITTEN, ranges.read, ScanRanges::READ)) return 1;
        }
    }
    if (overlap(packed[0], packed[1])) return fail("packed and the other scan's packed overlap");
    const double weights = double(gates_of(one.cell)) * one.H * (one.H + one.I);
    const int threads = threads_for(weights * (one.N + one.B) * count);
    return run(threads, own->forward_space(scans, count, threads), [&](char* base, Team team) { own->forward(scans, count, base, team); });
}

EXPORT int64_t ostinato_backward(const OstinatoScan* scan, const OstinatoGradients* gradients) {
    if (!scan || !gradients) return fail("scan or gradients is missing");
    if (check_scan(*scan, false) || check_gradients(*scan, *gradients)) return 1;
    const int threads = threads_for(double(gates_of(scan->cell)) * scan->H * (scan->H + scan->I) * 2 * (scan->N + scan->B));
    const Table* own = table();
    return run(threads, own->backward_space(scan, gradients, threads), [&](char* base, Team team) { own->backward(scan, gradients, base, team); });
}

namespace {

int64_t run_decoder(const OstinatoDecoder* decoder, bool backward) {
    if (!decoder) return fail("the decoder is missing");
    const Table* own = table();
    if (check_decoder(*decoder, backward, own)) return 1;
    const int threads = decoder->layers[0].N ? num_threads() : 1;
    return run(threads, own->decoder_space(decoder, backward, threads), [&](char* base, Team team) {
        (backward ? own->decoder_backward : own->decoder_forward)(decoder, base, team);
    });
}

}  // namespace

EXPORT int64_t ostinato_decoder_forward(const OstinatoDecoder* decoder) { return run_decoder(decoder, false); }

EXPORT int64_t ostinato_decoder_backward(const OstinatoDecoder* decoder) { return run_decoder(decoder, true); }

EXPORT int64_t ostinato_multiply(const OstinatoProduct* product) {
    if (!product) return fail("the product is missing");
    const Table* own = table();
    if (check_product(*product, own)) return 1;
    const int threads = threads_for(double(product->M) * product->N * product->K);
    return run(threads, own->multiply_space(product, threads), [&](char* base, Team team) { own->multiply(product, base, team); });
}

EXPORT int64_t ostinato_has_half(void) { return table()->has_half; }

EXPORT int64_t ostinato_packed_size(const OstinatoProduct* product) {
    if (!product) return fail("the product is missing"), -1;
    const Table* own = table();
    return check_product(*product, own) ? -1 : own->product_packed(product);
}

EXPORT int64_t ostinato_scan_packed_size(const OstinatoScan* scan) {
    if (!scan) return fail("the scan is missing"), -1;
    return check_scan(*scan, true) ? -1 : table()->scan_packed(scan);
}

EXPORT int64_t ostinato_decoder_packed_size(const OstinatoDecoder* decoder) {
    if (!decoder) return fail("the decoder is missing"), -1;
    const Table* own = table();
    return check_decoder(*decoder, false, own) ? -1 : own->decoder_packed(decoder);
}

EXPORT int64_t ostinato_step(const OstinatoStep* step) {
    if (!step) return fail("the step is missing");
    const Table* own = table();
    if (check_step(*step, own)) return 1;
    const double weights = double(step->num_layers) * step->H * ((4 + 2 * step->num_looks) * double(step->H) + 2 * double(step->F));
    const int threads = step->R < 2 ? 1 : threads_for(step->R * weights);
    return run(threads, own->step_space(step, threads), [&](char* base, Team team) { own->step(step, base, team); });
}

EXPORT int64_t ostinato_step_packed_size(const OstinatoStep* step) {
    if (!step) return fail("the step is missing"), -1;
    const Table* own = table();
    return check_step(*step, own) ? -1 : own->step_packed(step);
}

EXPORT uint64_t ostinato_fingerprint(const OstinatoWatch* watch) {
    // Four sums beside each other, so that none waits for the multiplication of another.
    uint64_t hash[4] = {1469598103934665603u, 2, 3, 4};
    const auto add = [&hash](int64_t lane, uint64_t word) { hash[lane] = (hash[lane] ^ word) * 1099511628211u; };
    for (int64_t k = 0; watch && watch->memories && watch->bytes && k < watch->count; k++) {
        const char* memory = static_cast<const char*>(watch->memories[k]);
        const int64_t words = memory && watch->bytes[k] > 0 ? watch->bytes[k] / 4 : 0, step = words > 64 ? words / 64 : 1;
        add(0, reinterpret_cast<uintptr_t>(memory));
        int64_t lane = 0;
        for (int64_t at = 0; at < words; at += step) {
            uint32_t word;
            memcpy(&word, memory + at * 4, 4);
            add(lane, word);
            lane = (lane + 1) & 3;
        }
    }
    for (int64_t lane = 1; lane < 4; lane++) add(0, hash[lane]);
    return hash[0];
}

EXPORT int64_t ostinato_stream(
    const OstinatoScan* prepared, const OstinatoWatch* watch, const void* x, void* hidden, const void* h, const void* c, void* last_h, void* last_c
) {
    if (!prepared || !prepared->packed || !prepared->packed_ready) return fail("stream: the scan is not prepared");
    if (watch && ostinato_fingerprint(watch) != watch->seen) return 2;
    OstinatoScan scan = *prepared;
    scan.x = x, scan.hidden = hidden, scan.start_h = h, scan.start_c = c, scan.last_h = last_h, scan.last_c = last_c;
    return ostinato_forward(&scan, 1);
}

EXPORT int64_t ostinato_activate(int64_t kind, int64_t is_double, int64_t n, const void* x, void* y) {
    if (kind < 0 || kind > 3 || size_is_bad(n) || (n && (!x || !y))) return fail("activate: kind %lld of %lld numbers", (long long)kind, (long long)n);
    const int64_t item = is_double ? 8 : 4;
    const Range from{"x", x, n * item}, to{"y", y, n * item};
    if (check_aligned(&from, 1, item) || check_aligned(&to, 1, item) || (x != y && check_apart(&to, 1, &from, 1))) return 1;
    table()->activate(kind, is_double, n, x, y);
    return 0;
}
