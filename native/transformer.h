// One step of each row through the layers of a Transformer, without a gradient: what generation repeats, in one call.
//
//   x = x + sublayer(norm(x))  or  x = norm(x + sublayer(x));  a sublayer: attention to the row's own steps, then to each input, then
//   a feed-forward net
//
// Rows are dealt to threads, and no thread waits for another: a row's numbers do not depend on the rows beside it. Some rows at a time go
// through all layers, so that what lies between two maps stays in the cache. A single row is bound by the memory that weights lie in.
#pragma once

#include "decoder.h"

namespace {

template <class T> struct TransformerStep {
    using V = typename Simd<T>::V;
    static constexpr int W = Simd<T>::width;
    static constexpr T HEAD_EPSILON = T(1e-6);  // of the norms of queries and keys

    const OstinatoStep& s;
    i64 R, H, A, K, D, inner, longest;

    explicit TransformerStep(const OstinatoStep& one)
        : s(one), R(one.R), H(one.H), A(one.A), K(one.K), D(one.D), inner(one.F), longest(one.filled + 1) {
        for (i64 k = 0; k < one.num_looks; k++) longest = max_of(longest, one.layers[0].looks[k].S);
    }

    static const T* numbers(const void* from) { return static_cast<const T*>(from); }
    i64 wide() const { return (A + 2 * K) * D; }
    i64 first_size() const { return s.activation == STEP_SWIGLU ? 2 * inner : inner; }

    // ---- weights

    struct Map {
        Right<T> right;
        const T* bias;
        T* packed;
    };
    struct Maps {
        Map read, output, first, second, asked[MAX_LOOKS], found[MAX_LOOKS];
    };

    static Map map(Space* weights, const void* weight, const void* bias, i64 columns, i64 rows) {
        Map one{{numbers(weight), columns, columns, rows, true}, numbers(bias), nullptr};
        one.packed = weights->take<T>(one.right.packed_size());
        return one;
    }

    // Of the next layer: the packed weights lie one after the other.
    Maps maps(const OstinatoLayer& layer, Space* weights) const {
        Maps all{};
        all.read = map(weights, layer.read_weight, layer.read_bias, H, wide());
        all.output = map(weights, layer.output_weight, layer.output_bias, H, H);
        for (i64 k = 0; k < s.num_looks; k++) {
            const OstinatoLook& look = layer.looks[k];
            all.asked[k] = map(weights, look.query_weight, look.query_bias, H, H);
            all.found[k] = map(weights, look.output_weight, look.output_bias, H, H);
        }
        all.first = map(weights, layer.first_weight, layer.first_bias, H, first_size());
        all.second = map(weights, layer.second_weight, layer.second_bias, inner, H);
        return all;
    }

    T* take_weights(Space* space) const {
        T* begin = space->take<T>(0);
        for (i64 l = 0; l < s.num_layers; l++) maps(s.layers[l], space);
        return begin;
    }

    void pack(T* packed, const Team& team) const {
        Space weights{reinterpret_cast<char*>(packed)};
        const auto all_panels = [&](const Map& one) {
            for (i64 p = team.thread; p < one.right.panels(); p += team.threads) one.right.pack(p, one.packed + p * one.right.lanes * one.right.items());
        };
        for (i64 l = 0; l < s.num_layers; l++) {
            const Maps all = maps(s.layers[l], &weights);
            all_panels(all.read), all_panels(all.output), all_panels(all.first), all_panels(all.second);
            for (i64 k = 0; k < s.num_looks; k++) all_panels(all.asked[k]), all_panels(all.found[k]);
        }
    }

    static void apply(const Map& one, i64 rows, const T* left, i64 left_stride, T* out) {
        multiply<T, T>(left, left_stride, one.packed, one.right, one.bias, out, one.right.N, 0, rows, 0, one.right.panels(), nullptr);
    }

    // ---- numbers of one row

    // The sum of a vector's lanes, by halves.
    static T all_lanes(V value) {
        T lanes[W];
        memcpy(lanes, &value, sizeof lanes);
        for (int half = W / 2; half; half /= 2)
            for (int k = 0; k < half; k++) lanes[k] += lanes[k + half];
        return lanes[0];
    }

    // sum over k of term(a[k], b[k])
    template <class Term> static T summed(const T* a, const T* b, i64 size, Term&& term) {
        V sum = {};
        i64 k = 0;
        for (; k + W <= size; k += W) sum += term(load(a + k), load(b + k));
        T total = W > 1 ? all_lanes(sum) : sum[0];
        for (; k < size; k++) total += term(a[k], b[k]);
        return total;
    }

    static T root(T value) { return sizeof(T) == sizeof(float) ? T(__builtin_sqrtf(float(value))) : T(__builtin_sqrt(double(value))); }

    void norm(const T* x, T* y, const void* weight, const void* bias) const {
        const T mean = s.norm == STEP_LAYER_NORM ? summed(x, x, H, [](auto a, auto) { return a; }) / T(H) : T(0);
        const T square = summed(x, x, H, [mean](auto a, auto) { return (a - mean) * (a - mean); }) / T(H);
        const T scale = 1 / root(square + T(s.epsilon));
        each_vector<T>(H, [&](auto at) {
            V value = (at.read(x) - mean) * scale;
            if (weight) value *= at.read(numbers(weight));
            if (bias) value += at.read(numbers(bias));
            at.write(y, value);
        });
    }

    // Heads that lie beside each other, normed by themselves and turned by their place.
    void turn(T* heads, i64 count, const void* gain) const {
        for (i64 a = 0; a < count; a++) {
            T* head = heads + a * D;
            if (gain) {
                const T scale = 1 / root(summed(head, head, D, [](auto x, auto y) { return x * y; }) / T(D) + HEAD_EPSILON);
                each_vector<T>(D, [&](auto at) { at.write(head, at.read(head) * scale * at.read(numbers(gain) + a * D)); });
            }
            if (s.cosines)
                each_vector<T>(D / 2, [&](auto at) {
                    const V first = at.read(head), second = at.read(head + D / 2), c = at.read(numbers(s.cosines)), d = at.read(numbers(s.sines));
                    at.write(head, first * c - second * d);
                    at.write(head + D / 2, second * c + first * d);
                });
        }
    }

    // What one query (D) finds in steps, whose keys and values (steps, D) lie one after the other. `weights`: as many as steps.
    void attend(const T* query, const T* keys, const T* values, i64 steps, T* weights, T* context) const {
        const T scale = 1 / root(T(D));
        T largest = -INFINITY;
        for (i64 t = 0; t < steps; t++) {
            const T score = scale * summed(query, keys + t * D, D, [](auto x, auto y) { return x * y; });
            weights[t] = score;
            largest = score > largest || score != score ? score : largest;
        }
        each_vector<T>(steps, [&](auto at) { at.write(weights, exponential(at.read(weights) - largest)); });
        const T total = summed(weights, weights, steps, [](auto x, auto) { return x; });
        each_vector<T>(steps, [&](auto at) { at.write(weights, at.read(weights) / total); });
        each_vector<T>(D, [&](auto at) {
            V sum = {};
            for (i64 t = 0; t < steps; t++) sum += weights[t] * at.read(values + t * D);
            at.write(context, sum);
        });
    }

    void activate(i64 rows, T* x) const {
        const i64 size = first_size();
        for (i64 r = 0; r < rows; r++) {
            T* row = x + r * size;
            each_vector<T>(inner, [&](auto at) {
                const V value = at.read(row);
                if (s.activation == STEP_SWIGLU) return at.write(row, value * sigmoid(value) * at.read(row + inner));
                const V kept = value <= 0 ? V{} : value;  // so NaN is kept
                at.write(row, s.activation == STEP_SQUARED_RELU ? kept * kept : kept);
            });
        }
    }

    // ---- rows through all layers

    // One thread's room for rows between two maps.
    struct Own {
        T *normed, *read, *found, *weights;
        i64 rows;
    };
    Own own(Space* space, i64 threads) const {
        const i64 rows = min_of(ROWS_AT_ONCE, (R + threads - 1) / threads), widest = max_of(max_of(wide(), first_size()), H);
        return {space->take<T>(rows * H), space->take<T>(rows * widest), space->take<T>(rows * H), space->take<T>(longest), rows};
    }

    // x += y, normed afterwards where norms come last.
    void add(i64 rows, T* x, const T* y, const void* weight, const void* bias) const {
        for (i64 r = 0; r < rows; r++) {
            T* to = x + r * H;
            each_vector<T>(H, [&](auto at) { at.write(to, at.read(to) + at.read(y + r * H)); });
            if (!s.norm_first) norm(to, to, weight, bias);
        }
    }

    // What a sublayer reads.
    const T* before(i64 rows, const T* x, const Own& at, const void* weight, const void* bias) const {
        if (!s.norm_first) return x;
        for (i64 r = 0; r < rows; r++) norm(x + r * H, at.normed + r * H, weight, bias);
        return at.normed;
    }

    void attend_to_itself(const OstinatoLayer& layer, i64 first, i64 rows, const Own& at) const {
        const i64 steps = s.filled + 1, head_room = s.capacity * D;
        for (i64 r = 0; r < rows; r++) {
            T* read = at.read + r * wide();
            turn(read, A + K, layer.gain);
            T* keys = static_cast<T*>(layer.keys) + (first + r) * K * head_room;
            T* values = static_cast<T*>(layer.values) + (first + r) * K * head_room;
            for (i64 k = 0; k < K; k++) {
                memcpy(keys + k * head_room + s.filled * D, read + (A + k) * D, sizeof(T) * D);
                memcpy(values + k * head_room + s.filled * D, read + (A + K + k) * D, sizeof(T) * D);
            }
            for (i64 a = 0; a < A; a++) {
                const i64 k = a / (A / K);
                attend(read + a * D, keys + k * head_room, values + k * head_room, steps, at.weights, at.found + r * H + a * D);
            }
        }
    }

    void attend_to_input(const OstinatoLook& look, i64 first, i64 rows, const Own& at) const {
        for (i64 r = 0; r < rows; r++) {
            const i64 row = first + r, example = s.examples ? s.examples[row] : row;
            const i64 real = look.lengths ? look.lengths[example] : look.S;
            const i64 steps = real || !look.S ? real : 1;  // an input without steps is one of zeros
            T* query = at.read + r * H;
            turn(query, A, look.gain);
            T* shown = look.weights ? static_cast<T*>(look.weights) + row * look.S : nullptr;
            if (shown) memset(shown, 0, sizeof(T) * look.S);
            if (!steps) memset(at.found + r * H, 0, sizeof(T) * H);
            for (i64 a = 0; steps && a < A; a++) {
                const i64 begin = (example * K + a / (A / K)) * look.S * D;
                attend(query + a * D, numbers(look.keys) + begin, numbers(look.values) + begin, steps, at.weights, at.found + r * H + a * D);
                if (shown && real) add_scaled(shown, at.weights, T(1), real);
            }
            if (shown) each_vector<T>(look.S, [&](auto here) { here.write(shown, here.read(shown) / T(A)); });
        }
    }

    void forward(i64 first, i64 rows, T* packed, const Own& at) const {
        Space weights{reinterpret_cast<char*>(packed)};
        T* x = static_cast<T*>(s.out) + first * H;
        memcpy(x, numbers(s.x) + first * H, sizeof(T) * rows * H);
        for (i64 l = 0; l < s.num_layers; l++) {
            const OstinatoLayer& layer = s.layers[l];
            const Maps all = maps(layer, &weights);
            apply(all.read, rows, before(rows, x, at, layer.norm_weight, layer.norm_bias), H, at.read);
            attend_to_itself(layer, first, rows, at);
            apply(all.output, rows, at.found, H, at.read);
            add(rows, x, at.read, layer.norm_weight, layer.norm_bias);
            for (i64 k = 0; k < s.num_looks; k++) {
                const OstinatoLook& look = layer.looks[k];
                apply(all.asked[k], rows, before(rows, x, at, look.norm_weight, look.norm_bias), H, at.read);
                attend_to_input(look, first, rows, at);
                apply(all.found[k], rows, at.found, H, at.read);
                add(rows, x, at.read, look.norm_weight, look.norm_bias);
            }
            apply(all.first, rows, before(rows, x, at, layer.last_norm_weight, layer.last_norm_bias), H, at.read);
            activate(rows, at.read);
            apply(all.second, rows, at.read, first_size(), at.found);
            add(rows, x, at.found, layer.last_norm_weight, layer.last_norm_bias);
        }
        if (s.norm_after)
            for (i64 r = 0; r < rows; r++) norm(x + r * H, x + r * H, s.norm_weight, s.norm_bias);
    }

    // ---- the call

    T* plan(Space* space, i64 threads, i64 thread, Own* mine) const {
        T* packed = s.packed ? static_cast<T*>(s.packed) : take_weights(space);
        *mine = own_of(threads, thread, [&] { return own(space, threads); });
        return packed;
    }

    i64 space(i64 threads) const {
        Space counted{nullptr};
        Own mine;
        plan(&counted, threads, 0, &mine);
        return counted.used;
    }

    i64 packed_size() const {
        Space counted{nullptr};
        take_weights(&counted);
        return counted.used;
    }

    void run(char* base, const Team& team) const {
        Space space{base};
        Own mine{};
        T* packed = plan(&space, team.threads, team.thread, &mine);
        if (!s.packed || !s.packed_ready) {
            pack(packed, team);
            wait(team.all, team.threads);
        }
        const i64 end = R * (team.thread + 1) / team.threads;
        for (i64 first = R * team.thread / team.threads; first < end; first += mine.rows) forward(first, min_of(mine.rows, end - first), packed, mine);
    }
};

}  // namespace
