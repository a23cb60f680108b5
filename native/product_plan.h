// How a team of threads makes a product: what memory it shares, who packs and who multiplies what.
#pragma once

#include "recurrence.h"
#include "table.h"

namespace {

using ostinato::Team;

template <class T> struct Multiplication {
    Right<T> right;
    char *packed, *own;
    bool ready, half;

    // `body(right)` with the right side in the items that are multiplied: numbers, or pairs of bfloat16.
    template <class Body> auto in_items(Body&& body) const {
        if constexpr (HAS_HALF && sizeof(T) == sizeof(float))
            if (half) return body(Right<Pair>{right.values, right.stride, right.K, right.N, right.rows_are_columns});
        return body(right);
    }
};

template <class T> Multiplication<T> plan_product(const OstinatoProduct& one, Space* space, i64 threads, i64 thread) {
    Multiplication<T> plan{{static_cast<const T*>(one.right), one.right_stride, one.K, one.N, one.kind == 0}, nullptr, nullptr, false, one.half != 0};
    const auto own = [&](i64 bytes) { return own_of(threads, thread, [&] { return space->take<char>(bytes); }); };
    plan.in_items([&](auto right) {
        using I = typename decltype(right)::Kind;
        if (one.kind == 2) {
            plan.own = own(gradient_space<I>(one.N) * (i64)sizeof(I));
        } else {
            const i64 bytes = right.packed_size() * (i64)sizeof(I);
            plan.packed = one.packed ? static_cast<char*>(one.packed) : space->take<char>(bytes);
            plan.ready = one.packed && one.packed_ready;
            if (Item<I>::numbers > 1) plan.own = own(LEFT_SPACE * (i64)sizeof(I));
        }
    });
    return plan;
}

// This thread's share of packing; wait for all before `run_product`.
template <class T> void pack_product(const Multiplication<T>& plan, const Team& team) {
    if (!plan.packed || plan.ready) return;
    plan.in_items([&](auto right) {
        using I = typename decltype(right)::Kind;
        I* packed = reinterpret_cast<I*>(plan.packed);
        for (i64 p = team.thread; p < right.panels(); p += team.threads) right.pack(p, packed + p * right.lanes * right.items());
    });
}

template <class T> void run_product(const OstinatoProduct& one, const Multiplication<T>& plan, const Team& team, const Rows<T>* rows = nullptr) {
    const T* left = static_cast<const T*>(one.left);
    T* out = static_cast<T*>(one.out);
    plan.in_items([&](auto right) {
        using I = typename decltype(right)::Kind;
        I* own = reinterpret_cast<I*>(plan.own);
        if (one.kind == 2) {
            const Rows<T> given{static_cast<const T*>(one.right), one.right_stride, nullptr, nullptr};
            const i64 strips = (one.M + STRIP - 1) / STRIP;
            const i64 m0 = part(strips, team.thread, team.threads) * STRIP, m1 = min_of(one.M, part(strips, team.thread + 1, team.threads) * STRIP);
            if (m0 < m1) multiply_transposed(left, one.left_stride, rows ? *rows : given, one.K, one.N, out, one.out_stride, static_cast<T*>(one.sums), m0, m1, own);
            return;
        }
        const i64 panels = right.panels();
        const bool by_rows = one.M >= 16 * team.threads || panels < team.threads;
        const i64 m0 = by_rows ? part(one.M, team.thread, team.threads) : 0, m1 = by_rows ? part(one.M, team.thread + 1, team.threads) : one.M;
        const i64 p0 = by_rows ? 0 : part(panels, team.thread, team.threads), p1 = by_rows ? panels : part(panels, team.thread + 1, team.threads);
        multiply(left, one.left_stride, reinterpret_cast<const I*>(plan.packed), right, static_cast<const T*>(one.bias), out, one.out_stride, m0, m1, p0, p1, own);
    });
}

template <class T> void multiply_all(const OstinatoProduct* product, char* space, const Team& team) {
    Space at{space};
    const Multiplication<T> plan = plan_product<T>(*product, &at, team.threads, team.thread);
    pack_product(plan, team);
    wait(team.all, team.threads);
    run_product(*product, plan, team);
}

}  // namespace
