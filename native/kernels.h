// The kernels of one instruction set. The including file sets VECTOR_BYTES, REGISTERS, TABLE, NAME and SUPPORTED.
#pragma once

#include "decoder_plan.h"
#include "energies.h"
#include "linear_scan.h"
#include "transformer.h"

namespace {

// One function for all cells and both types.

#define OSTINATO_CASE(number, name, Cell, ...) \
    case number: return done(Cell{});
template <class F> auto of_cell(i64 cell, F&& done) {
    switch (cell) { OSTINATO_CELLS(OSTINATO_CASE) }
    __builtin_trap();  // the boundary refuses every other number: nothing is computed in place of a cell that is not there
}
#undef OSTINATO_CASE

#define OSTINATO_SAME(number, name, Cell, gates, num_c, peepholes, extra, extra_product, late) \
    static_assert(Cell::GATES == gates && Cell::NUM_C == num_c && Cell::PEEPHOLES == peepholes, name ": cell_list.h differs from its struct"); \
    static_assert(Cell::EXTRA == extra && Cell::EXTRA_PRODUCT == extra_product && Cell::LATE == late, name ": cell_list.h differs from its struct");
OSTINATO_CELLS(OSTINATO_SAME)
#undef OSTINATO_SAME

template <class F> auto of_scan(const OstinatoScan& scan, F&& done) {
    return of_cell(scan.cell, [&](auto cell) {
        using C = decltype(cell);
        return scan.is_double ? done(Scans<double, C>{}) : done(Scans<float, C>{});
    });
}

int64_t forward_space(const OstinatoScan* scans, int64_t count, int64_t threads) {
    return of_scan(scans[0], [&](auto kind) { return decltype(kind)::forward_space(scans, count, threads); });
}
void forward(const OstinatoScan* scans, int64_t count, char* space, Team team) {
    of_scan(scans[0], [&](auto kind) { decltype(kind)::forward(scans, count, space, team); });
}
int64_t backward_space(const OstinatoScan* scan, const OstinatoGradients* gradients, int64_t threads) {
    return of_scan(*scan, [&](auto kind) { return decltype(kind)::backward_space(scan, gradients, threads); });
}
void backward(const OstinatoScan* scan, const OstinatoGradients* gradients, char* space, Team team) {
    of_scan(*scan, [&](auto kind) { decltype(kind)::backward(scan, gradients, space, team); });
}
template <class F> auto of_decoder(const OstinatoDecoder& one, F&& done) {
    return of_cell(one.layers[0].cell, [&](auto cell) {
        using C = decltype(cell);
        if constexpr (C::LATE) return decltype(done(Decoders<float, LongShortTermMemory<false>>{}))();  // refused at the boundary
        else return one.layers[0].is_double ? done(Decoders<double, C>{}) : done(Decoders<float, C>{});
    });
}

int64_t decoder_space(const OstinatoDecoder* decoder, bool backward, int64_t threads) {
    return of_decoder(*decoder, [&](auto kind) { return decltype(kind)::space(*decoder, backward, threads); });
}
void decoder_forward(const OstinatoDecoder* decoder, char* space, Team team) {
    of_decoder(*decoder, [&](auto kind) { decltype(kind)::forward(*decoder, space, team); });
}
void decoder_backward(const OstinatoDecoder* decoder, char* space, Team team) {
    of_decoder(*decoder, [&](auto kind) { decltype(kind)::backward(*decoder, space, team); });
}
int64_t scan_packed(const OstinatoScan* scan) {
    return of_scan(*scan, [&](auto kind) { return decltype(kind)::packed(*scan); });
}
int64_t decoder_packed(const OstinatoDecoder* decoder) {
    return of_decoder(*decoder, [&](auto kind) { return decltype(kind)::packed(*decoder); });
}
template <class T> i64 right_size(const OstinatoProduct& one) {
    Space nothing{nullptr};
    const auto bytes = [](auto right) { return right.packed_size() * (i64)sizeof(typename decltype(right)::Kind); };
    return one.kind == 2 ? 0 : plan_product<T>(one, &nothing, 1, 0).in_items(bytes);
}
int64_t product_packed(const OstinatoProduct* product) { return product->is_double ? right_size<double>(*product) : right_size<float>(*product); }
int64_t multiply_space(const OstinatoProduct* product, int64_t threads) {
    Space space{nullptr};
    if (product->is_double) plan_product<double>(*product, &space, threads, 0);
    else plan_product<float>(*product, &space, threads, 0);
    return space.used;
}
void multiply_any(const OstinatoProduct* product, char* space, Team team) {
    if (product->is_double) multiply_all<double>(product, space, team);
    else multiply_all<float>(product, space, team);
}

// A kernel of one argument, in the type of its numbers.
template <template <class> class Kernel, class Given, class F> auto of_type(const Given& one, F&& done) {
    return one.is_double ? done(Kernel<double>(one)) : done(Kernel<float>(one));
}
int64_t step_space(const OstinatoStep* one, int64_t threads) {
    return of_type<TransformerStep>(*one, [&](const auto& step) { return step.space(threads); });
}
void step(const OstinatoStep* one, char* space, Team team) {
    of_type<TransformerStep>(*one, [&](const auto& step) { step.run(space, team); });
}
int64_t step_packed(const OstinatoStep* one) {
    return of_type<TransformerStep>(*one, [&](const auto& step) { return step.packed_size(); });
}

void energies_forward(const OstinatoEnergies* one, Team team) {
    of_type<Energies>(*one, [&](const auto& energies) { energies.forward(team); });
}
int64_t energies_space(const OstinatoEnergies* one, int64_t threads) {
    return of_type<Energies>(*one, [&](const auto& energies) { return energies.space(threads); });
}
void energies_backward(const OstinatoEnergies* one, char* space, Team team) {
    of_type<Energies>(*one, [&](const auto& energies) { energies.backward(space, team); });
}
void linear_scan(const OstinatoLinearScan* one, bool backward, Team team) {
    of_type<LinearScan>(*one, [&](const auto& scan) { scan.run(backward, team); });
}

template <class T> void activate_all(int64_t kind, i64 n, const T* x, T* y) {
    constexpr int W = Simd<T>::width;
    for (i64 k = 0; k < n; k += W) {
        const int count = (int)min_of(W, n - k);
        const auto value = count < W ? load_some(x + k, count) : load(x + k);
        const auto result = kind == 0 ? sigmoid(value) : kind == 1 ? hyperbolic_tangent(value) : kind == 2 ? exponential(value) : log_sigmoid(value);
        if (count < W) store_some(y + k, result, count);
        else store(y + k, result);
    }
}
void activate(int64_t kind, int64_t is_double, int64_t n, const void* x, void* y) {
    if (is_double) activate_all(kind, n, static_cast<const double*>(x), static_cast<double*>(y));
    else activate_all(kind, n, static_cast<const float*>(x), static_cast<float*>(y));
}

bool supported() { return SUPPORTED; }

}  // namespace

namespace ostinato {
extern const Table TABLE;
const Table TABLE = {NAME, supported, forward_space, forward, backward_space, backward, decoder_space, decoder_forward, decoder_backward, scan_packed, decoder_packed, product_packed, multiply_space, multiply_any, step_space, step, step_packed, energies_forward, energies_space, energies_backward, linear_scan, activate, HAS_HALF};
}  // namespace ostinato
