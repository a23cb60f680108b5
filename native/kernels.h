// The kernels of one instruction set. The including file sets VECTOR_BYTES, REGISTERS, TABLE, NAME and SUPPORTED.
#pragma once

#include "decoder.h"
#include "energies.h"
#include "linear_scan.h"
#include "recurrence.h"
#include "table.h"
#include "transformer.h"

namespace {

// ---- products

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
    const auto own = [&](i64 bytes) {
        for (i64 k = 0; k < threads; k++) {
            char* at = space->take<char>(bytes);
            if (k == thread) plan.own = at;
        }
    };
    plan.in_items([&](auto right) {
        using I = typename decltype(right)::Kind;
        if (one.kind == 2) {
            own(gradient_space<I>(one.N) * (i64)sizeof(I));
        } else {
            const i64 bytes = right.packed_size() * (i64)sizeof(I);
            plan.packed = one.packed ? static_cast<char*>(one.packed) : space->take<char>(bytes);
            plan.ready = one.packed && one.packed_ready;
            if (Item<I>::numbers > 1) own(LEFT_SPACE * (i64)sizeof(I));
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

// ---- recurrences

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
        Own own{}, one;
        *barriers = space->take<Barrier>(threads * count);
        const i64 B = scans[0].B, rows = recurrence(scans[0], nullptr).team_space(B);
        for (i64 k = 0; k < threads; k++) {
            one.sequences = space->take<i64>(B);
            one.pointers = recurrence(scans[0], nullptr).pointers(space, B);
            one.team = space->take<T>(rows);
            if (k == thread) own = one;
        }
        return own;
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

// ---- the decoder

template <class T, class C> struct Decoders {
    using D = Decoder<T, C>;
    using R = Recurrence<T, C>;

    struct Plan {
        OstinatoProduct input;
        Multiplication<T> input_plan;
        typename D::Weights weights;
        const T** before[MAX_LAYERS];
        const T** fed;
        T* gradient_space;
        i64* sequences;
        typename D::Own own;
        i64 weights_size;
    };

    static Plan plan(const OstinatoDecoder& d, bool backward, Space* space, i64 threads, i64 thread) {
        const D one(d);
        const OstinatoScan& first = d.layers[0];
        const i64 width = C::GATES * one.H, stride = one.fed_back ? one.E + one.F : one.E;
        Plan made{};
        made.input = {0, first.is_double, one.N, width, one.E, first.x, first.x_stride, first.weight_x, stride, first.bias, nullptr, first.gates, width, nullptr, 0, first.half};
        if (backward) {
            const OstinatoGradients& g = d.layer_gradients[0];
            made.input = {1, first.is_double, one.N, one.E, width, g.d_gates, width, first.weight_x, stride, nullptr, nullptr, g.d_x, one.E, nullptr, 0, first.half};
            for (i64 l = 0; l < one.L; l++) made.before[l] = space->take<const T*>(one.N);
            made.fed = space->take<const T*>(one.N);
        }
        const i64 before_weights = space->used;
        Space kept{static_cast<char*>(d.packed)};
        Space* where = d.packed && !backward ? &kept : space;
        made.input_plan = plan_product<T>(made.input, where, threads, thread);
        made.weights = one.weights(backward, where);
        made.weights_size = space->used - before_weights;
        const i64 widest = max_of(max_of(one.E, one.F), max_of(one.H, one.M));
        for (i64 k = 0; k < threads; k++) {
            T* gradients = backward ? space->take<T>(gradient_space<T>(widest)) : nullptr;
            i64* sequences = space->take<i64>(one.B);
            const auto own = one.own(space);
            if (k == thread) made.gradient_space = gradients, made.sequences = sequences, made.own = own;
        }
        return made;
    }

    static i64 space(const OstinatoDecoder& d, bool backward, i64 threads) {
        Space counted{nullptr};
        plan(d, backward, &counted, threads, 0);
        return counted.used;
    }

    static i64 packed(OstinatoDecoder d) {
        Space counted{nullptr};
        d.packed = nullptr;
        return plan(d, false, &counted, 1, 0).weights_size;
    }

    // Every thread has whole sequences to itself, as many steps as the others or nearly.
    static i64 deal(const OstinatoScan& scan, const Team& team, i64* sequences) {
        i64 count = 0;
        const i64 teams = min_of(team.threads, scan.B);
        for (i64 i = 0; i < scan.B; i++) {
            const i64 turn = i % (2 * teams);
            if ((turn < teams ? turn : 2 * teams - 1 - turn) == team.thread) sequences[count++] = scan.order[i];
        }
        return count;
    }

    static void forward(const OstinatoDecoder& d, char* base, const Team& team) {
        Space space{base};
        const Plan made = plan(d, false, &space, team.threads, team.thread);
        const D one(d);
        if (!d.packed || !d.packed_ready) {
            pack_product(made.input_plan, team);
            one.pack(made.weights, false, team);
        }
        wait(team.all, team.threads);
        run_product(made.input, made.input_plan, team);
        wait(team.all, team.threads);
        one.forward(made.weights, made.sequences, deal(d.layers[0], team, made.sequences), made.own);
    }

    static void backward(const OstinatoDecoder& d, char* base, const Team& team) {
        Space space{base};
        const Plan made = plan(d, true, &space, team.threads, team.thread);
        const D one(d);
        pack_product(made.input_plan, team);
        one.pack(made.weights, true, team);
        for (i64 b = part(one.B, team.thread, team.threads); b < part(one.B, team.thread + 1, team.threads); b++)
            for (i64 s = 0; s < one.length(b); s++) {
                const i64 n = one.place(b, s);
                for (i64 l = 0; l < one.L; l++) made.before[l][n] = s ? one.row(d.layers[l].hidden, n - 1, one.H) : one.row(d.layers[l].start_h, b, one.H);
                made.fed[n] = one.fed_row(b, s);
            }
        wait(team.all, team.threads);
        one.backward(made.weights, made.sequences, deal(d.layers[0], team, made.sequences), made.own);
        wait(team.all, team.threads);
        if (d.layer_gradients[0].d_x) run_product(made.input, made.input_plan, team);
        weight_gradients(one, made, team);
    }

    static void weight_gradients(const D& one, const Plan& made, const Team& team) {
        const OstinatoDecoder& d = one.d;
        const i64 H = one.H, N = one.N, width = C::GATES * H, stride = one.fed_back ? one.E + one.F : one.E;
        // out (rows, columns) = left (N, rows)^T * right (N, columns)
        const auto product = [&](const void* left, i64 left_stride, i64 rows, const Rows<T>& right, i64 columns, void* out, i64 out_stride, void* sums) {
            if (!out || !columns) return;
            const OstinatoProduct each{2, 0, rows, columns, N, left, left_stride, nullptr, 0, nullptr, sums, out, out_stride, nullptr, 0, one.d.layers[0].half};
            const Multiplication<T> plan{{}, nullptr, reinterpret_cast<char*>(made.gradient_space), false, each.half != 0};
            run_product<T>(each, plan, team, &right);
        };
        const auto plain = [](const void* values, i64 row_stride) { return Rows<T>{static_cast<const T*>(values), row_stride, nullptr, nullptr}; };
        const auto found = [](const T* const* pointers) { return Rows<T>{nullptr, 0, pointers, nullptr}; };
        for (i64 l = 0; l < one.L; l++) {
            const OstinatoScan& scan = d.layers[l];
            const OstinatoGradients& g = d.layer_gradients[l];
            T* d_weight_x = static_cast<T*>(g.d_weight_x);
            T* d_weight_h = static_cast<T*>(g.d_weight_h);
            if (l) {
                const void* read = scan.mask ? static_cast<const void*>(static_cast<const T*>(d.dropped) + (l - 1) * N * H) : d.layers[l - 1].hidden;
                product(g.d_gates, width, width, plain(read, H), H, d_weight_x, H, g.d_bias);
            } else {
                if (one.fed_back) product(g.d_gates, width, width, found(made.fed), one.F, d_weight_x ? d_weight_x + one.E : nullptr, stride, nullptr);
                product(g.d_gates, width, width, plain(scan.x, scan.x_stride), one.E, d_weight_x, stride, g.d_bias);
            }
            product(g.d_gates, width, C::SEEN * H, found(made.before[l]), H, d_weight_h, H, nullptr);
            if (C::EXTRA_PRODUCT) product(g.d_extra, H, H, found(made.before[l]), H, d_weight_h ? d_weight_h + C::SEEN * H * H : nullptr, H, g.d_bias_n);
            if constexpr (C::PEEPHOLES > 0)
                if (g.d_peepholes) Scans<T, C>::peephole_sums(R(scan, &g), g, team);
        }
        product(d.d_queries, one.A, one.A, one.feeding ? plain(one.top().hidden, H) : found(made.before[one.L - 1]), H, d.d_query_weight, H, d.d_query_bias);
        if (!one.feeding) return;
        product(d.d_features, one.F, one.F, plain(one.top().hidden, H), H, d.d_readout, one.read_width(), d.d_readout_bias);
        product(d.d_features, one.F, one.F, plain(d.contexts, one.M), one.M, static_cast<T*>(d.d_readout) + H, one.read_width(), nullptr);
    }
};

// ---- one function for all cells and both types

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

template <class F> auto of_step(const OstinatoStep& one, F&& done) {
    return one.is_double ? done(TransformerStep<double>(one)) : done(TransformerStep<float>(one));
}
int64_t step_space(const OstinatoStep* one, int64_t threads) {
    return of_step(*one, [&](const auto& step) { return step.space(threads); });
}
void step(const OstinatoStep* one, char* space, Team team) {
    of_step(*one, [&](const auto& step) { step.run(space, team); });
}
int64_t step_packed(const OstinatoStep* one) {
    return of_step(*one, [&](const auto& step) { return step.packed_size(); });
}

void energies_forward(const OstinatoEnergies* one, Team team) {
    one->is_double ? Energies<double>(*one).forward(team) : Energies<float>(*one).forward(team);
}
int64_t energies_space(const OstinatoEnergies* one, int64_t threads) {
    return one->is_double ? Energies<double>(*one).space(threads) : Energies<float>(*one).space(threads);
}
void energies_backward(const OstinatoEnergies* one, char* space, Team team) {
    one->is_double ? Energies<double>(*one).backward(space, team) : Energies<float>(*one).backward(space, team);
}
void linear_scan(const OstinatoLinearScan* one, bool backward, Team team) {
    one->is_double ? LinearScan<double>(*one).run(backward, team) : LinearScan<float>(*one).run(backward, team);
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
