// Matrix products: one kernel that keeps a tile of the result in registers, and the loops around it.
//
//   out[r][n] = sum_k a[r][k] * b[k][n]
//
// Every element is summed over k in order, in one register, whatever tile it lies in: a row's result depends neither on the rows
// beside it nor on the number of threads. b is packed into panels: the columns in groups of NV vectors, [k][NV * width], zeros where
// columns end, so that the kernel reads it from one end to the other.
#pragma once

#include "simd.h"

namespace {

constexpr i64 STRIP = 16;  // columns of a transposed left side that are packed together, whatever the vector's width

// How many rows a tile may have beside NV vectors of columns, so that it stays in registers with a vector of b and one of a.
template <int NV> constexpr int tile_rows() {
    return REGISTERS >= 32 ? (NV == 1 ? 12 : NV <= 3 ? 8 : 4) : (NV == 1 ? 8 : NV == 2 ? 4 : NV == 3 ? 4 : 2);
}

constexpr int PANEL = REGISTERS >= 32 ? 2 : 3;  // NV of products outside of time loops: 8 x 2 (AVX-512), 4 x 3 (AVX2) tiles

// STEP 0: row r of a is a[r]. STEP > 0: a packed strip, element (r, k) at strip[k * STEP + r].
template <class T, int MR, int NV, int STEP>
inline void tile(i64 K, const T* const* a, const T* strip, const T* b, T* out, i64 stride, bool add) {
    using V = typename Simd<T>::V;
    constexpr int W = Simd<T>::width;
    V sums[MR][NV];
    const T* rows[MR];
    for (int r = 0; r < MR; r++) {
        rows[r] = STEP ? nullptr : a[r];
        for (int v = 0; v < NV; v++) sums[r][v] = add ? load(out + r * stride + v * W) : V{};
    }
    for (i64 k = 0; k < K; k++, b += NV * W, strip += STEP) {
        V column[NV];
        for (int v = 0; v < NV; v++) column[v] = load(b + v * W);
        for (int r = 0; r < MR; r++) {
            const T value = STEP ? strip[r] : rows[r][k];
            for (int v = 0; v < NV; v++) sums[r][v] += column[v] * value;
        }
    }
    for (int r = 0; r < MR; r++)
        for (int v = 0; v < NV; v++) store(out + r * stride + v * W, sums[r][v]);
}

// `rows` rows, at most tile_rows<NV>().
template <class T, int NV> __attribute__((noinline)) void tile_of(int rows, i64 K, const T* const* a, const T* b, T* out, i64 stride, bool add) {
    switch (rows) {
#define CASE(MR) \
    case MR: \
        if constexpr (MR <= tile_rows<NV>()) tile<T, MR, NV, 0>(K, a, nullptr, b, out, stride, add); \
        return;
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#undef CASE
    }
}

// The next tile of `left` rows: tiles of nearly equal height, since one of a single row runs at a quarter of the speed.
template <int NV> inline int next_tile(i64 left) {
    const i64 tiles = (left + tile_rows<NV>() - 1) / tile_rows<NV>();
    return (int)((left + tiles - 1) / tiles);
}

inline i64 min_of(i64 a, i64 b) { return a < b ? a : b; }
inline i64 max_of(i64 a, i64 b) { return a > b ? a : b; }

// One vector of a panel from a matrix (columns, K) whose row is a column of b: `count` rows from `from`.
template <class T> void pack_vector_of_rows(const T* from, i64 stride, i64 count, i64 K, T* to, i64 step) {
    constexpr int W = Simd<T>::width;
    for (i64 begin = 0; begin < K; begin += 64) {
        const i64 end = min_of(K, begin + 64);
        for (int lane = 0; lane < W; lane++) {
            if (lane < count) {
                const T* row = from + lane * stride;
                for (i64 k = begin; k < end; k++) to[k * step + lane] = row[k];
            } else {
                for (i64 k = begin; k < end; k++) to[k * step + lane] = 0;
            }
        }
    }
}

// One vector of a panel from K rows as b has them: `count` columns from `from`.
template <class T> void pack_vector_of_columns(const T* from, i64 stride, i64 count, i64 K, T* to, i64 step) {
    constexpr int W = Simd<T>::width;
    if (count >= W)
        for (i64 k = 0; k < K; k++) store(to + k * step, load(from + k * stride));
    else
        for (i64 k = 0; k < K; k++) store(to + k * step, count > 0 ? load_some(from + k * stride, (int)count) : typename Simd<T>::V{});
}

// A right side of M x K times K x N: either (N, K) with its rows as columns, or (K, N) as it is.
template <class T> struct Right {
    const T* values;
    i64 stride, K, N;
    bool rows_are_columns;

    static constexpr i64 lanes = PANEL * Simd<T>::width;
    i64 panels() const { return (N + lanes - 1) / lanes; }
    i64 packed_size() const { return panels() * lanes * K; }

    void pack(i64 panel, T* to) const {
        constexpr int W = Simd<T>::width;
        for (int v = 0; v < PANEL; v++) {
            const i64 n = panel * lanes + v * W, count = max_of(0, min_of(W, N - n));
            if (rows_are_columns) pack_vector_of_rows(values + n * stride, stride, count, K, to + v * W, lanes);
            else pack_vector_of_columns(values + n, stride, count, K, to + v * W, lanes);
        }
    }
};

constexpr i64 ROWS_AT_ONCE = 96;   // rows of a that are multiplied with one panel after the other while they stay in L2
constexpr i64 DEPTH = 512;         // k of one pass: a panel of it is 64 KiB
constexpr i64 STEPS_AT_ONCE = 256; // k of one pass of a transposed left side, which is packed

// Copies a tile's columns that exist, adding to what stands there or to the bias.
template <class T> inline void emit(const T* tile_values, i64 lanes, int rows, T* out, i64 stride, i64 count) {
    for (int r = 0; r < rows; r++) memcpy(out + r * stride, tile_values + r * lanes, sizeof(T) * count);
}

// out (M, N) rows [m0, m1), panels [p0, p1) = a (M, K) * packed (+ bias in every row).
template <class T>
void multiply(const T* a, i64 a_stride, const T* packed, const Right<T>& b, const T* bias, T* out, i64 stride, i64 m0, i64 m1, i64 p0, i64 p1) {
    constexpr i64 lanes = Right<T>::lanes;
    constexpr int most = tile_rows<PANEL>();
    T edge[most * lanes];
    for (i64 k0 = 0; k0 < max_of(1, b.K); k0 += DEPTH) {
        const i64 depth = min_of(DEPTH, b.K - k0);
        for (i64 begin = m0; begin < m1; begin += ROWS_AT_ONCE) {
            const i64 end = min_of(m1, begin + ROWS_AT_ONCE);
            for (i64 p = p0; p < p1; p++) {
                const T* panel = packed + p * lanes * b.K + k0 * lanes;
                const i64 n = p * lanes, count = min_of(lanes, b.N - n);
                for (i64 m = begin; m < end;) {
                    const int rows = next_tile<PANEL>(end - m);
                    const T* row[most];
                    for (int r = 0; r < rows; r++) row[r] = a + (m + r) * a_stride + k0;
                    const bool whole = count == lanes;
                    T* to = whole ? out + m * stride + n : edge;
                    const i64 to_stride = whole ? stride : lanes;
                    if (k0 == 0 && bias)
                        for (int r = 0; r < rows; r++) memcpy(to + r * to_stride, bias + n, sizeof(T) * count);
                    else if (k0 && !whole)
                        for (int r = 0; r < rows; r++) memcpy(edge + r * lanes, out + (m + r) * stride + n, sizeof(T) * count);
                    tile_of<T, PANEL>(rows, depth, row, panel, to, to_stride, k0 || bias);
                    if (!whole) emit(edge, lanes, rows, out + m * stride + n, stride, count);
                    m += rows;
                }
            }
        }
    }
}

// Rows that are found through a pointer each, perhaps multiplied by a mask row: the right side of a weight's gradient.
template <class T> struct Rows {
    const T* values;          // row k at values + k * stride, or
    i64 stride;
    const T* const* pointers; // at pointers[k]
    const T* const* masks;    // null, or what row k is multiplied by

    const T* row(i64 k) const { return pointers ? pointers[k] : values + k * stride; }
};

// out (M, N) rows [m0, m1) = left (K, M)^T * right (K, N), and, where `sums` is not null, sums (M) = column sums of left.
// m0 is a multiple of STRIP. `space` holds gradient_space(N) numbers.
template <class T> i64 gradient_space(i64 N) {
    constexpr i64 lanes = Right<T>::lanes;
    return STEPS_AT_ONCE * ((N + lanes - 1) / lanes * lanes + 8 * STRIP);
}

template <class T>
void multiply_transposed(const T* left, i64 left_stride, const Rows<T>& right, i64 K, i64 N, T* out, i64 stride, T* sums, i64 m0, i64 m1, T* space) {
    using V = typename Simd<T>::V;
    constexpr int W = Simd<T>::width;
    constexpr i64 lanes = Right<T>::lanes;
    constexpr int most = tile_rows<PANEL>() < STRIP ? tile_rows<PANEL>() : STRIP;
    static_assert(STRIP % most == 0, "tiles must fill a strip");
    const i64 panels = (N + lanes - 1) / lanes;
    T* strips = space + STEPS_AT_ONCE * panels * lanes;
    T edge[most * lanes];
    if (sums) memset(sums + m0, 0, sizeof(T) * (m1 - m0));
    for (i64 k0 = 0; k0 < max_of(1, K); k0 += STEPS_AT_ONCE) {
        const i64 depth = min_of(STEPS_AT_ONCE, K - k0);
        for (i64 k = 0; k < depth; k++) {
            const T* row = right.row(k0 + k);
            const T* mask = right.masks ? right.masks[k0 + k] : nullptr;
            for (i64 n = 0; n < panels * lanes; n += W) {
                const i64 count = N - n;
                V value = count >= W ? load(row + n) : count > 0 ? load_some(row + n, (int)count) : V{};
                if (mask) value *= count >= W ? load(mask + n) : count > 0 ? load_some(mask + n, (int)count) : V{};
                store(space + (n / lanes) * lanes * STEPS_AT_ONCE + k * lanes + n % lanes, value);
            }
        }
        for (i64 begin = m0; begin < m1; begin += 8 * STRIP) {
            const i64 end = min_of(m1, begin + 8 * STRIP);
            for (i64 m = begin; m < end; m += STRIP) {
                T* strip = strips + (m - begin) * STEPS_AT_ONCE;
                const i64 count = min_of(STRIP, m1 - m);
                if (count == STRIP) {
                    V total[STRIP / W] = {};
                    for (i64 k = 0; k < depth; k++)
                        for (int v = 0; v < STRIP / W; v++) {
                            const V value = load(left + (k0 + k) * left_stride + m + v * W);
                            total[v] += value;
                            store(strip + k * STRIP + v * W, value);
                        }
                    if (sums)
                        for (int v = 0; v < STRIP / W; v++) store(sums + m + v * W, load(sums + m + v * W) + total[v]);
                } else {
                    T total[STRIP] = {};
                    for (i64 k = 0; k < depth; k++)
                        for (i64 r = 0; r < STRIP; r++) {
                            const T value = r < count ? left[(k0 + k) * left_stride + m + r] : 0;
                            total[r] += value;
                            strip[k * STRIP + r] = value;
                        }
                    if (sums)
                        for (i64 r = 0; r < count; r++) sums[m + r] += total[r];
                }
            }
            for (i64 p = 0; p < panels; p++) {
                const T* panel = space + p * lanes * STEPS_AT_ONCE;
                const i64 n = p * lanes, count = min_of(lanes, N - n);
                for (i64 m = begin; m < end; m += most) {
                    const T* strip = strips + (m - begin) / STRIP * STRIP * STEPS_AT_ONCE + (m - begin) % STRIP;
                    const i64 rows = min_of(most, end - m);
                    const bool whole = count == lanes && rows == most;
                    T* to = whole ? out + m * stride + n : edge;
                    if (!whole && k0)
                        for (i64 r = 0; r < rows; r++) memcpy(edge + r * lanes, out + (m + r) * stride + n, sizeof(T) * count);
                    tile<T, most, PANEL, STRIP>(depth, nullptr, strip, panel, to, whole ? stride : lanes, k0 != 0);
                    if (!whole) emit(edge, lanes, (int)rows, out + m * stride + n, stride, count);
                }
            }
        }
    }
}

}  // namespace
