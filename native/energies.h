// The energies of an additive attention, without the (B, K, S, A) numbers between.
//
//   e[k, s] = v . tanh(q[k] + key[s])                  t = tanh(q[k] + key[s]), computed again for the gradient
//
//   dL / dq[k]   = v * sum_s de[k, s] (1 - t^2)
//   dL / dkey[s] = v * sum_k de[k, s] (1 - t^2)
//   dL / dv      = sum_k,s de[k, s] t
//
// Forward, threads share the queries; backward, examples and vectors of their width: neither changes the order of any sum.
#pragma once

#include "decoder.h"

namespace {

template <class T> struct Energies {
    using V = typename Simd<T>::V;
    static constexpr i64 W = Simd<T>::width;

    const OstinatoEnergies& e;
    i64 B, K, S, A;

    explicit Energies(const OstinatoEnergies& one) : e(one), B(one.B), K(one.K), S(one.S), A(one.A) {}

    const T* energy() const { return static_cast<const T*>(e.energy); }

    void forward(const ostinato::Team& team) const {
        for (i64 row = part(B * K, team.thread, team.threads); row < part(B * K, team.thread + 1, team.threads); row++) {
            const T* query = static_cast<const T*>(e.query) + row * A;
            const T* keys = static_cast<const T*>(e.keys) + row / K * S * A;
            T* scores = static_cast<T*>(e.scores) + row * S;
            for (i64 s = 0; s < S; s++) scores[s] = additive_score(energy(), query, keys + s * A, A);
        }
    }

    // One vector of the keys and of their gradients, of all steps, for each thread.
    V* own(Space* space, i64 threads, i64 thread) const {
        return own_of(threads, thread, [&] { return space->take<V>(2 * S); });
    }

    i64 space(i64 threads) const {
        Space counted{nullptr};
        own(&counted, threads, 0);
        return counted.used;
    }

    void backward(char* base, const ostinato::Team& team) const {
        Space space{base};
        V* keys = own(&space, team.threads, team.thread);
        V* d_keys = keys + S;
        const i64 vectors = (A + W - 1) / W;
        for (i64 task = part(B * vectors, team.thread, team.threads); task < part(B * vectors, team.thread + 1, team.threads); task++) {
            const i64 b = task / vectors, j = task % vectors * W;
            if (j + W <= A) backward_vector(b, At<true>{j, A, (int)W}, keys, d_keys);
            else backward_vector(b, At<false>{j, A, (int)(A - j)}, keys, d_keys);
        }
    }

    template <class Here> void backward_vector(i64 b, Here at, V* keys, V* d_keys) const {
        for (i64 s = 0; s < S; s++) {
            keys[s] = at.read(static_cast<const T*>(e.keys) + (b * S + s) * A);
            d_keys[s] = V{};
        }
        const V energy = at.read(this->energy());
        V d_energy = {};
        for (i64 k = 0; k < K; k++) {
            const i64 row = b * K + k;
            const V query = at.read(static_cast<const T*>(e.query) + row * A);
            const T* d_scores = static_cast<const T*>(e.d_scores) + row * S;
            V d_query = {};
            for (i64 s = 0; s < S; s++) {
                const V t = hyperbolic_tangent(query + keys[s]);
                const V through = d_scores[s] * (1 - t * t);
                d_energy += d_scores[s] * t;
                d_query += through;
                d_keys[s] += through;
            }
            at.write(static_cast<T*>(e.d_query) + row * A, d_query * energy);
        }
        for (i64 s = 0; s < S; s++) at.write(static_cast<T*>(e.d_keys) + (b * S + s) * A, d_keys[s] * energy);
        at.write(static_cast<T*>(e.d_energy) + b * A, d_energy);
    }
};

}  // namespace
