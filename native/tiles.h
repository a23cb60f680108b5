// Products of pairs in tiles, by AMX: one instruction multiplies 16 rows of 16 pairs with 16 pairs of 16 columns.
//
// A sum is made of blocks of 16 pairs: of a block the first numbers of the pairs and the second ones are summed apart, in order,
// in float32; what both give together is added to the sum of the blocks before.
#pragma once

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "simd.h"

#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC of its own undefined vectors

namespace {

constexpr int TILE = 16;  // rows of a tile, and numbers of 32 bits in a row

// Whether the machine has tiles and the system lets this process use them, which Linux wants to be asked.
inline bool tiles_are_allowed() {
    constexpr unsigned BF16 = 1u << 22, TILES_THERE = 1u << 24;
    constexpr long REQUEST = 0x1023, TILE_DATA = 18;
    unsigned a, b, c, d = 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & BF16) == 0 || (d & TILES_THERE) == 0) return false;
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

// This thread's tiles, from here to the end of the block.
struct Tiles {
    Tiles() {
        struct alignas(64) {
            uint8_t palette = 1, start_row = 0, reserved[14] = {};
            uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
            uint8_t rows[16] = {TILE, TILE, TILE, TILE, TILE, TILE, TILE, TILE};
        } shapes;
        _tile_loadconfig(&shapes);
    }
    ~Tiles() { _tile_release(); }
};

// TALL * 16 rows of a times WIDE * 16 columns of b, whose rows of pairs are b_stride apart; `depth` is a multiple of 16.
template <int TALL, int WIDE> inline void multiply_tiles(i64 depth, const uint32_t* a, i64 a_stride, const uint32_t* b, i64 b_stride, float* out, i64 stride, bool add) {
    constexpr i64 BYTES = 4;
    float* below = out + TILE * stride;
    if (add) {
        _tile_loadd(0, out, stride * BYTES);
        if (WIDE == 2) _tile_loadd(1, out + TILE, stride * BYTES);
        if (TALL == 2) _tile_loadd(2, below, stride * BYTES);
        if (TALL == 2 && WIDE == 2) _tile_loadd(3, below + TILE, stride * BYTES);
    } else {
        _tile_zero(0);
        if (WIDE == 2) _tile_zero(1);
        if (TALL == 2) _tile_zero(2);
        if (TALL == 2 && WIDE == 2) _tile_zero(3);
    }
    for (i64 k = 0; k < depth; k += TILE) {
        _tile_loadd(4, a + k, a_stride * BYTES);
        _tile_loadd(6, b + k * b_stride, b_stride * BYTES);
        _tile_dpbf16ps(0, 4, 6);
        if (WIDE == 2) {
            _tile_loadd(7, b + k * b_stride + TILE, b_stride * BYTES);
            _tile_dpbf16ps(1, 4, 7);
        }
        if (TALL == 2) {
            _tile_loadd(5, a + TILE * a_stride + k, a_stride * BYTES);
            _tile_dpbf16ps(2, 5, 6);
            if (WIDE == 2) _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, out, stride * BYTES);
    if (WIDE == 2) _tile_stored(1, out + TILE, stride * BYTES);
    if (TALL == 2) _tile_stored(2, below, stride * BYTES);
    if (TALL == 2 && WIDE == 2) _tile_stored(3, below + TILE, stride * BYTES);
}

// to[column * stride + row] = from[row * 16 + column], 16 x 16.
inline void transpose_tile(const uint32_t* from, uint32_t* to, i64 stride) {
    __m512i r[16], t[16];
    for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(from + 16 * i);
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    constexpr int EVEN = 0x88, ODD = 0xdd;
    for (int c = 0; c < 4; c++) {
        const __m512i even[2] = {_mm512_shuffle_i32x4(r[c], r[4 + c], EVEN), _mm512_shuffle_i32x4(r[8 + c], r[12 + c], EVEN)};
        const __m512i odd[2] = {_mm512_shuffle_i32x4(r[c], r[4 + c], ODD), _mm512_shuffle_i32x4(r[8 + c], r[12 + c], ODD)};
        _mm512_storeu_si512(to + c * stride, _mm512_shuffle_i32x4(even[0], even[1], EVEN));
        _mm512_storeu_si512(to + (4 + c) * stride, _mm512_shuffle_i32x4(odd[0], odd[1], EVEN));
        _mm512_storeu_si512(to + (8 + c) * stride, _mm512_shuffle_i32x4(even[0], even[1], ODD));
        _mm512_storeu_si512(to + (12 + c) * stride, _mm512_shuffle_i32x4(odd[0], odd[1], ODD));
    }
}

}  // namespace
