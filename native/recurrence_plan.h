// How a team of threads runs recurrences, forward and backward: packed weights, the input's product, the time loop, the weights'
// gradients.
#pragma once

#include "product_plan.h"

namespace {

template <class T, class C> struct Scans {
    using R = Recurrence<T, C>;

    static R recurrence(const OstinatoScan& scan, const OstinatoGradients* d) { return R(scan, d, scan.half != 0); }

    static OstinatoProduct input_product(const OstinatoScan& scan) {
        const i64 width = C::GATES * scan.H;
        return {0, scan.is_double, scan.N, width, scan.I, scan.x, scan.x_stride, scan.weight_x, scan.I, scan.bias, nullptr, scan.gates, width, nullptr, 0, scan.half};
    }

    // Deals a scan's sequences to teams, in a snake from the longest on, so that each has about as many steps.
    static typename R::Share share_of(const OstinatoScan& scan, i64 thread, i64 threads, Barrier* barriers, i64* sequences) {
        i64 teams, members;
        R::teams_of(threads, scan.B, C::GATES * scan.H * scan.H, &teams, &members);
        const i64 team = thread / members;
        typename R::Share share{sequences, 0, thread % members, members, barriers + team};
        if (team >= teams) return share;
        for (i64 i = 0; i < scan.B; i++) {
            const i64 turn = i % (2 * teams);
            if ((turn < teams ? turn : 2 * teams - 1 - turn) == team) sequences[share.num_sequences++] = scan.order[i];
        }
        return share;
    }

    struct Forward {
        Multiplication<T> input;
        T *early, *late;
    };
    struct Own {
        i64* sequences;
        typename R::Pointers pointers;
        T* team;
    };

    // The workspace of `threads` threads; what is `thread`'s own is returned.
    static Own plan_loop(const OstinatoScan* scans, i64 count, Space* space, i64 threads, i64 thread, Barrier** barriers) {
        *barriers = space->take<Barrier>(threads * count);
        const i64 B = scans[0].B, rows = recurrence(scans[0], nullptr).team_space(B);
        return own_of(threads, thread, [&] { return Own{space->take<i64>(B), recurrence(scans[0], nullptr).pointers(space, B), space->take<T>(rows)}; });
    }

    static Forward weights_plan(const OstinatoScan& scan, Space* space, i64 threads, i64 thread) {
        const R one = recurrence(scan, nullptr);
        return {plan_product<T>(input_product(scan), space, threads, thread), space->take<T>(one.early_size()), space->take<T>(one.late_size())};
    }

    static i64 packed(OstinatoScan scan) {
        Space counted{nullptr};
        scan.packed = nullptr;
        weights_plan(scan, &counted, 1, 0);
        return counted.used;
    }

    static void forward_plan(const OstinatoScan* scans, i64 count, Space* space, i64 threads, i64 thread, Forward* plans, Own* own, Barrier** barriers) {
        for (i64 k = 0; k < count; k++) {
            Space kept{static_cast<char*>(scans[k].packed)};
            plans[k] = weights_plan(scans[k], scans[k].packed ? &kept : space, threads, thread);
        }
        *own = plan_loop(scans, count, space, threads, thread, barriers);
    }

    static i64 forward_space(const OstinatoScan* scans, i64 count, i64 threads) {
        Space space{nullptr};
        Forward plans[2];
        Own own;
        Barrier* barriers;
        for (i64 k = 0; k < count; k++) with_gates(scans[k], &space);
        forward_plan(scans, count, &space, threads, 0, plans, &own, &barriers);
        return space.used;
    }

    // Gates that nobody wants to see afterwards are work space.
    static OstinatoScan with_gates(OstinatoScan scan, Space* space) {
        if (!scan.gates) scan.gates = space->take<T>(scan.N * C::GATES * scan.H);
        return scan;
    }

    static void forward(const OstinatoScan* given, i64 count, char* base, Team team) {
        Space space{base};
        Forward plans[2];
        Own own;
        Barrier* barriers;
        OstinatoScan scans[2];
        for (i64 k = 0; k < count; k++) scans[k] = with_gates(given[k], &space);
        forward_plan(scans, count, &space, team.threads, team.thread, plans, &own, &barriers);
        if (team.thread == 0) memset(barriers, 0, sizeof(Barrier) * team.threads * count);
        for (i64 k = 0; k < count; k++) {
            if (scans[k].packed && scans[k].packed_ready) continue;
            pack_product(plans[k].input, team);
            pack_weights(recurrence(scans[k], nullptr), plans[k].early, plans[k].late, team);
        }
        wait(team.all, team.threads);
        for (i64 k = 0; k < count; k++) run_product(input_product(scans[k]), plans[k].input, team);
        wait(team.all, team.threads);
        // Two directions are read side by side where the threads can be shared evenly, else one after the other.
        const i64 beside = count == 2 && team.threads % 2 == 0 ? 2 : 1;
        const i64 threads = team.threads / beside, thread = team.thread / beside;
        for (i64 k = 0; k < count; k++) {
            if (beside == 2 && k != team.thread % 2) continue;
            R one = recurrence(scans[k], nullptr);
            one.early = plans[k].early, one.late = plans[k].late;
            const auto share = share_of(scans[k], thread, threads, barriers + k * team.threads, own.sequences);
            one.forward(share, own.pointers, team_rows(scans[k], own, share, beside));
        }
    }

    // The masked rows of a team are in its first member's space.
    static T* team_rows(const OstinatoScan& scan, const Own& own, const typename R::Share& share, i64 beside) {
        if (!share.member) return own.team;
        // Every thread's space has the same size, one after the other.
        Space one{nullptr};
        one.take<i64>(scan.B);
        recurrence(scan, nullptr).pointers(&one, scan.B);
        one.take<T>(recurrence(scan, nullptr).team_space(scan.B));
        return reinterpret_cast<T*>(reinterpret_cast<char*>(own.team) - share.member * beside * one.used);
    }

    static void pack_weights(const R& one, T* early, T* late, const Team& team) {
        for (i64 p = team.thread; p < one.num_panels(); p += team.threads) one.pack(p, early, late);
    }

    // ---- backward

    struct Backward {
        T *early, *late;
        const T** before;
        const T** masks;
        OstinatoProduct input, weight_x, weight_h, more;
        Multiplication<T> input_plan, weight_x_plan, weight_h_plan, more_plan;
        bool has_input, has_weight_x, has_weight_h, has_more;
    };

    static Backward backward_plan(const OstinatoScan& scan, const OstinatoGradients& d, Space* space, i64 threads, i64 thread, Own* own, Barrier** barriers) {
        const i64 H = scan.H, N = scan.N, width = C::GATES * H;
        const R one = recurrence(scan, &d);
        Backward plan{};
        plan.early = space->take<T>(one.early_size());
        plan.late = space->take<T>(one.late_size());
        plan.before = space->take<const T*>(N);
        plan.masks = space->take<const T*>(scan.mask ? N : 0);
        const T* d_gates = static_cast<const T*>(d.d_gates);
        T* d_weight_h = static_cast<T*>(d.d_weight_h);
        plan.input = {1, scan.is_double, N, scan.I, width, d_gates, width, scan.weight_x, scan.I, nullptr, nullptr, d.d_x, scan.I, nullptr, 0, scan.half};
        plan.weight_x = {2, scan.is_double, width, scan.I, N, d_gates, width, scan.x, scan.x_stride, nullptr, d.d_bias, d.d_weight_x, scan.I, nullptr, 0, scan.half};
        plan.weight_h = {2, scan.is_double, C::SEEN * H, H, N, d_gates, width, nullptr, 0, nullptr, nullptr, d_weight_h, H, nullptr, 0, scan.half};
        if (C::LATE)
            plan.more = {2, scan.is_double, H, H, N, d_gates + C::PRODUCTS * H, width, scan.extra, H, nullptr, nullptr, d_weight_h ? d_weight_h + C::PRODUCTS * H * H : nullptr, H, nullptr, 0, scan.half};
        if (C::EXTRA_PRODUCT)
            plan.more = {2, scan.is_double, H, H, N, d.d_extra, H, nullptr, 0, nullptr, d.d_bias_n, d_weight_h ? d_weight_h + C::SEEN * H * H : nullptr, H, nullptr, 0, scan.half};
        plan.has_input = d.d_x, plan.has_weight_x = d.d_weight_x, plan.has_weight_h = d.d_weight_h;
        plan.has_more = d.d_weight_h && (C::LATE || C::EXTRA_PRODUCT);
        if (plan.has_input) plan.input_plan = plan_product<T>(plan.input, space, threads, thread);
        if (plan.has_weight_x) plan.weight_x_plan = plan_product<T>(plan.weight_x, space, threads, thread);
        if (plan.has_weight_h) plan.weight_h_plan = plan_product<T>(plan.weight_h, space, threads, thread);
        if (plan.has_more) plan.more_plan = plan_product<T>(plan.more, space, threads, thread);
        *own = plan_loop(&scan, 1, space, threads, thread, barriers);
        return plan;
    }

    static i64 backward_space(const OstinatoScan* scan, const OstinatoGradients* d, i64 threads) {
        Space space{nullptr};
        Own own;
        Barrier* barriers;
        backward_plan(*scan, *d, &space, threads, 0, &own, &barriers);
        return space.used;
    }

    static void backward(const OstinatoScan* given, const OstinatoGradients* d, char* base, Team team) {
        const OstinatoScan& scan = *given;
        Space space{base};
        Own own;
        Barrier* barriers;
        Backward plan = backward_plan(scan, *d, &space, team.threads, team.thread, &own, &barriers);
        if (team.thread == 0) memset(barriers, 0, sizeof(Barrier) * team.threads);
        R one = recurrence(scan, d);
        one.early = plan.early, one.late = plan.late;
        if (plan.has_input) pack_product(plan.input_plan, team);
        pack_weights(one, plan.early, plan.late, team);
        for (i64 b = part(scan.B, team.thread, team.threads); b < part(scan.B, team.thread + 1, team.threads); b++)
            for (i64 s = 0; s < one.length(b); s++) {
                const i64 n = one.place(b, s);
                plan.before[n] = s ? one.hidden_at(one.place(b, s - 1)) : one.start(scan.start_h, b);
                if (scan.mask) plan.masks[n] = one.start(scan.mask, b);
            }
        wait(team.all, team.threads);
        one.backward(share_of(scan, team.thread, team.threads, barriers, own.sequences), own.pointers);
        wait(team.all, team.threads);
        if (plan.has_input) run_product(plan.input, plan.input_plan, team);
        if (plan.has_weight_x) run_product(plan.weight_x, plan.weight_x_plan, team);
        const Rows<T> before{nullptr, 0, plan.before, scan.mask ? plan.masks : nullptr};
        if (plan.has_weight_h) run_product(plan.weight_h, plan.weight_h_plan, team, &before);
        if (plan.has_more && C::EXTRA_PRODUCT) run_product(plan.more, plan.more_plan, team, &before);
        if (plan.has_more && C::LATE) {
            const Rows<T> late{static_cast<const T*>(scan.extra), scan.H, nullptr, scan.mask ? plan.masks : nullptr};
            run_product(plan.more, plan.more_plan, team, &late);
        }
        if (d->d_bias && !d->d_weight_x) column_sums(static_cast<const T*>(d->d_gates), scan.N, C::GATES * scan.H, static_cast<T*>(d->d_bias), team);
        if (d->d_bias_n && !plan.has_more) column_sums(static_cast<const T*>(d->d_extra), scan.N, scan.H, static_cast<T*>(d->d_bias_n), team);
        if constexpr (C::PEEPHOLES > 0)
            if (d->d_peepholes) peephole_sums(one, *d, team);
    }

    static void column_sums(const T* values, i64 N, i64 width, T* sums, const Team& team) {
        const i64 j0 = part(width, team.thread, team.threads), j1 = part(width, team.thread + 1, team.threads);
        memset(sums + j0, 0, sizeof(T) * (j1 - j0));
        for (i64 n = 0; n < N; n++)
            for (i64 j = j0; j < j1; j++) sums[j] += values[n * width + j];
    }

    static void peephole_sums(const R& one, const OstinatoGradients& d, const Team& team) {
        const OstinatoScan& scan = one.scan;
        const i64 H = scan.H, j0 = part(H, team.thread, team.threads), j1 = part(H, team.thread + 1, team.threads);
        const T* c = static_cast<const T*>(scan.extra);
        T* sums = static_cast<T*>(d.d_peepholes);
        for (int k = 0; k < C::PEEPHOLES; k++) memset(sums + k * H + j0, 0, sizeof(T) * (j1 - j0));
        for (i64 b = 0; b < scan.B; b++)
            for (i64 s = 0; s < one.length(b); s++) {
                const i64 n = one.place(b, s);
                const T* gates = static_cast<const T*>(d.d_gates) + n * C::GATES * H;
                const T* before = s ? c + one.place(b, s - 1) * H : one.start(scan.start_c, b);
                for (i64 j = j0; j < j1; j++) {
                    if (C::PF != C::PI) sums[C::PI * H + j] += gates[C::I * H + j] * before[j];
                    sums[C::PF * H + j] += gates[C::F * H + j] * before[j];
                    sums[C::PO * H + j] += gates[C::O * H + j] * c[n * H + j];
                }
            }
    }
};

}  // namespace
