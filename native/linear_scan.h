// A recurrence that is linear in its states, number by number, over a ragged batch.
//
//   h[t] = keep[t] * h[t-1] + add[t]
//
//   g[t] = dL / dh[t] + keep[t+1] * g[t+1]             of the states that come after, too
//   dL / dadd[t] = g[t];  dL / dkeep[t] = g[t] * h[t-1];  dL / dstart = keep[0] * g[0]
//
// Sequences and vectors of the width are shared by threads, so no sum depends on them.
#pragma once

#include "recurrence.h"

#include "table.h"

namespace {

template <class T> struct LinearScan {
    using V = typename Simd<T>::V;
    static constexpr i64 W = Simd<T>::width;
    static constexpr i64 WIDEST = 4;  // vectors of a row that are read one after the other, from memory that lies together

    const OstinatoLinearScan& scan;
    i64 B, H;

    explicit LinearScan(const OstinatoLinearScan& one) : scan(one), B(one.B), H(one.H) {}

    void run(bool backward, const ostinato::Team& team) const {
        const i64 strips = (H + WIDEST * W - 1) / (WIDEST * W);
        for (i64 task = part(B * strips, team.thread, team.threads); task < part(B * strips, team.thread + 1, team.threads); task++) {
            const i64 b = task / strips, j = task % strips * WIDEST * W;
            if (j + WIDEST * W <= H) strip<true>(backward, b, j, WIDEST * W);
            else strip<false>(backward, b, j, H - j);
        }
    }

    template <bool WHOLE> void strip(bool backward, i64 b, i64 j, i64 width) const {
        V carried[WIDEST];
        const i64 begin = scan.offsets[b], end = scan.offsets[b + 1];
        const auto row = [&](auto* values, i64 n) { return values + n * H + j; };
        const auto each = [&](auto&& done) {
            for (int v = 0; v < WIDEST; v++) {
                if (WHOLE || (v + 1) * W <= width) done(v, At<true>{v * W, H, (int)W});
                else if (v * W < width) done(v, At<false>{v * W, H, (int)(width - v * W)});
            }
        };
        const T *keep = static_cast<const T*>(scan.keep), *start = static_cast<const T*>(scan.start);
        if (!backward) {
            const T* add = static_cast<const T*>(scan.add);
            T* hidden = static_cast<T*>(scan.hidden);
            each([&](int v, auto at) { carried[v] = at.read(row(start, b)); });
            for (i64 n = begin; n < end; n++)
                each([&](int v, auto at) {
                    carried[v] = at.read(row(keep, n)) * carried[v] + at.read(row(add, n));
                    at.write(row(hidden, n), carried[v]);
                });
            return;
        }
        const T *hidden = static_cast<const T*>(scan.hidden), *d_hidden = static_cast<const T*>(scan.d_hidden);
        T *d_keep = static_cast<T*>(scan.d_keep), *d_add = static_cast<T*>(scan.d_add), *d_start = static_cast<T*>(scan.d_start);
        for (V& one : carried) one = V{};
        for (i64 n = end - 1; n >= begin; n--) {
            const T* before = n > begin ? row(hidden, n - 1) : row(start, b);
            each([&](int v, auto at) {
                const V g = carried[v] + at.read(row(d_hidden, n));
                at.write(row(d_add, n), g);
                at.write(row(d_keep, n), g * at.read(before));
                carried[v] = at.read(row(keep, n)) * g;
            });
        }
        each([&](int v, auto at) { at.write(row(d_start, b), carried[v]); });
    }
};

}  // namespace
