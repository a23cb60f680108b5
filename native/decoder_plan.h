// How a team of threads runs an attentional decoder, forward and backward, around the loop of decoder.h.
#pragma once

#include "decoder.h"
#include "recurrence_plan.h"

namespace {

template <class T, class C> struct Decoders {
    using D = Decoder<T, C>;
    using R = Recurrence<T, C>;

    // What a thread has to itself.
    struct Mine {
        T* gradient_space;
        i64* sequences;
        typename D::Own own;
    };

    struct Plan {
        OstinatoProduct input;
        Multiplication<T> input_plan;
        typename D::Weights weights;
        const T** before[MAX_LAYERS];
        const T** fed;
        Mine mine;
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
        made.mine = own_of(threads, thread, [&] { return Mine{backward ? space->take<T>(gradient_space<T>(widest)) : nullptr, space->take<i64>(one.B), one.own(space)}; });
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
        one.forward(made.weights, made.mine.sequences, deal(d.layers[0], team, made.mine.sequences), made.mine.own);
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
        one.backward(made.weights, made.mine.sequences, deal(d.layers[0], team, made.mine.sequences), made.mine.own);
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
            const Multiplication<T> plan{{}, nullptr, reinterpret_cast<char*>(made.mine.gradient_space), false, each.half != 0};
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

}  // namespace
