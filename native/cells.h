// The cells: what a step does to one vector of units once the products are there, forward and backward.
//
// A cell is a struct of constants and functions. Weights have GATES blocks of H rows, in torch's order. A panel of the forward
// product holds, for UNITS vectors of units, the PRODUCTS first gates beside each other, so that all gates of a unit come out
// of one tile. With LATE the last gate multiplies something else than h, after the others. A row of c holds NUM_C states beside
// each other, as blocks of H.
#pragma once

#include "activations.h"
#include "ostinato.h"

namespace {

// One step of one sequence: where its rows lie. In backward `d_gates` and `d_extra` may be `gates` and `extra` themselves.
template <class T> struct Row {
    T* gates;            // (G H): the input's product; then the activated gates
    T* hidden;           // h[t]
    const T* before;     // h[t-1]
    T* extra;            // what else backward needs, null in inference
    T* c;                // with NUM_C
    const T* c_before;
    const T* mask;       // null, or what h is multiplied by where weights read it
    T* masked;           // where h[t] * mask goes
    T* late;             // forward: what the late gate multiplies
    const T* d_above;    // backward: the gradient of h[t] from above, or null
    T* d_gates;
    T* d_extra;
    T* d_h;              // what the step before receives of dh[t] beside the products
    T* d_c;
};

// A place in the rows: units from j, all lanes of a vector or the first `count`.
template <bool WHOLE> struct At {
    i64 j, H;
    int count;

    template <class T> typename Simd<T>::V read(const T* row, int block = 0) const { return get<WHOLE>(row + block * H + j, count); }
    template <class T> void write(T* row, typename Simd<T>::V value, int block = 0) const { put<WHOLE>(row + block * H + j, value, count); }
};

template <int KIND> struct SimpleCell {
    static constexpr int GATES = 1, PRODUCTS = 1, UNITS = 4, SEEN = 1;
    static constexpr int NUM_C = 0, PEEPHOLES = 0;
    static constexpr bool LATE = false, EXTRA = false, EXTRA_PRODUCT = false;

    template <class T, bool WHOLE> static void forward(const Row<T>& row, At<WHOLE> at, const typename Simd<T>::V* product, const T*, const T*) {
        using V = typename Simd<T>::V;
        const V a = at.read(row.gates) + product[0];
        V h;
        if (KIND == RNN_TANH) h = hyperbolic_tangent(a);
        else if (KIND == RNN_RELU) h = a <= 0 ? V{} : a;  // so NaN is kept; times 0, an infinity would become one
        else h = a > 0 ? a : a * T(0.01);
        at.write(row.hidden, h);
    }

    template <class T, bool WHOLE> static void backward(const Row<T>& row, At<WHOLE> at, typename Simd<T>::V d_h, const T*) {
        using V = typename Simd<T>::V;
        const V h = at.read(row.hidden);
        if (KIND == RNN_TANH) at.write(row.d_gates, d_h * (1 - h * h));
        else if (KIND == RNN_RELU) at.write(row.d_gates, h <= 0 ? V{} : d_h);
        else at.write(row.d_gates, h > 0 ? d_h : d_h * T(0.01));
        at.write(row.d_h, V{});
    }
};

template <bool COUPLED> struct LongShortTermMemory {
    static constexpr int GATES = COUPLED ? 3 : 4, PRODUCTS = GATES, UNITS = 1, SEEN = GATES;
    static constexpr int NUM_C = 1, PEEPHOLES = GATES - 1;
    static constexpr bool LATE = false, EXTRA = true, EXTRA_PRODUCT = false;
    static constexpr int I = 0, F = COUPLED ? 0 : 1, G = F + 1, O = F + 2;  // blocks of the gates
    static constexpr int PI = 0, PF = COUPLED ? 0 : 1, PO = PF + 1;         // blocks of the peepholes

    template <class T, bool WHOLE> static void forward(const Row<T>& row, At<WHOLE> at, const typename Simd<T>::V* product, const T* peepholes, const T*) {
        using V = typename Simd<T>::V;
        const V c_before = at.read(row.c_before);
        V f = at.read(row.gates, F) + product[F], o = at.read(row.gates, O) + product[O];
        const V g = hyperbolic_tangent(at.read(row.gates, G) + product[G]);
        if (peepholes) f += at.read(peepholes, PF) * c_before;
        f = sigmoid(f);
        V c;
        if (COUPLED) {
            c = g + f * (c_before - g);
        } else {
            V i = at.read(row.gates, I) + product[I];
            if (peepholes) i += at.read(peepholes, PI) * c_before;
            i = sigmoid(i);
            c = f * c_before + i * g;
            if (row.extra) at.write(row.gates, i, I);
        }
        if (peepholes) o += at.read(peepholes, PO) * c;
        o = sigmoid(o);
        if (row.extra) {
            at.write(row.gates, f, F);
            at.write(row.gates, g, G);
            at.write(row.gates, o, O);
        }
        at.write(row.c, c);
        at.write(row.hidden, o * hyperbolic_tangent(c));
    }

    template <class T, bool WHOLE> static void backward(const Row<T>& row, At<WHOLE> at, typename Simd<T>::V d_h, const T* peepholes) {
        using V = typename Simd<T>::V;
        const V c_before = at.read(row.c_before), seen = hyperbolic_tangent(at.read(row.c));
        const V f = at.read(row.gates, F), g = at.read(row.gates, G), o = at.read(row.gates, O);
        const V d_o = d_h * seen * o * (1 - o);
        V d_c = at.read(row.d_c) + d_h * o * (1 - seen * seen);
        if (peepholes) d_c += d_o * at.read(peepholes, PO);
        V d_f, d_g, d_i = {};
        if (COUPLED) {
            d_f = d_c * (c_before - g) * f * (1 - f);
            d_g = d_c * (1 - f) * (1 - g * g);
        } else {
            const V i = at.read(row.gates, I);
            d_i = d_c * g * i * (1 - i);
            d_f = d_c * c_before * f * (1 - f);
            d_g = d_c * i * (1 - g * g);
            at.write(row.d_gates, d_i, I);
        }
        at.write(row.d_gates, d_f, F);
        at.write(row.d_gates, d_g, G);
        at.write(row.d_gates, d_o, O);
        d_c = d_c * f;
        if (peepholes) d_c += d_f * at.read(peepholes, PF) + (COUPLED ? V{} : d_i * at.read(peepholes, PI));
        at.write(row.d_c, d_c);
        at.write(row.d_h, V{});
    }
};

struct GatedUnitAfter {  // r, z, n; the candidate's product of h is multiplied by r
    static constexpr int GATES = 3, PRODUCTS = 3, UNITS = 1, SEEN = 2;
    static constexpr int NUM_C = 0, PEEPHOLES = 0;
    static constexpr bool LATE = false, EXTRA = true, EXTRA_PRODUCT = true;

    template <class T, bool WHOLE> static void forward(const Row<T>& row, At<WHOLE> at, const typename Simd<T>::V* product, const T*, const T* bias_n) {
        using V = typename Simd<T>::V;
        const V r = sigmoid(at.read(row.gates, 0) + product[0]), z = sigmoid(at.read(row.gates, 1) + product[1]);
        V seen = product[2];
        if (bias_n) seen += at.read(bias_n);
        const V n = hyperbolic_tangent(at.read(row.gates, 2) + r * seen);
        at.write(row.hidden, n + z * (at.read(row.before) - n));
        if (!row.extra) return;
        at.write(row.gates, r, 0);
        at.write(row.gates, z, 1);
        at.write(row.gates, n, 2);
        at.write(row.extra, seen);
    }

    template <class T, bool WHOLE> static void backward(const Row<T>& row, At<WHOLE> at, typename Simd<T>::V d_h, const T*) {
        using V = typename Simd<T>::V;
        const V r = at.read(row.gates, 0), z = at.read(row.gates, 1), n = at.read(row.gates, 2), seen = at.read(row.extra);
        const V d_n = d_h * (1 - z) * (1 - n * n);
        at.write(row.d_gates, d_n * seen * r * (1 - r), 0);
        at.write(row.d_gates, d_h * (at.read(row.before) - n) * z * (1 - z), 1);
        at.write(row.d_gates, d_n, 2);
        at.write(row.d_extra, d_n * r);
        at.write(row.d_h, d_h * z);
    }
};

struct GatedUnitBefore {  // r, z, n; the candidate's weight multiplies r * h
    static constexpr int GATES = 3, PRODUCTS = 2, UNITS = 2, SEEN = 2;
    static constexpr int NUM_C = 0, PEEPHOLES = 0;
    static constexpr bool LATE = true, EXTRA = true, EXTRA_PRODUCT = false;

    template <class T, bool WHOLE> static void forward(const Row<T>& row, At<WHOLE> at, const typename Simd<T>::V* product, const T*, const T*) {
        using V = typename Simd<T>::V;
        const V r = sigmoid(at.read(row.gates, 0) + product[0]);
        at.write(row.gates, r, 0);
        at.write(row.gates, sigmoid(at.read(row.gates, 1) + product[1]), 1);
        const V seen = r * at.read(row.before);
        if (row.extra) at.write(row.extra, seen);
        at.write(row.late, row.mask ? seen * at.read(row.mask) : seen);
    }

    template <class T, bool WHOLE> static void forward_late(const Row<T>& row, At<WHOLE> at, typename Simd<T>::V product) {
        using V = typename Simd<T>::V;
        const V n = hyperbolic_tangent(at.read(row.gates, 2) + product), z = at.read(row.gates, 1);
        at.write(row.gates, n, 2);
        at.write(row.hidden, n + z * (at.read(row.before) - n));
    }

    template <class T, bool WHOLE> static void backward(const Row<T>& row, At<WHOLE> at, typename Simd<T>::V d_h, const T*) {
        using V = typename Simd<T>::V;
        const V z = at.read(row.gates, 1), n = at.read(row.gates, 2);
        if (row.d_gates != row.gates) at.write(row.d_gates, at.read(row.gates, 0), 0);
        at.write(row.d_gates, d_h * (at.read(row.before) - n) * z * (1 - z), 1);
        at.write(row.d_gates, d_h * (1 - z) * (1 - n * n), 2);
        at.write(row.d_h, d_h * z);
    }

    // d_late: the gradient of r * h.
    template <class T, bool WHOLE> static void backward_late(const Row<T>& row, At<WHOLE> at, typename Simd<T>::V d_late) {
        using V = typename Simd<T>::V;
        const V r = at.read(row.d_gates, 0);
        at.write(row.d_gates, d_late * at.read(row.before) * r * (1 - r), 0);
        at.write(row.d_h, at.read(row.d_h) + d_late * r);
    }
};

template <bool SIGMOID> struct ScalarMemory {  // the sLSTM; without SIGMOID its forget gate is exponential too
    static constexpr int GATES = 4, PRODUCTS = 4, UNITS = 1, SEEN = 4;
    static constexpr int NUM_C = 3, PEEPHOLES = 0;
    static constexpr bool LATE = false, EXTRA = true, EXTRA_PRODUCT = false;
    static constexpr int I = 0, F = 1, Z = 2, O = 3;  // blocks of the gates
    static constexpr int C = 0, N = 1, M = 2;         // blocks of c

    // What is kept of c and n and what is written to them, from i and f before their activation.
    template <class V> struct Shares {
        V kept, m, f, i;

        Shares(V a_i, V a_f, V m_before) {
            kept = (SIGMOID ? log_sigmoid(a_f) : a_f) + m_before;
            m = (a_i > kept) | (a_i != a_i) ? a_i : kept;  // so that NaN is kept
            f = exponential(kept - m);
            i = exponential(a_i - m);
        }
    };

    template <class T, bool WHOLE> static void forward(const Row<T>& row, At<WHOLE> at, const typename Simd<T>::V* product, const T*, const T*) {
        using V = typename Simd<T>::V;
        const V a_i = at.read(row.gates, I) + product[I], a_f = at.read(row.gates, F) + product[F];
        const V z = hyperbolic_tangent(at.read(row.gates, Z) + product[Z]), o = sigmoid(at.read(row.gates, O) + product[O]);
        const Shares<V> share(a_i, a_f, at.read(row.c_before, M));
        const V c = share.f * at.read(row.c_before, C) + share.i * z, n = share.f * at.read(row.c_before, N) + share.i;
        if (row.extra) {
            at.write(row.gates, a_i, I);
            at.write(row.gates, a_f, F);
            at.write(row.gates, z, Z);
            at.write(row.gates, o, O);
        }
        at.write(row.c, c, C);
        at.write(row.c, n, N);
        at.write(row.c, share.m, M);
        at.write(row.hidden, o * c / at_least_one(n));
    }

    template <class T, bool WHOLE> static void backward(const Row<T>& row, At<WHOLE> at, typename Simd<T>::V d_h, const T*) {
        using V = typename Simd<T>::V;
        const V a_i = at.read(row.gates, I), a_f = at.read(row.gates, F), z = at.read(row.gates, Z), o = at.read(row.gates, O);
        const V n = at.read(row.c, N), total = at_least_one(n), seen = at.read(row.c, C) / total;
        const Shares<V> share(a_i, a_f, at.read(row.c_before, M));
        const V d_seen = d_h * o / total;
        const V d_c = at.read(row.d_c, C) + d_seen;
        const V d_n = at.read(row.d_c, N) - (n < 1 ? V{} : d_seen * seen);
        const V d_kept = (d_c * at.read(row.c_before, C) + d_n * at.read(row.c_before, N)) * share.f;
        const V d_written = (d_c * z + d_n) * share.i;
        // The larger of the two is m and has its gradient; of equals each has half, as torch has it.
        const V d_m = at.read(row.d_c, M) - d_kept - d_written;
        const V of_kept = share.kept > a_i ? d_m : share.kept < a_i ? V{} : d_m * T(0.5);
        const V d_sum = d_kept + of_kept;
        at.write(row.d_gates, d_written + (d_m - of_kept), I);
        at.write(row.d_gates, SIGMOID ? d_sum * sigmoid(-a_f) : d_sum, F);
        at.write(row.d_gates, d_c * share.i * (1 - z * z), Z);
        at.write(row.d_gates, d_h * seen * o * (1 - o), O);
        at.write(row.d_c, d_c * share.f, C);
        at.write(row.d_c, d_n * share.f, N);
        at.write(row.d_c, d_sum, M);
        at.write(row.d_h, V{});
    }

    template <class V> static V at_least_one(V n) { return n < 1 ? V{} + 1 : n; }
};

}  // namespace
