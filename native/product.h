// Matrix products: one kernel that keeps a tile of the result in registers, and the loops around it.
//
//   out[r][n] = sum_k a[r][k] * b[k][n]
//
// Every element is summed over k in order, in one register, whatever tile it lies in: a row's result depends neither on the rows
// beside it nor on the number of threads. b is packed into panels: the columns in groups of NV vectors, [k][NV * width], zeros where
// columns end, so that the kernel reads it from one end to the other.
//
// What is packed are items: numbers, or, where HALF is set, pairs of numbers of two neighbouring k that were rounded to bfloat16,
// which one instruction multiplies and adds to a sum in float32; where TILES is set, one instruction does so for a block of them
// (tiles.h).
#pragma once

#include "simd.h"
#ifdef HALF
#include <immintrin.h>
#endif
#ifdef TILES
#include "tiles.h"
#endif

namespace {

template <class T> struct Item {
    using Number = T;
    using V = typename Simd<T>::V;
    static constexpr int numbers = 1, block = 1;  // numbers of an item; items that are multiplied at once
};

template <class T> inline typename Simd<T>::V added(typename Simd<T>::V sum, typename Simd<T>::V column, T value) {
    return sum + column * value;
}

// The first number is the lower half.
struct Pair {
    uint32_t both;
};

#ifdef HALF
constexpr bool HAS_HALF = true;

typedef uint32_t PairVector __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t PairAnywhere __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));

template <> struct Item<Pair> {
    using Number = float;
    using V = PairVector;
#ifdef TILES
    static constexpr int numbers = 2, block = TILE;
#else
    static constexpr int numbers = 2, block = 1;
#endif
};

inline PairVector load(const Pair* from) { return *reinterpret_cast<const PairAnywhere*>(from); }
inline void store(Pair* to, PairVector value) { *reinterpret_cast<PairAnywhere*>(to) = value; }

inline FloatVector added(FloatVector sum, PairVector column, Pair value) {
    return (FloatVector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)column, (__m512bh)_mm512_set1_epi32((int)value.both));
}

// 32 numbers that lie one after the other, to the nearest bfloat16, ties to even: 16 pairs.
inline PairVector neighbours(FloatVector first, FloatVector second) {
    return (PairVector)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}

// Pairs of a number of one row and the number of the next row below it.
inline PairVector above(FloatVector first, FloatVector second) {
    static const uint16_t order[32] = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return (PairVector)_mm512_permutexvar_epi16(_mm512_loadu_si512(order), (__m512i)neighbours(first, second));
}

// `items` pairs of a row of numbers; what is missing is zero.
inline void pair_row(const float* from, i64 count, i64 items, Pair* to) {
    constexpr int W = Simd<float>::width;
    i64 k = 0;
    for (; k + 2 * W <= count; k += 2 * W) store(to + k / 2, neighbours(load(from + k), load(from + k + W)));
    if (k < count) {
        const int left = (int)(count - k);
        const PairVector last = neighbours(left < W ? load_some(from + k, left) : load(from + k), left > W ? load_some(from + k + W, left - W) : FloatVector{});
        memcpy(to + k / 2, &last, sizeof(Pair) * ((left + 1) / 2));
    }
    for (k = (count + 1) / 2; k < items; k++) to[k] = Pair{0};
}
#else
constexpr bool HAS_HALF = false;
#endif

template <bool VALUE> struct Flag {
    static constexpr bool value = VALUE;
    constexpr operator bool() const { return VALUE; }
};
using True = Flag<true>;
using False = Flag<false>;

constexpr i64 STRIP = 16;  // columns of a transposed left side that are packed together, whatever the vector's width

// How many rows a tile may have beside NV vectors of columns, so that it stays in registers with a vector of b and one of a.
template <int NV> constexpr int tile_rows() {
    return REGISTERS >= 32 ? (NV == 1 ? 12 : NV <= 3 ? 8 : 4) : (NV == 1 ? 8 : NV == 2 ? 4 : NV == 3 ? 4 : 2);
}

constexpr int PANEL = REGISTERS >= 32 ? 2 : 3;  // NV of products outside of time loops: 8 x 2 (AVX-512), 4 x 3 (AVX2) tiles

// K items. STEP 0: row r of a is a[r]. STEP > 0: a packed strip, item (r, k) at strip[k * STEP + r].
template <class I, int MR, int NV, int STEP>
inline void tile(i64 K, const I* const* a, const I* strip, const I* b, typename Item<I>::Number* out, i64 stride, bool add) {
    using V = typename Simd<typename Item<I>::Number>::V;
    constexpr int W = Simd<typename Item<I>::Number>::width;
    V sums[MR][NV];
    const I* rows[MR];
    for (int r = 0; r < MR; r++) {
        rows[r] = STEP ? nullptr : a[r];
        for (int v = 0; v < NV; v++) sums[r][v] = add ? load(out + r * stride + v * W) : V{};
    }
    for (i64 k = 0; k < K; k++, b += NV * W, strip += STEP) {
        typename Item<I>::V column[NV];
        for (int v = 0; v < NV; v++) column[v] = load(b + v * W);
        for (int r = 0; r < MR; r++) {
            const I value = STEP ? strip[r] : rows[r][k];
            for (int v = 0; v < NV; v++) sums[r][v] = added(sums[r][v], column[v], value);
        }
    }
    for (int r = 0; r < MR; r++)
        for (int v = 0; v < NV; v++) store(out + r * stride + v * W, sums[r][v]);
}

// `rows` rows, at most tile_rows<NV>().
template <class I, int NV>
__attribute__((noinline)) void tile_of(int rows, i64 K, const I* const* a, const I* b, typename Item<I>::Number* out, i64 stride, bool add) {
    switch (rows) {
#define CASE(MR) \
    case MR: \
        if constexpr (MR <= tile_rows<NV>()) tile<I, MR, NV, 0>(K, a, nullptr, b, out, stride, add); \
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

// Items that hold so many numbers, in whole blocks.
template <class I> inline i64 items_of(i64 numbers) {
    constexpr i64 block = (i64)Item<I>::numbers * Item<I>::block;
    return (numbers + block - 1) / block * Item<I>::block;
}

// Rows that are multiplied with a panel of NV vectors at once, at most; and how many of `left` rows are next.
template <class I, int NV> constexpr int MOST_ROWS = Item<I>::block > 1 ? 2 * Item<I>::block : tile_rows<NV>();

template <class I, int NV> inline int next_rows(i64 left) { return Item<I>::block > 1 ? (int)min_of(left, MOST_ROWS<I, NV>) : next_tile<NV>(left); }

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

#ifdef HALF
inline void pack_vector_of_rows(const float* from, i64 stride, i64 count, i64 K, Pair* to, i64 step) {
    constexpr i64 AT_ONCE = 128;
    constexpr int W = Simd<float>::width;
    Pair row[AT_ONCE];
    for (i64 begin = 0; begin < items_of<Pair>(K); begin += AT_ONCE) {
        const i64 end = min_of(items_of<Pair>(K), begin + AT_ONCE);
        for (int lane = 0; lane < W; lane++) {
            if (lane < count) {
                pair_row(from + lane * stride + 2 * begin, max_of(0, min_of(K - 2 * begin, 2 * AT_ONCE)), end - begin, row);
                for (i64 k = begin; k < end; k++) to[k * step + lane] = row[k - begin];
            } else {
                for (i64 k = begin; k < end; k++) to[k * step + lane] = Pair{0};
            }
        }
    }
}

inline void pack_vector_of_columns(const float* from, i64 stride, i64 count, i64 K, Pair* to, i64 step) {
    constexpr int W = Simd<float>::width;
    const auto row = [&](i64 k) { return k >= K || count <= 0 ? FloatVector{} : count < W ? load_some(from + k * stride, (int)count) : load(from + k * stride); };
    for (i64 k = 0; k < items_of<Pair>(K); k++) store(to + k * step, above(row(2 * k), row(2 * k + 1)));
}
#endif

// A right side of M x K times K x N: either (N, K) with its rows as columns, or (K, N) as it is.
template <class I> struct Right {
    using Kind = I;
    using T = typename Item<I>::Number;
    const T* values;
    i64 stride, K, N;
    bool rows_are_columns;

    static constexpr i64 lanes = PANEL * Simd<T>::width;
    i64 panels() const { return (N + lanes - 1) / lanes; }
    i64 items() const { return items_of<I>(K); }
    i64 packed_size() const { return panels() * lanes * items(); }

    void pack(i64 panel, I* to) const {
        constexpr int W = Simd<T>::width;
        for (int v = 0; v < PANEL; v++) {
            const i64 n = panel * lanes + v * W, count = max_of(0, min_of(W, N - n));
            if (rows_are_columns) pack_vector_of_rows(values + n * stride, stride, count, K, to + v * W, lanes);
            else pack_vector_of_columns(values + n, stride, count, K, to + v * W, lanes);
        }
    }
};

constexpr i64 ROWS_AT_ONCE = 96;   // rows of a that are multiplied with one panel after the other while they stay in L2
constexpr i64 DEPTH = 512;         // items of k of one pass: a panel of it is 64 KiB
constexpr i64 STEPS_AT_ONCE = 256; // items of k of one pass of a transposed left side, which is packed

// Copies a tile's columns that exist, adding to what stands there or to the bias.
template <class T> inline void emit(const T* tile_values, i64 lanes, int rows, T* out, i64 stride, i64 count) {
    for (int r = 0; r < rows; r++) memcpy(out + r * stride, tile_values + r * lanes, sizeof(T) * count);
}

// What must be there while items are multiplied: nothing, or a thread's tiles.
template <class I> inline auto ready_for() {
#ifdef TILES
    if constexpr (Item<I>::block > 1) return Tiles();
    else return 0;
#else
    return 0;
#endif
}

// In tiles: `rows` rows of a, at most two tiles, times a panel of NV vectors. As many rows of out are written as the tiles have.
template <class I, int NV> inline void multiply_panel(int rows, i64 depth, const I* a, i64 a_stride, const I* panel, float* out, i64 stride, bool add) {
#ifdef TILES
    const auto* left = reinterpret_cast<const uint32_t*>(a);
    const auto* right = reinterpret_cast<const uint32_t*>(panel);
    const auto columns = [&](auto wide, int v) {
        constexpr int WIDE = decltype(wide)::value ? 2 : 1;
        if (rows > TILE) multiply_tiles<2, WIDE>(depth, left, a_stride, right + v * TILE, NV * TILE, out + v * TILE, stride, add);
        else multiply_tiles<1, WIDE>(depth, left, a_stride, right + v * TILE, NV * TILE, out + v * TILE, stride, add);
    };
    for (int v = 0; v + 1 < NV; v += 2) columns(True{}, v);
    if (NV % 2) columns(False{}, NV - 1);
#endif
}

// `rows` rows of a, at most MOST_ROWS<I, PANEL>, times a panel. In tiles, as many rows of out are written as the tiles have.
template <class I, class T> inline void multiply_rows(int rows, i64 depth, const I* a, i64 a_stride, const I* panel, T* out, i64 stride, bool add) {
    if constexpr (Item<I>::block > 1) {
        static_assert(ROWS_AT_ONCE % MOST_ROWS<I, PANEL> == 0, "rows are made of whole tiles");
        multiply_panel<I, PANEL>(rows, depth, a, a_stride, panel, out, stride, add);
    } else {
        const I* row[MOST_ROWS<I, PANEL>];
        for (int r = 0; r < rows; r++) row[r] = a + r * a_stride;
        tile_of<I, PANEL>(rows, depth, row, panel, out, stride, add);
    }
}

// Items of the rows of a that are multiplied at once, where these are not numbers.
constexpr i64 LEFT_SPACE = ROWS_AT_ONCE * DEPTH;

// out (M, N) rows [m0, m1), panels [p0, p1) = a (M, K) * packed (+ bias in every row). `space` holds LEFT_SPACE pairs.
template <class I, class T>
void multiply(const T* a, i64 a_stride, const I* packed, const Right<I>& b, const T* bias, T* out, i64 stride, i64 m0, i64 m1, i64 p0, i64 p1, I* space) {
    constexpr i64 lanes = Right<I>::lanes;
    constexpr int most = MOST_ROWS<I, PANEL>;
    alignas(64) T edge[most * lanes];
    [[maybe_unused]] const auto tiles = ready_for<I>();
    for (i64 k0 = 0; k0 < max_of(1, b.items()); k0 += DEPTH) {
        const i64 depth = min_of(DEPTH, b.items() - k0);
        for (i64 begin = m0; begin < m1; begin += ROWS_AT_ONCE) {
            const i64 end = min_of(m1, begin + ROWS_AT_ONCE);
            if constexpr (Item<I>::numbers == 2)
                for (i64 m = begin; m < end; m++) pair_row(a + m * a_stride + 2 * k0, min_of(b.K - 2 * k0, 2 * depth), depth, space + (m - begin) * DEPTH);
            for (i64 p = p0; p < p1; p++) {
                const I* panel = packed + p * lanes * b.items() + k0 * lanes;
                const i64 n = p * lanes, count = min_of(lanes, b.N - n);
                for (i64 m = begin; m < end;) {
                    const int rows = next_rows<I, PANEL>(end - m);
                    const bool whole = count == lanes && rows % Item<I>::block == 0;
                    T* to = whole ? out + m * stride + n : edge;
                    const i64 to_stride = whole ? stride : lanes;
                    if (k0 == 0 && bias)
                        for (int r = 0; r < rows; r++) memcpy(to + r * to_stride, bias + n, sizeof(T) * count);
                    else if (k0 && !whole)
                        for (int r = 0; r < rows; r++) memcpy(edge + r * lanes, out + (m + r) * stride + n, sizeof(T) * count);
                    if constexpr (Item<I>::numbers == 2) multiply_rows<I>(rows, depth, space + (m - begin) * DEPTH, DEPTH, panel, to, to_stride, k0 || bias);
                    else multiply_rows<I>(rows, depth, a + m * a_stride + k0, a_stride, panel, to, to_stride, k0 || bias);
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
// m0 is a multiple of STRIP. `space` holds gradient_space(N) items.
template <class I> i64 gradient_space(i64 N) {
    constexpr i64 lanes = Right<I>::lanes;
    return STEPS_AT_ONCE * ((N + lanes - 1) / lanes * lanes + 8 * STRIP);
}

template <class I, class T>
void multiply_transposed(const T* left, i64 left_stride, const Rows<T>& right, i64 K, i64 N, T* out, i64 stride, T* sums, i64 m0, i64 m1, I* space) {
    using V = typename Simd<T>::V;
    constexpr int W = Simd<T>::width;
    constexpr i64 lanes = Right<I>::lanes, together = Item<I>::numbers;
    constexpr bool in_tiles = Item<I>::block > 1;
    constexpr int most = in_tiles ? MOST_ROWS<I, PANEL> : tile_rows<PANEL>() < STRIP ? tile_rows<PANEL>() : STRIP;
    static_assert(in_tiles ? 8 * STRIP % most == 0 : STRIP % most == 0, "tiles must fill a strip, or strips a tile");
    [[maybe_unused]] const auto tiles = ready_for<I>();
    const i64 panels = (N + lanes - 1) / lanes;
    I* strips = space + STEPS_AT_ONCE * panels * lanes;
    alignas(64) T edge[most * lanes];
    const auto some = [](const T* from, i64 count) { return count >= W ? load(from) : count > 0 ? load_some(from, (int)count) : V{}; };
    const auto of_right = [&](i64 k, i64 n) {
        if (together == 2 && k >= K) return V{};
        const V value = some(right.row(k) + n, N - n);
        return right.masks ? value * some(right.masks[k] + n, N - n) : value;
    };
    const auto put = [](I* to, V first, auto next) {
        if constexpr (together == 2) store(to, above(first, next()));
        else store(to, first);
    };
    if (sums) memset(sums + m0, 0, sizeof(T) * (m1 - m0));
    const i64 items = items_of<I>(K);
    for (i64 k0 = 0; k0 < max_of(1, items); k0 += STEPS_AT_ONCE) {
        const i64 depth = min_of(STEPS_AT_ONCE, items - k0);
        for (i64 k = 0; k < depth; k++)
            for (i64 n = 0; n < panels * lanes; n += W) {
                const i64 row = (k0 + k) * together;
                put(space + (n / lanes) * lanes * STEPS_AT_ONCE + k * lanes + n % lanes, of_right(row, n), [&] { return of_right(row + 1, n); });
            }
        for (i64 begin = m0; begin < m1; begin += 8 * STRIP) {
            const i64 end = min_of(m1, begin + 8 * STRIP);
            for (i64 m = begin; m < end; m += STRIP) {
                I* strip = strips + (m - begin) * STEPS_AT_ONCE;
                const i64 count = min_of(STRIP, m1 - m);
                const auto packed = [&](auto whole) {
                    V total[STRIP / W] = {};
                    const auto of_left = [&](i64 row, int v) {
                        if (together == 2 && row >= K) return V{};
                        const T* from = left + row * left_stride + m + v * W;
                        const V value = whole ? load(from) : some(from, count - v * W);
                        total[v] += value;
                        return value;
                    };
                    // A tile's rows are of one m each, so that a block of a strip is turned.
                    alignas(64) I block[in_tiles ? STRIP * STRIP : 1];
                    for (i64 k = 0; k < depth; k++)
                        for (int v = 0; v < STRIP / W; v++) {
                            const i64 row = (k0 + k) * together;
                            I* to = in_tiles ? block + k % STRIP * STRIP : strip + k * STRIP + v * W;
                            put(to, of_left(row, v), [&] { return of_left(row + 1, v); });
#ifdef TILES
                            if constexpr (in_tiles)
                                if (k % STRIP == STRIP - 1)
                                    transpose_tile(reinterpret_cast<const uint32_t*>(block), reinterpret_cast<uint32_t*>(strip + k + 1 - STRIP), STEPS_AT_ONCE);
#endif
                        }
                    for (int v = 0; sums && v < STRIP / W; v++) {
                        T* to = sums + m + v * W;
                        const i64 there = count - v * W;
                        if (there >= W) store(to, load(to) + total[v]);
                        else if (there > 0) store_some(to, some(to, there) + total[v], (int)there);
                    }
                };
                if (count == STRIP) packed(True{});
                else packed(False{});
            }
            for (i64 p = 0; p < panels; p++) {
                const I* panel = space + p * lanes * STEPS_AT_ONCE;
                const i64 n = p * lanes, count = min_of(lanes, N - n);
                for (i64 m = begin; m < end; m += most) {
                    const I* strip = strips + (m - begin) / STRIP * STRIP * STEPS_AT_ONCE + (m - begin) % STRIP;
                    const i64 rows = min_of(most, end - m);
                    const bool whole = count == lanes && (in_tiles ? rows % STRIP == 0 : rows == most);
                    T* to = whole ? out + m * stride + n : edge;
                    if (!whole && k0)
                        for (i64 r = 0; r < rows; r++) memcpy(edge + r * lanes, out + (m + r) * stride + n, sizeof(T) * count);
                    if constexpr (in_tiles) multiply_rows<I>((int)rows, depth, strip, STEPS_AT_ONCE, panel, to, whole ? stride : lanes, k0 != 0);
                    else tile<I, most, PANEL, STRIP>(depth, nullptr, strip, panel, to, whole ? stride : lanes, k0 != 0);
                    if (!whole) emit(edge, lanes, (int)rows, out + m * stride + n, stride, count);
                }
            }
        }
    }
}

}  // namespace
