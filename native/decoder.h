// The attentional decoder: what input feeding or a context before the cell forces into a loop over time, without Python in it.
//
//   context before the cell:  c[t] = context(s[t-1]);  s[t] = cell([e[t]; c[t]], s[t-1])
//   input feeding:            s[t] = cell([e[t]; a[t-1]], s[t-1]);  c[t] = context(s[t]);  a[t] = tanh(W_a [s[t]; c[t]] + b_a)
//
// s is the top of a stack of cells. Sequences are dealt to threads as in recurrence.h, and no thread waits for another inside
// the loop; keys and values are the real steps of the memory alone. What backward needs is kept per step; the tanh of additive
// attention, the largest of all, is computed again. Weights' gradients are one product each after the loop.
#pragma once

#include "recurrence.h"

#include "table.h"

namespace {

using ostinato::Team;

constexpr int WIDE = 4;  // vectors of a panel here

// A weight (N, K) or its transpose, packed for `rows_product`.
template <class T> struct Panels {
    static constexpr i64 lanes = WIDE * Simd<T>::width;
    const T* weight;
    i64 stride, K, N;
    bool rows_are_columns;  // the weight is (N, K); else (K, N)
    T* packed;

    i64 count() const { return weight ? (N + lanes - 1) / lanes : 0; }
    i64 size() const { return count() * lanes * K; }

    void pack(i64 p) const {
        constexpr int W = Simd<T>::width;
        for (int v = 0; v < WIDE; v++) {
            const i64 n = p * lanes + v * W, left = max_of(0, min_of(W, N - n));
            T* to = packed + p * lanes * K + v * W;
            if (rows_are_columns) pack_vector_of_rows(weight + n * stride, stride, left, K, to, lanes);
            else pack_vector_of_columns(weight + n, stride, left, K, to, lanes);
        }
    }
};

// out[i] (N) = left[i] (K) * panels, added to what stands there if `add`.
template <class T> void rows_product(i64 rows, const T* const* left, const Panels<T>& b, T* const* out, bool add) {
    constexpr i64 lanes = Panels<T>::lanes;
    alignas(64) T tiles[16 * lanes];
    for (i64 p = 0; p < b.count(); p++) {
        const i64 n = p * lanes, width = min_of(lanes, b.N - n);
        for (i64 i = 0; i < rows;) {
            const int m = next_tile<WIDE>(rows - i);
            if (add)
                for (int r = 0; r < m; r++) memcpy(tiles + r * lanes, out[i + r] + n, sizeof(T) * width);
            tile_of<T, WIDE>(m, b.K, left + i, b.packed + p * lanes * b.K, tiles, lanes, add);
            for (int r = 0; r < m; r++) memcpy(out[i + r] + n, tiles + r * lanes, sizeof(T) * width);
            i += m;
        }
    }
}

template <class T, class F> inline void each_vector(i64 size, F&& done) {
    constexpr int W = Simd<T>::width;
    i64 j = 0;
    for (; j + W <= size; j += W) done(At<true>{j, size, W});
    if (j < size) done(At<false>{j, size, (int)(size - j)});
}

template <class T> inline T sum_of(typename Simd<T>::V value) {
    T sum = 0;
    for (int k = 0; k < Simd<T>::width; k++) sum += value[k];
    return sum;
}

template <class T> inline T dot(const T* a, const T* b, i64 size) {
    typename Simd<T>::V sum = {};
    each_vector<T>(size, [&](auto at) { sum += at.read(a) * at.read(b); });
    return sum_of<T>(sum);
}

// energy . tanh(query + key)
template <class T> inline T additive_score(const T* energy, const T* query, const T* key, i64 size) {
    typename Simd<T>::V sum = {};
    each_vector<T>(size, [&](auto at) { sum += at.read(energy) * hyperbolic_tangent(at.read(query) + at.read(key)); });
    return sum_of<T>(sum);
}

// to += scale * from
template <class T> inline void add_scaled(T* to, const T* from, T scale, i64 size) {
    each_vector<T>(size, [&](auto at) { at.write(to, at.read(to) + scale * at.read(from)); });
}

// What one query finds in one sequence of the memory. A window (`narrowest` > 0) reads no keys, and its query is two numbers a and w:
//
//   mu[t]    = mu[t-1] + exp(a[t])                        its middle, in steps of the memory
//   sigma[t] = narrowest + exp(w[t])                      its deviation
//   e[t, s]  = -(s - mu[t])^2 / (2 sigma[t]^2)            the score of step s
//
// Backward, g[s] = dL / de[t, s] = weight[s] (dL / dweight[s] - sum_r weight[r] dL / dweight[r]), and mu reaches all later steps:
//
//   dL / dmu[t]    = dL / dmu[t+1] + sum_s g[s] (s - mu[t]) / sigma[t]^2
//   dL / da[t]     = exp(a[t]) dL / dmu[t]
//   dL / dsigma[t] = sum_s g[s] (s - mu[t])^2 / sigma[t]^3
//   dL / dw[t]     = exp(w[t]) dL / dsigma[t]
template <class T> struct Attention {
    const OstinatoDecoder& d;
    i64 A, M;
    bool windowed;

    explicit Attention(const OstinatoDecoder& one) : d(one), A(one.A), M(one.M), windowed(one.narrowest > 0) {}
    i64 memory(i64 b) const { return d.examples ? d.examples[b] : b; }
    i64 first(i64 b) const { return d.memory_offsets[memory(b)]; }
    i64 steps(i64 b) const { return d.memory_offsets[memory(b) + 1] - first(b); }
    const T* keys(i64 s) const { return static_cast<const T*>(d.keys) + s * A; }
    const T* values(i64 s) const { return static_cast<const T*>(d.values) + s * M; }
    T deviation(const T* query) const { return T(d.narrowest) + exponential(query[1]); }

    // `before` and `middle` of a window: of the step before, and of this one, which is written.
    void look(i64 b, const T* query, const T* before, T* middle, T* weights, T* context) const {
        const i64 first = this->first(b), steps = this->steps(b);
        memset(context, 0, sizeof(T) * M);
        if (windowed) *middle = *before + exponential(query[0]);
        if (!steps) return;
        const T* energy = static_cast<const T*>(d.energy);
        const T sigma = windowed ? deviation(query) : T(1);
        T largest = -INFINITY;
        for (i64 s = 0; s < steps; s++) {
            T score;
            if (windowed) {
                const T away = (T(s) - *middle) / sigma;
                score = -(away * away) / 2;
            } else if (energy) {
                score = additive_score(energy, query, keys(first + s), A);
            } else {
                score = T(d.scale) * dot(query, keys(first + s), A);
            }
            weights[s] = score;
            largest = score > largest || score != score ? score : largest;
        }
        T total = 0;
        for (i64 s = 0; s < steps; s++) total += weights[s] = exponential(weights[s] - largest);
        for (i64 s = 0; s < steps; s++) {
            weights[s] /= total;
            add_scaled(context, values(first + s), weights[s], M);
        }
    }

    // Adds to the gradients of the sequence's keys and values, of the energy, and of the middle, which `d_middle` carries from step to
    // step; d_query is written. `space`: as many as steps.
    void backward(i64 b, const T* query, const T* middle, const T* weights, const T* d_context, T* d_query, T* d_energy, T* d_middle, T* space) const {
        const i64 first = this->first(b), steps = this->steps(b);
        const T* energy = static_cast<const T*>(d.energy);
        T mean = 0;
        for (i64 s = 0; s < steps; s++) {
            space[s] = dot(d_context, values(first + s), M);
            mean += weights[s] * space[s];
            add_scaled(static_cast<T*>(d.d_values) + (first + s) * M, d_context, weights[s], M);
        }
        if (windowed) {
            const T sigma = deviation(query);
            T by_middle = 0, by_deviation = 0;
            for (i64 s = 0; s < steps; s++) {
                const T away = (T(s) - *middle) / sigma, through = weights[s] * (space[s] - mean) * away / sigma;
                by_middle += through;
                by_deviation += through * away;
            }
            *d_middle += by_middle;
            d_query[0] = exponential(query[0]) * *d_middle;
            d_query[1] = exponential(query[1]) * by_deviation;
            return;
        }
        for (i64 s = 0; s < steps; s++) space[s] = weights[s] * (space[s] - mean) * (energy ? T(1) : T(d.scale));
        memset(d_query, 0, sizeof(T) * A);
        for (i64 s = 0; s < steps; s++) {
            const T d_score = space[s];
            const T* key = keys(first + s);
            T* d_key = static_cast<T*>(d.d_keys) + (first + s) * A;
            if (!energy) {
                add_scaled(d_query, key, d_score, A);
                add_scaled(d_key, query, d_score, A);
                continue;
            }
            each_vector<T>(A, [&](auto at) {
                const auto t = hyperbolic_tangent(at.read(query) + at.read(key));
                at.write(d_energy, at.read(d_energy) + d_score * t);
                const auto through = d_score * at.read(energy) * (1 - t * t);
                at.write(d_query, at.read(d_query) + through);
                at.write(d_key, at.read(d_key) + through);
            });
        }
    }
};

template <class T, class C> struct Decoder {
    using R = Recurrence<T, C>;
    using V = typename Simd<T>::V;
    static constexpr int W = Simd<T>::width;
    static constexpr i64 G = C::GATES;

    const OstinatoDecoder& d;
    const OstinatoScan* layers;
    i64 L, B, N, H, E, F, A, M;
    bool feeding, fed_back;

    explicit Decoder(const OstinatoDecoder& one)
        : d(one), layers(one.layers), L(one.num_layers), B(layers[0].B), N(layers[0].N), H(layers[0].H), E(layers[0].I), F(one.F), A(one.A), M(one.M),
          feeding(one.feeding), fed_back(!one.feeding || one.fed_back) {}

    const OstinatoScan& top() const { return layers[L - 1]; }
    const T* weight_fed() const { return static_cast<const T*>(layers[0].weight_x) + E; }
    const T* readout() const { return static_cast<const T*>(d.readout); }
    i64 read_width() const { return H + M; }

    // All packed weights of one direction of the loop.
    struct Weights {
        T* cell[MAX_LAYERS];           // packed as the recurrence has it
        Panels<T> below[MAX_LAYERS];   // W_x of the layers above the first
        Panels<T> fed, query, from_top, from_context;
    };

    Weights weights(bool backward, Space* space) const {
        Weights w{};
        const OstinatoGradients none{};
        const bool forward = !backward;
        const i64 width = G * H, wide = read_width();
        for (i64 l = 0; l < L; l++) {
            w.cell[l] = space->take<T>(R(layers[l], backward ? &none : nullptr).early_size());
            if (l) w.below[l] = make(space, static_cast<const T*>(layers[l].weight_x), H, width, H, forward);
        }
        if (fed_back) w.fed = make(space, weight_fed(), E + F, width, F, forward);
        w.query = make(space, static_cast<const T*>(d.query_weight), H, A, H, forward);
        if (feeding) {
            w.from_top = make(space, readout(), wide, F, H, forward);
            w.from_context = make(space, readout() + H, wide, F, M, forward);
        }
        return w;
    }

    // A weight (rows, columns): forward it maps columns to rows, backward rows to columns.
    static Panels<T> make(Space* space, const T* weight, i64 stride, i64 rows, i64 columns, bool forward) {
        Panels<T> one{weight, stride, forward ? columns : rows, forward ? rows : columns, forward, nullptr};
        one.packed = space->take<T>(one.size());
        return one;
    }

    void pack(const Weights& w, bool backward, const Team& team) const {
        const OstinatoGradients none{};
        for (i64 l = 0; l < L; l++) {
            const R one(layers[l], backward ? &none : nullptr);
            for (i64 p = team.thread; p < one.num_panels(); p += team.threads) one.pack(p, w.cell[l], nullptr);
            for (i64 p = team.thread; p < w.below[l].count(); p += team.threads) w.below[l].pack(p);
        }
        const Panels<T>* const others[] = {&w.fed, &w.query, &w.from_top, &w.from_context};
        for (const Panels<T>* each : others)
            for (i64 p = team.thread; p < each->count(); p += team.threads) each->pack(p);
    }

    i64 length(i64 b) const { return layers[0].offsets[b + 1] - layers[0].offsets[b]; }
    i64 place(i64 b, i64 s) const { return layers[0].offsets[b] + s; }
    // Of a row of extra, and of c where there is one.
    i64 extra_width() const { return (C::NUM_C ? C::NUM_C : 1) * H; }
    T* row(void* values, i64 n, i64 width) const { return static_cast<T*>(values) + n * width; }
    const T* row(const void* values, i64 n, i64 width) const { return static_cast<const T*>(values) + n * width; }
    // The weights of step s of sequence b: as many as the memory of b has steps.
    T* attention_row(i64 b, i64 s) const {
        return static_cast<T*>(d.weights) + d.weight_offsets[b] + s * Attention<T>(d).steps(b);
    }

    // Of step n, where the attention is a window.
    T* middle(i64 n) const { return d.middles ? row(d.middles, n, 1) : nullptr; }

    // One thread's pointers, as many of each as it has sequences.
    struct Own {
        Row<T>* rows;
        const T** left;
        const T** more;
        T** out;
        T* space;
    };
    Own own(Space* space) const {
        return {space->take<Row<T>>(B), space->take<const T*>(B), space->take<const T*>(B), space->take<T*>(B), space->take<T>(d.longest_memory + M + A)};
    }

    // ---- forward

    void cell_rows(const OstinatoScan& scan, const i64* sequences, i64 alive, i64 s, const Own& at) const {
        for (i64 i = 0; i < alive; i++) {
            const i64 b = sequences[i], n = place(b, s);
            Row<T>& one = at.rows[i];
            one.gates = row(scan.gates, n, G * H);
            one.hidden = row(scan.hidden, n, H);
            one.before = s ? row(scan.hidden, n - 1, H) : row(scan.start_h, b, H);
            one.extra = C::EXTRA ? row(scan.extra, n, extra_width()) : nullptr;
            one.c = C::NUM_C ? one.extra : nullptr;
            one.c_before = !C::NUM_C ? nullptr : s ? row(scan.extra, n - 1, extra_width()) : row(scan.start_c, b, extra_width());
            one.mask = nullptr, one.masked = nullptr, one.late = nullptr;
        }
    }

    void cell_forward(const OstinatoScan& scan, const T* packed, i64 alive, const Own& at) const {
        constexpr int FORWARD = R::FORWARD;
        alignas(64) T products[R::MOST * FORWARD * W];
        const R one(scan, nullptr);
        for (i64 i = 0; i < alive; i++) at.left[i] = at.rows[i].before;
        for (i64 p = 0; p < one.forward_panels(); p++)
            for (i64 i = 0; i < alive;) {
                const int rows = next_tile<FORWARD>(alive - i);
                tile_of<T, FORWARD>(rows, H, at.left + i, packed + p * FORWARD * W * H, products, FORWARD * W, false);
                for (int r = 0; r < rows; r++)
                    for (int u = 0; u < C::UNITS; u++)
                        one.each_unit((p * C::UNITS + u) * W, [&](auto here) {
                            const V* product = reinterpret_cast<const V*>(products) + r * FORWARD + u * C::PRODUCTS;
                            C::forward(at.rows[i + r], here, product, static_cast<const T*>(scan.peepholes), static_cast<const T*>(scan.bias_n));
                        });
                i += rows;
            }
    }

    // The queries of the rows whose top hidden states are at.left, and what they find.
    void look(const Weights& w, const i64* sequences, i64 alive, i64 s, const Own& at) const {
        if (d.query_weight) {
            for (i64 i = 0; i < alive; i++) {
                at.out[i] = row(d.queries, place(sequences[i], s), A);
                if (d.query_bias) memcpy(at.out[i], d.query_bias, sizeof(T) * A);
            }
            rows_product(alive, at.left, w.query, at.out, d.query_bias != nullptr);
        }
        const Attention<T> attention(d);
        for (i64 i = 0; i < alive; i++) {
            const i64 b = sequences[i], n = place(b, s);
            const T* before = !d.middles ? nullptr : s ? middle(n - 1) : row(d.start_middle, b, 1);
            attention.look(b, d.query_weight ? row(d.queries, n, A) : at.left[i], before, middle(n), attention_row(b, s), row(d.contexts, n, M));
        }
    }

    void forward(const Weights& w, const i64* sequences, i64 num, const Own& at) const {
        i64 alive = num;
        for (i64 s = 0; alive; s++) {
            while (alive && length(sequences[alive - 1]) <= s) alive--;
            if (!alive) break;
            if (!feeding) {
                for (i64 i = 0; i < alive; i++) at.left[i] = top_before(sequences[i], s);
                look(w, sequences, alive, s, at);
            }
            if (fed_back) {
                for (i64 i = 0; i < alive; i++) {
                    const i64 b = sequences[i], n = place(b, s);
                    at.left[i] = fed_row(b, s);
                    at.out[i] = row(layers[0].gates, n, G * H);
                }
                rows_product(alive, at.left, w.fed, at.out, true);
            }
            for (i64 l = 0; l < L; l++) {
                const OstinatoScan& scan = layers[l];
                if (l) {
                    for (i64 i = 0; i < alive; i++) {
                        const i64 n = place(sequences[i], s);
                        at.left[i] = dropped(l, n);
                        at.out[i] = row(scan.gates, n, G * H);
                        if (scan.bias) memcpy(at.out[i], scan.bias, sizeof(T) * G * H);
                    }
                    rows_product(alive, at.left, w.below[l], at.out, scan.bias != nullptr);
                }
                cell_rows(scan, sequences, alive, s, at);
                cell_forward(scan, w.cell[l], alive, at);
            }
            if (!feeding) continue;
            for (i64 i = 0; i < alive; i++) at.left[i] = row(top().hidden, place(sequences[i], s), H);
            look(w, sequences, alive, s, at);
            for (i64 i = 0; i < alive; i++) {
                const i64 n = place(sequences[i], s);
                at.left[i] = row(top().hidden, n, H);
                at.more[i] = row(d.contexts, n, M);
                at.out[i] = row(d.features, n, F);
                if (d.readout_bias) memcpy(at.out[i], d.readout_bias, sizeof(T) * F);
            }
            rows_product(alive, at.left, w.from_top, at.out, d.readout_bias != nullptr);
            rows_product(alive, at.more, w.from_context, at.out, true);
            for (i64 i = 0; i < alive; i++)
                each_vector<T>(F, [&](auto here) { here.write(at.out[i], hyperbolic_tangent(here.read(at.out[i]))); });
        }
    }

    const T* top_before(i64 b, i64 s) const { return s ? row(top().hidden, place(b, s) - 1, H) : row(top().start_h, b, H); }
    // What enters the first cell at step s beside the embedding.
    const T* fed_row(i64 b, i64 s) const {
        if (!feeding) return row(d.contexts, place(b, s), M);
        return s ? row(d.features, place(b, s) - 1, F) : row(d.start_fed, b, F);
    }
    // What layer l reads of the one below: with dropout a row of its own, made here.
    const T* dropped(i64 l, i64 n) const {
        const OstinatoScan& below = layers[l - 1];
        if (!layers[l].mask) return row(below.hidden, n, H);
        T* to = static_cast<T*>(d.dropped) + ((l - 1) * N + n) * H;
        const T* from = row(below.hidden, n, H);
        const T* mask = row(layers[l].mask, n, H);
        each_vector<T>(H, [&](auto here) { here.write(to, here.read(from) * here.read(mask)); });
        return to;
    }

    // ---- backward. d_state of layer l, (B, H), carries dh from step to step beside the products; so does d_start_c.

    void backward(const Weights& w, const i64* sequences, i64 num, const Own& at) const {
        if (!num) return;
        const OstinatoGradients* gradients = d.layer_gradients;
        for (i64 i = 0; i < num; i++) {
            const i64 b = sequences[i], first = d.memory_offsets[b], steps = d.memory_offsets[b + 1] - first;
            for (i64 l = 0; l < L; l++) {
                memset(row(gradients[l].d_start_h, b, H), 0, sizeof(T) * H);
                if (C::NUM_C) memset(row(gradients[l].d_start_c, b, extra_width()), 0, sizeof(T) * extra_width());
            }
            if (feeding) memset(row(d.d_start_fed, b, F), 0, sizeof(T) * F);
            if (d.energy) memset(row(d.d_energy, b, A), 0, sizeof(T) * A);
            if (d.narrowest > 0) *row(d.d_start_middle, b, 1) = 0;
            else memset(row(d.d_keys, first, A), 0, sizeof(T) * A * steps);
            memset(row(d.d_values, first, M), 0, sizeof(T) * M * steps);
        }
        i64 alive = 0;
        for (i64 s = length(sequences[0]) - 1; s >= 0; s--) {
            while (alive < num && length(sequences[alive]) > s) alive++;
            if (feeding) {
                // d_features holds what the loss sends; the step after has added what came through the first cell
                for (i64 i = 0; i < alive; i++) {
                    const i64 n = place(sequences[i], s);
                    T* through = row(d.d_features, n, F);
                    const T* said = row(d.features, n, F);
                    each_vector<T>(F, [&](auto here) {
                        const V a = here.read(said);
                        here.write(through, here.read(through) * (1 - a * a));
                    });
                    at.left[i] = through;
                    at.out[i] = row(gradients[L - 1].d_start_h, sequences[i], H);
                }
                rows_product(alive, at.left, w.from_top, at.out, true);
                for (i64 i = 0; i < alive; i++) at.out[i] = row(d.d_contexts, place(sequences[i], s), M);
                rows_product(alive, at.left, w.from_context, at.out, false);
                look_backward(w, sequences, alive, s, at);
            }
            for (i64 l = L - 1; l >= 0; l--) cell_backward(layers[l], gradients[l], l, w, sequences, alive, s, at);
            if (!fed_back) continue;
            // through the first cell to what was fed
            for (i64 i = 0; i < alive; i++) {
                const i64 b = sequences[i], n = place(b, s);
                at.left[i] = row(gradients[0].d_gates, n, G * H);
                at.out[i] = !feeding ? row(d.d_contexts, n, M) : s ? row(d.d_features, n - 1, F) : row(d.d_start_fed, b, F);
            }
            rows_product(alive, at.left, w.fed, at.out, true);
            if (!feeding) look_backward(w, sequences, alive, s, at);
        }
    }

    // From the gradient of step s's contexts to that of the top hidden state that asked, which is added to the carried one.
    void look_backward(const Weights& w, const i64* sequences, i64 alive, i64 s, const Own& at) const {
        const Attention<T> attention(d);
        T* space = at.space;
        for (i64 i = 0; i < alive; i++) {
            const i64 b = sequences[i], n = place(b, s);
            const T* asked = feeding ? row(top().hidden, n, H) : top_before(b, s);
            T* d_query = d.query_weight ? row(d.d_queries, n, A) : space + d.longest_memory + M;
            attention.backward(b, d.query_weight ? row(d.queries, n, A) : asked, middle(n), attention_row(b, s), row(d.d_contexts, n, M), d_query, d.energy ? row(d.d_energy, b, A) : nullptr, d.d_start_middle ? row(d.d_start_middle, b, 1) : nullptr, space);
            at.left[i] = d_query;
            at.out[i] = row(d.layer_gradients[L - 1].d_start_h, b, H);
            if (!d.query_weight) add_scaled(at.out[i], d_query, T(1), H);
        }
        if (d.query_weight) rows_product(alive, at.left, w.query, at.out, true);
    }

    void cell_backward(const OstinatoScan& scan, const OstinatoGradients& g, i64 l, const Weights& w, const i64* sequences, i64 alive, i64 s, const Own& at) const {
        constexpr int PLAIN = R::PLAIN;
        cell_rows(scan, sequences, alive, s, at);
        for (i64 i = 0; i < alive; i++) {
            const i64 b = sequences[i], n = place(b, s);
            Row<T>& one = at.rows[i];
            one.d_gates = row(g.d_gates, n, G * H);
            one.d_extra = C::EXTRA_PRODUCT ? row(g.d_extra, n, H) : nullptr;
            one.d_h = row(g.d_start_h, b, H);
            one.d_c = C::NUM_C ? row(g.d_start_c, b, extra_width()) : nullptr;
        }
        const T* d_hidden = l == L - 1 ? static_cast<const T*>(g.d_hidden) : nullptr;
        for (i64 i = 0; i < alive; i++)
            each_vector<T>(H, [&](auto here) {
                V d_h = here.read(at.rows[i].d_h);
                if (d_hidden) d_h += here.read(row(d_hidden, place(sequences[i], s), H));
                C::backward(at.rows[i], here, d_h, static_cast<const T*>(scan.peepholes));
            });
        // what the step before receives: the carried part that the cell has written, and the product
        const R one(scan, &g);
        alignas(64) T products[R::MOST * PLAIN * W];
        for (i64 i = 0; i < alive; i++) {
            at.left[i] = at.rows[i].d_gates;
            at.more[i] = at.rows[i].d_extra;
        }
        for (i64 p = 0; p < one.plain_panels(); p++) {
            const T* panel = w.cell[l] + p * PLAIN * W * one.depth();
            for (i64 i = 0; i < alive;) {
                const int rows = next_tile<PLAIN>(alive - i);
                tile_of<T, PLAIN>(rows, C::SEEN * H, at.left + i, panel, products, PLAIN * W, false);
                if (C::EXTRA_PRODUCT) tile_of<T, PLAIN>(rows, H, at.more + i, panel + C::SEEN * H * PLAIN * W, products, PLAIN * W, true);
                for (int r = 0; r < rows; r++)
                    for (int u = 0; u < PLAIN; u++)
                        one.each_unit((p * PLAIN + u) * W, [&](auto here) {
                            T* to = at.rows[i + r].d_h;
                            here.write(to, here.read(to) + reinterpret_cast<const V*>(products)[r * PLAIN + u]);
                        });
                i += rows;
            }
        }
        if (!l) return;
        // the layer below: its own dropout, then added to what its next step carried
        T* below = static_cast<T*>(d.d_below);
        for (i64 i = 0; i < alive; i++) at.out[i] = below + sequences[i] * H;
        rows_product(alive, at.left, w.below[l], at.out, false);
        for (i64 i = 0; i < alive; i++) {
            T* to = row(d.layer_gradients[l - 1].d_start_h, sequences[i], H);
            const T* mask = scan.mask ? row(scan.mask, place(sequences[i], s), H) : nullptr;
            each_vector<T>(H, [&](auto here) {
                V value = here.read(at.out[i]);
                if (mask) value *= here.read(mask);
                here.write(to, here.read(to) + value);
            });
        }
    }
};

}  // namespace
