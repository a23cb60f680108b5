// The time loop: one for all cells, forward and backward, over the real steps of a ragged batch.
//
// Sequences are dealt to teams of threads, longest first, and each team runs its own loop; at each step a team multiplies the
// sequences still alive, so no padded step exists. A team of several threads (few sequences, streaming) shares the units of each
// step and waits for its members after it. The order of every sum is the same in all cases.
//
// Where pairs of bfloat16 are asked for, the weights of the step and the rows that it multiplies are rounded; states stay as they are.
#pragma once

#include "cells.h"
#include "product.h"
#include "threads.h"

namespace {

using ostinato::Barrier;

// Where part `number` of `of` parts of so many begins.
inline i64 part(i64 count, i64 number, i64 of) { return count * number / of; }

// A part of a workspace; with a null base it only counts.
struct Space {
    char* base;
    i64 used = 0;

    template <class T> T* take(i64 count) {
        const i64 begin = used;
        used += (count * (i64)sizeof(T) + 63) / 64 * 64;
        return base ? reinterpret_cast<T*>(base + begin) : nullptr;
    }
};

// What `take` makes anew for each of the threads, one after the other in the workspace; that of `thread` is returned.
template <class Take> auto own_of(i64 threads, i64 thread, Take&& take) {
    auto mine = take();
    for (i64 k = 1; k < threads; k++) {
        const auto next = take();
        if (k == thread) mine = next;
    }
    return mine;
}

template <class T, class C> struct Recurrence {
    using V = typename Simd<T>::V;
    static constexpr int W = Simd<T>::width;
    static constexpr int FORWARD = C::PRODUCTS * C::UNITS;  // vectors of a panel of the forward product
    static constexpr int PLAIN = 4;                         // ... of the late gate's, and of both backward products
    static constexpr i64 SPLIT_FROM = 1 << 16;              // weights of a step from which it pays to share one step

    const OstinatoScan& scan;
    const OstinatoGradients* gradients;
    i64 B, N, H, G;
    bool in_pairs;
    const void *early, *late;  // packed weights of the step's product and of the late gate's

    Recurrence(const OstinatoScan& one, const OstinatoGradients* d, bool pairs = false)
        : scan(one), gradients(d), B(one.B), N(one.N), H(one.H), G(C::GATES), in_pairs(pairs), early(nullptr), late(nullptr) {}

    // `body(item)` with an item of the kind that the step multiplies.
    template <class Body> void in_items(Body&& body) const {
        if constexpr (HAS_HALF && sizeof(T) == sizeof(float))
            if (in_pairs) return body(Pair{});
        body(T{});
    }

    i64 items(i64 numbers) const {
        i64 count = 0;
        in_items([&](auto item) { count = items_of<decltype(item)>(numbers); });
        return count;
    }

    static i64 ceil_of(i64 a, i64 b) { return (a + b - 1) / b; }
    i64 forward_panels() const { return ceil_of(H, C::UNITS * W); }
    i64 plain_panels() const { return ceil_of(H, PLAIN * W); }

    // In items of the step; a pair is as large as a float.
    i64 early_size() const { return gradients ? plain_panels() * PLAIN * W * depth() : forward_panels() * FORWARD * W * items(H); }
    i64 late_size() const { return C::LATE ? plain_panels() * PLAIN * W * items(H) : 0; }
    // Items of k of the backward product: the gates that multiply h, and the one that has a product of its own.
    i64 depth() const { return items(C::SEEN * H) + (C::EXTRA_PRODUCT ? items(H) : 0); }

    i64 early_panels() const { return gradients ? plain_panels() : forward_panels(); }
    i64 num_panels() const { return early_panels() + (C::LATE ? plain_panels() : 0); }

    // Packs one of the panels of all weights.
    void pack(i64 panel, T* early_to, T* late_to) const {
        in_items([&](auto item) {
            using I = decltype(item);
            pack_items(panel, reinterpret_cast<I*>(early_to), reinterpret_cast<I*>(late_to));
        });
    }

    template <class I> void pack_items(i64 panel, I* early_to, I* late_to) const {
        const T* weight = static_cast<const T*>(scan.weight_h);
        if (panel < early_panels() && !gradients) {
            I* to = early_to + panel * FORWARD * W * items(H);
            for (int u = 0; u < C::UNITS; u++)
                for (int g = 0; g < C::PRODUCTS; g++) {
                    const i64 j = (panel * C::UNITS + u) * W;
                    pack_vector_of_rows(weight + (g * H + j) * H, H, max_of(0, min_of(W, H - j)), H, to + (u * C::PRODUCTS + g) * W, FORWARD * W);
                }
        } else if (panel < early_panels()) {
            I* to = early_to + panel * PLAIN * W * depth();
            pack_plain(weight, panel, C::SEEN * H, true, to);
            if (C::EXTRA_PRODUCT) pack_plain(weight + C::SEEN * H * H, panel, H, true, to + items(C::SEEN * H) * PLAIN * W);
        } else {
            panel -= early_panels();
            pack_plain(weight + C::PRODUCTS * H * H, panel, H, gradients, late_to + panel * PLAIN * W * items(H));
        }
    }

    template <class I> void pack_plain(const T* weight, i64 panel, i64 K, bool columns, I* to) const {
        for (int u = 0; u < PLAIN; u++) {
            const i64 j = (panel * PLAIN + u) * W, count = max_of(0, min_of(W, H - j));
            if (columns) pack_vector_of_columns(weight + j, H, count, K, to + u * W, PLAIN * W);
            else pack_vector_of_rows(weight + j * H, H, count, H, to + u * W, PLAIN * W);
        }
    }

    // What a thread works on: some sequences, longest first, and its share of their units.
    struct Share {
        const i64* sequences;
        i64 num_sequences, member, members;
        Barrier* barrier;
    };

    static void teams_of(i64 threads, i64 B, i64 weights, i64* teams, i64* members) {
        *teams = min_of(threads, B), *members = 1;
        const i64 fewer = max_of(1, min_of(threads, B / 2));
        if (weights >= SPLIT_FROM && threads / fewer > 1) *teams = fewer, *members = threads / fewer;
    }

    i64 length(i64 b) const { return scan.offsets[b + 1] - scan.offsets[b]; }
    // The packed place of the s-th step that is read.
    i64 place(i64 b, i64 s) const { return scan.reverse ? scan.offsets[b + 1] - 1 - s : scan.offsets[b] + s; }

    T* hidden_at(i64 n) const { return static_cast<T*>(scan.hidden) + n * scan.hidden_stride; }
    const T* start(const void* values, i64 b) const { return static_cast<const T*>(values) + b * H; }
    // Rows of c, in which all states beside h lie.
    i64 c_width() const { return C::NUM_C * H; }
    const T* c_row(const void* values, i64 number) const { return static_cast<const T*>(values) + number * c_width(); }
    T* c_row(void* values, i64 number) const { return static_cast<T*>(values) + number * c_width(); }
    T* extra_at(i64 n) const { return static_cast<T*>(scan.extra) + n * (C::NUM_C ? c_width() : H); }

    // Rows of one thread: for a team of one, all in the thread's own space. masked and late are the team's.
    i64 team_space(i64 sequences) const {
        return ((scan.mask ? 2 : 0) + (C::LATE ? 1 : 0)) * sequences * H;
    }

    static constexpr int MOST = 32;  // rows of a tile, at most
    struct Pointers {
        Row<T>* rows;
        const T** left;
        const T** more;
        Pair *left_pairs, *more_pairs;  // the same rows, rounded, in whole tiles
    };
    Pointers pointers(Space* space, i64 sequences) const {
        const i64 most = in_pairs ? (sequences + MOST - 1) / MOST * MOST : 0;
        const i64 widest = max_of(items(H), items(C::SEEN * H));
        return {space->take<Row<T>>(sequences), space->take<const T*>(sequences), space->take<const T*>(sequences), space->take<Pair>(most * widest),
                space->take<Pair>(C::EXTRA_PRODUCT ? most * items(H) : 0)};
    }

    // K numbers of each of the first `count` rows as they are multiplied.
    template <class I> static void ready_rows(const T* const* rows, i64 count, i64 K, Pair* pairs) {
        if constexpr (Item<I>::numbers == 2)
            for (i64 i = 0; i < count; i++) pair_row(rows[i], K, items_of<I>(K), pairs + i * items_of<I>(K));
    }

    // `count` rows from i on, K numbers each, times a panel.
    template <class I, int NV> static void step_product(i64 i, int count, i64 K, const T* const* rows, const Pair* pairs, const I* panel, T* out, bool add) {
        const i64 depth = items_of<I>(K);
        if constexpr (Item<I>::numbers == 1) {
            tile_of<I, NV>(count, depth, rows + i, panel, out, NV * W, add);
        } else if constexpr (Item<I>::block == 1) {
            const I* left[tile_rows<NV>()];
            for (int r = 0; r < count; r++) left[r] = pairs + (i + r) * depth;
            tile_of<I, NV>(count, depth, left, panel, out, NV * W, add);
        } else {
            multiply_panel<I, NV>(count, depth, pairs + i * depth, depth, panel, out, NV * W, add);
        }
    }

    template <class F> void each_unit(i64 j, F&& done) const {
        if (j + W <= H) done(At<true>{j, H, W});
        else if (j < H) done(At<false>{j, H, (int)(H - j)});
    }

    // ---- forward

    void forward(const Share& share, const Pointers& at, T* team) const {
        if (share.num_sequences)
            in_items([&](auto item) { forward_items<decltype(item)>(share, at, team); });
    }

    template <class I> void forward_items(const Share& share, const Pointers& at, T* team) const {
        const i64 num = share.num_sequences;
        const I *early_items = static_cast<const I*>(early), *late_items = static_cast<const I*>(late);
        [[maybe_unused]] const auto tiles = ready_for<I>();
        T* masked = team;
        T* late_rows = team + (scan.mask ? 2 : 0) * num * H;
        const T* peepholes = static_cast<const T*>(scan.peepholes);
        const T* bias_n = static_cast<const T*>(scan.bias_n);
        const i64 p0 = forward_panels() * share.member / share.members, p1 = forward_panels() * (share.member + 1) / share.members;
        const i64 l0 = plain_panels() * share.member / share.members, l1 = plain_panels() * (share.member + 1) / share.members;
        if (share.member == 0)
            for (i64 i = 0; i < num; i++) {
                const i64 b = share.sequences[i];
                if (C::NUM_C && !scan.extra) memcpy(c_row(scan.last_c, b), c_row(scan.start_c, b), sizeof(T) * c_width());
                if (scan.mask)
                    for (i64 j = 0; j < H; j++) masked[i * H + j] = start(scan.start_h, b)[j] * start(scan.mask, b)[j];
            }
        wait(share.barrier, (int)share.members);
        alignas(64) T products[MOST * FORWARD * W];
        alignas(64) T late_products[MOST * PLAIN * W];
        i64 alive = num;
        for (i64 s = 0; alive; s++) {
            while (alive && length(share.sequences[alive - 1]) <= s) alive--;
            for (i64 i = 0; i < alive; i++) {
                const i64 b = share.sequences[i], n = place(b, s), last = s ? place(b, s - 1) : 0;
                Row<T>& row = at.rows[i];
                row.gates = static_cast<T*>(scan.gates) + n * G * H;
                row.hidden = hidden_at(n);
                row.before = s ? hidden_at(last) : start(scan.start_h, b);
                row.extra = scan.extra ? extra_at(n) : nullptr;
                if (C::NUM_C) {
                    row.c = scan.extra ? row.extra : c_row(scan.last_c, b);
                    row.c_before = !scan.extra ? row.c : s ? extra_at(last) : c_row(scan.start_c, b);
                }
                row.mask = scan.mask ? start(scan.mask, b) : nullptr;
                row.masked = scan.mask ? masked + (((s + 1) & 1) * num + i) * H : nullptr;
                row.late = C::LATE ? late_rows + i * H : nullptr;
                at.left[i] = scan.mask ? masked + ((s & 1) * num + i) * H : row.before;
            }
            ready_rows<I>(at.left, alive, H, at.left_pairs);
            for (i64 p = p0; p < p1; p++)
                for (i64 i = 0; i < alive;) {
                    const int rows = next_rows<I, FORWARD>(alive - i);
                    step_product<I, FORWARD>(i, rows, H, at.left, at.left_pairs, early_items + p * FORWARD * W * items_of<I>(H), products, false);
                    for (int r = 0; r < rows; r++)
                        for (int u = 0; u < C::UNITS; u++)
                            each_unit((p * C::UNITS + u) * W, [&](auto here) {
                                const V* product = reinterpret_cast<const V*>(products) + r * FORWARD + u * C::PRODUCTS;
                                C::forward(at.rows[i + r], here, product, peepholes, bias_n);
                                if (!C::LATE) keep_masked(at.rows[i + r], here);
                            });
                    i += rows;
                }
            wait(share.barrier, (int)share.members);
            if constexpr (C::LATE) {
                for (i64 i = 0; i < alive; i++) at.left[i] = at.rows[i].late;
                ready_rows<I>(at.left, alive, H, at.left_pairs);
                for (i64 p = l0; p < l1; p++)
                    for (i64 i = 0; i < alive;) {
                        const int rows = next_rows<I, PLAIN>(alive - i);
                        step_product<I, PLAIN>(i, rows, H, at.left, at.left_pairs, late_items + p * PLAIN * W * items_of<I>(H), late_products, false);
                        for (int r = 0; r < rows; r++)
                            for (int u = 0; u < PLAIN; u++)
                                each_unit((p * PLAIN + u) * W, [&](auto here) {
                                    C::forward_late(at.rows[i + r], here, reinterpret_cast<const V*>(late_products)[r * PLAIN + u]);
                                    keep_masked(at.rows[i + r], here);
                                });
                        i += rows;
                    }
                wait(share.barrier, (int)share.members);
            }
        }
        if (share.member) return;
        for (i64 i = 0; i < num; i++) {
            const i64 b = share.sequences[i], steps = length(b);
            const i64 last = steps ? place(b, steps - 1) : 0;
            memcpy(start_of(scan.last_h, b), steps ? hidden_at(last) : start(scan.start_h, b), sizeof(T) * H);
            if (C::NUM_C && scan.extra) memcpy(c_row(scan.last_c, b), steps ? extra_at(last) : c_row(scan.start_c, b), sizeof(T) * c_width());
        }
    }

    T* start_of(void* values, i64 b) const { return static_cast<T*>(values) + b * H; }

    template <class A> static void keep_masked(const Row<T>& row, A here) {
        if (row.masked) here.write(row.masked, here.read(row.hidden) * here.read(row.mask));
    }

    // ---- backward

    void backward(const Share& share, const Pointers& at) const {
        if (share.num_sequences)
            in_items([&](auto item) { backward_items<decltype(item)>(share, at); });
    }

    template <class I> void backward_items(const Share& share, const Pointers& at) const {
        const OstinatoGradients& d = *gradients;
        const i64 num = share.num_sequences;
        const I* early_items = static_cast<const I*>(early);
        [[maybe_unused]] const I* late_items = static_cast<const I*>(late);
        [[maybe_unused]] const auto tiles = ready_for<I>();
        const T* peepholes = static_cast<const T*>(scan.peepholes);
        const T* d_hidden = static_cast<const T*>(d.d_hidden);
        const i64 p0 = plain_panels() * share.member / share.members, p1 = plain_panels() * (share.member + 1) / share.members;
        if (share.member == 0)
            for (i64 i = 0; i < num; i++) {
                const i64 b = share.sequences[i];
                take_or_clear(start_of(d.d_start_h, b), d.d_last_h ? start(d.d_last_h, b) : nullptr, H);
                if (C::NUM_C) take_or_clear(c_row(d.d_start_c, b), d.d_last_c ? c_row(d.d_last_c, b) : nullptr, c_width());
            }
        wait(share.barrier, (int)share.members);
        alignas(64) T products[MOST * PLAIN * W];
        const i64 seen = C::SEEN * H;
        i64 alive = 0, after = 0;  // sequences that have this step, and those that have the next one read
        for (i64 s = length(share.sequences[0]) - 1; s >= -1; s--) {
            after = alive;
            if (s >= 0)
                while (alive < num && length(share.sequences[alive]) > s) alive++;
            else
                alive = after;  // what reaches the start state of those that have steps
            for (i64 i = 0; i < alive; i++) {
                const i64 b = share.sequences[i], n = s < 0 ? 0 : place(b, s), next = i < after ? place(b, s + 1) : 0;
                Row<T>& row = at.rows[i];
                if (i < after) {
                    at.left[i] = static_cast<T*>(d.d_gates) + next * G * H;
                    at.more[i] = C::EXTRA_PRODUCT ? static_cast<T*>(d.d_extra) + next * H : nullptr;
                }
                row.mask = scan.mask ? start(scan.mask, b) : nullptr;
                row.d_h = start_of(d.d_start_h, b);
                row.d_c = C::NUM_C ? c_row(d.d_start_c, b) : nullptr;
                if (s < 0) continue;
                row.gates = static_cast<T*>(scan.gates) + n * G * H;
                row.d_gates = static_cast<T*>(d.d_gates) + n * G * H;
                row.hidden = hidden_at(n);
                row.before = s ? hidden_at(place(b, s - 1)) : start(scan.start_h, b);
                row.extra = C::EXTRA ? extra_at(n) : nullptr;
                row.d_extra = C::EXTRA_PRODUCT ? static_cast<T*>(d.d_extra) + n * H : nullptr;
                row.c = row.extra;
                if (C::NUM_C) row.c_before = s ? extra_at(place(b, s - 1)) : c_row(scan.start_c, b);
                row.d_above = d_hidden ? d_hidden + n * d.d_hidden_stride : nullptr;
            }
            ready_rows<I>(at.left, after, seen, at.left_pairs);
            if (C::EXTRA_PRODUCT) ready_rows<I>(at.more, after, H, at.more_pairs);
            for (i64 p = p0; p < p1; p++) {
                const I* panel = early_items + p * PLAIN * W * depth();
                for (i64 i = 0; i < alive;) {
                    const i64 left = i < after ? after - i : alive - i;
                    const int rows = next_rows<I, PLAIN>(left);
                    if (i < after) {
                        step_product<I, PLAIN>(i, rows, seen, at.left, at.left_pairs, panel, products, false);
                        if (C::EXTRA_PRODUCT) step_product<I, PLAIN>(i, rows, H, at.more, at.more_pairs, panel + items_of<I>(seen) * PLAIN * W, products, true);
                    } else {
                        memset(products, 0, sizeof(T) * rows * PLAIN * W);
                    }
                    for (int r = 0; r < rows; r++)
                        for (int u = 0; u < PLAIN; u++)
                            each_unit((p * PLAIN + u) * W, [&](auto here) {
                                const Row<T>& row = at.rows[i + r];
                                V d_h = reinterpret_cast<const V*>(products)[r * PLAIN + u];
                                if (row.mask) d_h *= here.read(row.mask);
                                d_h += here.read(row.d_h);
                                if (s < 0) return here.write(row.d_h, d_h);
                                if (row.d_above) d_h += here.read(row.d_above);
                                C::backward(row, here, d_h, peepholes);
                            });
                    i += rows;
                }
            }
            wait(share.barrier, (int)share.members);
            if constexpr (C::LATE) {
                if (s < 0) break;
                for (i64 i = 0; i < alive; i++) at.left[i] = at.rows[i].d_gates + C::PRODUCTS * H;
                ready_rows<I>(at.left, alive, H, at.left_pairs);
                for (i64 p = p0; p < p1; p++)
                    for (i64 i = 0; i < alive;) {
                        const int rows = next_rows<I, PLAIN>(alive - i);
                        step_product<I, PLAIN>(i, rows, H, at.left, at.left_pairs, late_items + p * PLAIN * W * items_of<I>(H), products, false);
                        for (int r = 0; r < rows; r++)
                            for (int u = 0; u < PLAIN; u++)
                                each_unit((p * PLAIN + u) * W, [&](auto here) {
                                    V d_late = reinterpret_cast<const V*>(products)[r * PLAIN + u];
                                    if (at.rows[i + r].mask) d_late *= here.read(at.rows[i + r].mask);
                                    C::backward_late(at.rows[i + r], here, d_late);
                                });
                        i += rows;
                    }
                wait(share.barrier, (int)share.members);
            }
        }
    }

    static void take_or_clear(T* to, const T* from, i64 count) {
        if (from) memcpy(to, from, sizeof(T) * count);
        else memset(to, 0, sizeof(T) * count);
    }
};

}  // namespace
