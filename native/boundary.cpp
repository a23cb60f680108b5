// The C boundary: what all parts share, products and activations. Every argument is checked before any kernel runs (boundary.h).
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <atomic>

#include "boundary.h"

namespace ostinato {

#ifdef OSTINATO_AMXBF16
extern const Table amxbf16_table;
#endif
#ifdef OSTINATO_AVX512BF16
extern const Table avx512bf16_table;
#endif
#ifdef OSTINATO_AVX512
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

const Table* const TABLES[] = {
#ifdef OSTINATO_AMXBF16
    &amxbf16_table,
#endif
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

// It grows to what its thread's largest call needed, and stays.
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
thread_local Workspace own_workspace;

}  // namespace

int64_t fail(const char* format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof message, format, values);
    va_end(values);
    return 1;
}

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

char* workspace(int64_t size) { return own_workspace.of(size); }

namespace {

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
#define E(field) {"OstinatoEnergies", #field, offsetof(OstinatoEnergies, field)},
#define R(field) {"OstinatoLinearScan", #field, offsetof(OstinatoLinearScan, field)},
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
        D(energy) D(scale) D(narrowest) D(examples) D(num_examples) D(fed_back) D(packed) D(packed_ready) D(weight_offsets) D(readout)
        D(readout_bias) D(start_fed) D(start_middle) D(weights) D(queries) D(contexts) D(middles) D(features) D(dropped) D(layer_gradients)
        D(d_features) D(d_contexts) D(d_start_fed) D(d_start_middle)
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
        SIZE(OstinatoEnergies)
        E(is_double) E(B) E(K) E(S) E(A) E(query) E(keys) E(energy) E(scores) E(d_scores) E(d_query) E(d_keys) E(d_energy)
        SIZE(OstinatoLinearScan)
        R(is_double) R(B) R(N) R(H) R(offsets) R(keep) R(add) R(start) R(hidden) R(d_hidden) R(d_keep) R(d_add) R(d_start)
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
#undef E
#undef R
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

EXPORT int64_t ostinato_activate(int64_t kind, int64_t is_double, int64_t n, const void* x, void* y) {
    if (kind < 0 || kind > 3 || size_is_bad(n) || (n && (!x || !y))) return fail("activate: kind %lld of %lld numbers", (long long)kind, (long long)n);
    const int64_t item = is_double ? 8 : 4;
    const Range from{"x", x, n * item}, to{"y", y, n * item};
    if (check_aligned(&from, 1, item) || check_aligned(&to, 1, item) || (x != y && check_apart(&to, 1, &from, 1))) return 1;
    table()->activate(kind, is_double, n, x, y);
    return 0;
}
