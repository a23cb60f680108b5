// A program that needs neither Python nor torch and proves the boundary: the cells against their equations, gradients against
// finite differences, threads against each other, and wrong arguments against errors. run.sh builds it with sanitizers.
//
//   boundary_test           everything but the last
//   boundary_test threads   where threads meet
//   boundary_test ulp       sigmoid and tanh on every float32 of [-20, 20]: minutes
#include "../ostinato.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

std::atomic<int> failures{0};

void expect(bool holds, const std::string& what) {
    if (holds) return;
    failures++;
    fprintf(stderr, "FAILED %s (last message: %s)\n", what.c_str(), ostinato_error());
}

#define NAME(number, name, ...) name,
const char* const NAMES[] = {OSTINATO_CELLS(NAME)};
#define NUM_GATES(number, name, Cell, gates, ...) gates,
const int GATES[] = {OSTINATO_CELLS(NUM_GATES)};
#define OF_C(number, name, Cell, gates, num_c, ...) num_c,
const int NUM_C[] = {OSTINATO_CELLS(OF_C)};
#define OF_PEEPHOLES(number, name, Cell, gates, num_c, peepholes, ...) peepholes,
const int PEEPHOLES[] = {OSTINATO_CELLS(OF_PEEPHOLES)};

bool is_slstm(int64_t cell) { return cell == SLSTM || cell == SLSTM_EXPONENTIAL; }
bool is_gru(int64_t cell) { return cell == GRU_AFTER || cell == GRU_BEFORE; }
int64_t in_extra(int64_t cell) { return NUM_C[cell] ? NUM_C[cell] : 1; }

std::vector<std::string> instruction_sets() {
    std::istringstream names(ostinato_instruction_sets());
    std::vector<std::string> all;
    for (std::string name; names >> name;) all.push_back(name);
    return all;
}

// Buffers of exactly the size asked for, one number beyond what malloc aligns, so that a sanitizer sees the first wrong byte.
class Memory {
public:
    explicit Memory(unsigned seed) : random(seed) {}

    template <class T> T* numbers(int64_t count, double scale) {
        blocks_.emplace_back(new char[(count + 1) * sizeof(T)]);
        T* made = reinterpret_cast<T*>(blocks_.back().get()) + 1;
        std::uniform_real_distribution<double> draw(-scale, scale);
        for (int64_t k = 0; k < count; k++) made[k] = T(draw(random));
        return made;
    }

    std::mt19937 random;

private:
    std::vector<std::unique_ptr<char[]>> blocks_;
};

// Bytes at a multiple of 64.
class Room {
public:
    explicit Room(int64_t bytes) : memory_(aligned_alloc(64, (bytes + 63) / 64 * 64)) {}
    Room(const Room&) = delete;
    ~Room() { free(memory_); }
    void* at() const { return memory_; }

private:
    void* memory_;
};

struct Kind {
    int64_t cell;
    std::vector<int64_t> lengths;
    int64_t I, H;
    bool reverse = false, mask = false, bias = true, peepholes = false;
};

// A scan and its gradients with all their memory. The named arrays are what a gradient is asked for.
template <class T> struct Case {
    struct Part {
        void *values, *gradient;
        int64_t count;
    };

    Kind kind;
    Memory memory;
    std::vector<int64_t> offsets, order;
    OstinatoScan scan{};
    OstinatoGradients d{};
    T *weight_of_hidden, *weight_of_h, *weight_of_c;
    std::vector<Part> parts;

    explicit Case(const Kind& one, bool training = true, unsigned seed = 1) : kind(one), memory(seed) {
        const int64_t B = one.lengths.size(), H = one.H, width = GATES[one.cell] * H;
        offsets.push_back(0);
        for (int64_t length : one.lengths) offsets.push_back(offsets.back() + length);
        for (int64_t b = 0; b < B; b++) order.push_back(b);
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return one.lengths[a] > one.lengths[b]; });
        const int64_t N = offsets.back();
        const int64_t num_c = NUM_C[one.cell];
        const bool after = one.cell == GRU_AFTER;
        const auto input = [&](int64_t count, bool wanted, void** gradient, double scale = 0.5) -> T* {
            if (!wanted) return nullptr;
            T* made = memory.numbers<T>(count, scale);
            *gradient = memory.numbers<T>(count, 9);
            parts.push_back({made, *gradient, count});
            return made;
        };
        const auto room = [&](int64_t count) { return memory.numbers<T>(count, 9); };
        scan.cell = one.cell, scan.is_double = sizeof(T) == 8, scan.reverse = one.reverse;
        scan.B = B, scan.N = N, scan.I = one.I, scan.H = H, scan.x_stride = one.I, scan.hidden_stride = H;
        scan.offsets = offsets.data(), scan.order = order.data();
        scan.x = input(N * one.I, true, &d.d_x, 1);
        scan.weight_x = input(width * one.I, true, &d.d_weight_x);
        scan.weight_h = input(width * H, true, &d.d_weight_h, 1 / sqrt(double(H)));
        scan.bias = input(width, one.bias, &d.d_bias);
        scan.bias_n = input(H, one.bias && after, &d.d_bias_n);
        scan.peepholes = input(PEEPHOLES[one.cell] * H, one.peepholes && PEEPHOLES[one.cell], &d.d_peepholes);
        scan.start_h = input(B * H, true, &d.d_start_h);
        scan.start_c = input(B * num_c * H, num_c, &d.d_start_c);
        T* mask = one.mask ? room(B * H) : nullptr;
        for (int64_t k = 0; mask && k < B * H; k++) mask[k] = mask[k] > 0 ? 2 : 0;
        scan.mask = mask;
        scan.gates = room(N * width);
        scan.extra = training && one.cell > RNN_LEAKY_RELU ? room(N * in_extra(one.cell) * H) : nullptr;
        scan.hidden = room(N * H);
        scan.last_h = room(B * H);
        scan.last_c = num_c ? room(B * num_c * H) : nullptr;
        weight_of_hidden = memory.numbers<T>(N * H, 1), weight_of_h = memory.numbers<T>(B * H, 1), weight_of_c = memory.numbers<T>(B * in_extra(one.cell) * H, 1);
        d.d_hidden = weight_of_hidden, d.d_hidden_stride = H, d.d_last_h = weight_of_h, d.d_last_c = num_c ? weight_of_c : nullptr;
        d.d_gates = room(N * width);
        d.d_extra = after ? room(N * H) : nullptr;
    }

    int64_t forward() { return ostinato_forward(&scan, 1); }
    int64_t backward() { return ostinato_backward(&scan, &d); }

    std::vector<T> outputs() const {
        std::vector<T> all;
        append(&all, scan.hidden, scan.N * scan.H);
        append(&all, scan.last_h, scan.B * scan.H);
        if (scan.last_c) append(&all, scan.last_c, scan.B * NUM_C[scan.cell] * scan.H);
        return all;
    }

    std::vector<T> everything() const {
        std::vector<T> all = outputs();
        for (const Part& part : parts) append(&all, part.gradient, part.count);
        return all;
    }

    double loss() const {
        double sum = 0;
        const auto add = [&](const void* values, const T* weights, int64_t count) {
            for (int64_t k = 0; k < count; k++) sum += double(static_cast<const T*>(values)[k]) * weights[k];
        };
        add(scan.hidden, weight_of_hidden, scan.N * scan.H);
        add(scan.last_h, weight_of_h, scan.B * scan.H);
        if (scan.last_c) add(scan.last_c, weight_of_c, scan.B * NUM_C[scan.cell] * scan.H);
        return sum;
    }

    static void append(std::vector<T>* all, const void* values, int64_t count) {
        if (count) all->insert(all->end(), static_cast<const T*>(values), static_cast<const T*>(values) + count);
    }

    std::string name() const {
        std::ostringstream out;
        out << NAMES[kind.cell] << (sizeof(T) == 8 ? " float64" : " float32") << " B=" << scan.B << " N=" << scan.N << " I=" << scan.I << " H=" << scan.H
            << (kind.reverse ? " reverse" : "") << (kind.mask ? " mask" : "") << (kind.bias ? "" : " no bias") << (kind.peepholes ? " peepholes" : "");
        return out.str();
    }
};

template <class T> bool equal(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && (a.empty() || !memcmp(a.data(), b.data(), a.size() * sizeof(T)));
}

template <class A, class B> double apart(const std::vector<A>& a, const std::vector<B>& b) {
    if (a.size() != b.size()) return INFINITY;
    double largest = 1e-3, worst = 0;
    for (size_t k = 0; k < a.size(); k++) {
        const double difference = fabs(double(a[k]) - double(b[k]));
        largest = std::max(largest, fabs(double(b[k])));
        worst = std::max(worst, difference == difference ? difference : INFINITY);
    }
    return worst / largest;
}

std::vector<Kind> kinds(bool every) {
    std::vector<Kind> all;
    const std::vector<std::vector<int64_t>> lengths = every ? std::vector<std::vector<int64_t>>{{3, 0, 5, 1, 5}, {4}, {}, {0, 0}, {2, 9, 1, 1, 7, 3, 3, 8, 2}}
                                                            : std::vector<std::vector<int64_t>>{{3, 0, 5, 1, 5}, {4}};
    const std::vector<int64_t> sizes = every ? std::vector<int64_t>{1, 2, 7, 16, 17, 33, 65} : std::vector<int64_t>{5, 34};
    int turn = 0;
    for (int64_t cell = 0; cell < NUM_CELLS; cell++)
        for (const auto& each : lengths)
            for (int64_t H : sizes) {
                turn++;
                all.push_back({cell, each, std::vector<int64_t>{3, 0, 1, 19}[turn % 4], H, turn % 2 == 0, turn % 3 == 0, turn % 5 != 0, turn % 2 == 1});
            }
    return all;
}

// ---- the equations (docstrings of ostinato/cells), a number at a time

double sigmoid(double x) { return 1 / (1 + exp(-x)); }

template <class T> std::vector<double> by_equations(const Case<T>& one) {
    const OstinatoScan& s = one.scan;
    const int64_t H = s.H, G = GATES[s.cell], C = NUM_C[s.cell] * H;
    const auto at = [](const void* values, int64_t k) { return values ? double(static_cast<const T*>(values)[k]) : 0.0; };
    std::vector<double> hidden(s.N * H), last_h(s.B * H), last_c(s.B * C);
    for (int64_t b = 0; b < s.B; b++) {
        std::vector<double> h(H), c(C), a(G * H);
        for (int64_t j = 0; j < H; j++) h[j] = at(s.start_h, b * H + j);
        for (int64_t j = 0; j < C; j++) c[j] = at(s.start_c, b * C + j);
        const auto product = [&](int64_t row, const std::vector<double>& of) {
            double sum = 0;
            for (int64_t k = 0; k < H; k++) sum += at(s.weight_h, row * H + k) * of[k] * (s.mask ? at(s.mask, b * H + k) : 1);
            return sum;
        };
        const int64_t steps = s.offsets[b + 1] - s.offsets[b];
        for (int64_t t = 0; t < steps; t++) {
            const int64_t n = s.reverse ? s.offsets[b + 1] - 1 - t : s.offsets[b] + t;
            for (int64_t row = 0; row < G * H; row++) {
                a[row] = at(s.bias, row);
                for (int64_t k = 0; k < s.I; k++) a[row] += at(s.weight_x, row * s.I + k) * at(s.x, n * s.x_stride + k);
            }
            std::vector<double> next(H), reset(H);
            for (int64_t j = 0; j < H; j++) {
                if (s.cell <= RNN_LEAKY_RELU) {
                    const double sum = a[j] + product(j, h);
                    next[j] = s.cell == RNN_TANH ? tanh(sum) : sum > 0 ? sum : s.cell == RNN_RELU ? 0 : 0.01 * sum;
                } else if (is_slstm(s.cell)) {
                    const double a_i = a[j] + product(j, h), a_f = a[H + j] + product(H + j, h);
                    const double kept = (s.cell == SLSTM ? log(sigmoid(a_f)) : a_f) + c[2 * H + j], m = std::max(kept, a_i);
                    const double f = exp(kept - m), i = exp(a_i - m);
                    c[j] = f * c[j] + i * tanh(a[2 * H + j] + product(2 * H + j, h));
                    c[H + j] = f * c[H + j] + i;
                    c[2 * H + j] = m;
                    next[j] = sigmoid(a[3 * H + j] + product(3 * H + j, h)) * c[j] / std::max(c[H + j], 1.0);
                } else if (!is_gru(s.cell)) {
                    const bool coupled = s.cell == LSTM_COUPLED;
                    const int64_t f_row = coupled ? j : H + j, g_row = f_row + H, o_row = g_row + H, peep = coupled ? 0 : H;
                    const double f = sigmoid(a[f_row] + product(f_row, h) + at(s.peepholes, peep + j) * c[j]);
                    const double i = coupled ? 1 - f : sigmoid(a[j] + product(j, h) + at(s.peepholes, j) * c[j]);
                    c[j] = f * c[j] + i * tanh(a[g_row] + product(g_row, h));
                    next[j] = sigmoid(a[o_row] + product(o_row, h) + at(s.peepholes, peep + H + j) * c[j]) * tanh(c[j]);
                } else {
                    reset[j] = sigmoid(a[j] + product(j, h));
                }
            }
            if (is_gru(s.cell)) {
                std::vector<double> seen(H);
                for (int64_t j = 0; j < H; j++) seen[j] = reset[j] * h[j];
                for (int64_t j = 0; j < H; j++) {
                    const double late = s.cell == GRU_AFTER ? reset[j] * (product(2 * H + j, h) + at(s.bias_n, j)) : product(2 * H + j, seen);
                    const double z = sigmoid(a[H + j] + product(H + j, h)), n_gate = tanh(a[2 * H + j] + late);
                    next[j] = (1 - z) * n_gate + z * h[j];
                }
            }
            h = next;
            for (int64_t j = 0; j < H; j++) hidden[n * H + j] = h[j];
        }
        std::copy(h.begin(), h.end(), last_h.begin() + b * H), std::copy(c.begin(), c.end(), last_c.begin() + b * C);
    }
    hidden.insert(hidden.end(), last_h.begin(), last_h.end());
    hidden.insert(hidden.end(), last_c.begin(), last_c.end());
    return hidden;
}

// `one` has its weights packed.
template <class T> void streams(Case<T>& one, const std::vector<T>& expected, const std::string& name) {
    const OstinatoScan scan = one.scan;
    const void* memories[] = {scan.weight_x, scan.weight_h};
    const int64_t bytes[] = {GATES[scan.cell] * scan.H * scan.I * int64_t(sizeof(T)), GATES[scan.cell] * scan.H * scan.H * int64_t(sizeof(T))};
    OstinatoWatch watch = {memories, bytes, 2, 0};
    watch.seen = ostinato_fingerprint(&watch);
    const auto stream = [&](const OstinatoScan* prepared, const OstinatoWatch* watched) {
        return ostinato_stream(prepared, watched, scan.x, scan.hidden, scan.start_h, scan.start_c, scan.last_h, scan.last_c);
    };
    OstinatoScan prepared = scan;
    prepared.x = prepared.start_h = prepared.start_c = nullptr;
    prepared.hidden = prepared.last_h = prepared.last_c = nullptr;
    const int64_t size = scan.H * int64_t(sizeof(T));
    for (int64_t n = 0; n < scan.N; n++) memset(static_cast<char*>(scan.hidden) + n * scan.hidden_stride * int64_t(sizeof(T)), 0, size_t(size));
    for (const OstinatoWatch* watched : {static_cast<const OstinatoWatch*>(nullptr), static_cast<const OstinatoWatch*>(&watch)})
        expect(stream(&prepared, watched) == 0 && equal(one.outputs(), expected), name + ": a stream has other bits");
    if (bytes[1]) {
        T& weight = *static_cast<T*>(const_cast<void*>(scan.weight_h));
        const T before = weight;
        weight += 1;
        expect(stream(&prepared, &watch) == 2, name + ": a changed weight is not noticed");
        weight = before;
    }
    prepared.packed_ready = 0;
    expect(stream(&prepared, &watch) == 1 && stream(nullptr, &watch) == 1, name + ": a stream of what is not prepared");
}

template <class T> void equals_the_equations(const char* set) {
    for (const Kind& kind : kinds(true))
        for (bool training : {true, false}) {
            Case<T> one(kind, training);
            const std::string name = std::string(set) + " " + one.name();
            const auto expected = by_equations(one);
            expect(one.forward() == 0, name + ": forward");
            const auto found = one.outputs();
            expect(apart(found, expected) < (sizeof(T) == 8 ? 1e-12 : 1e-5), name + ": differs from the equations");
            if (training) continue;
            one.scan.gates = nullptr;
            expect(one.forward() == 0 && equal(one.outputs(), found), name + ": other bits without room for the gates");
            const Room packed(ostinato_scan_packed_size(&one.scan));
            one.scan.packed = packed.at();
            for (int ready = 0; ready < 2; ready++) {
                one.scan.packed_ready = ready;
                expect(one.forward() == 0 && equal(one.outputs(), found), name + ": other bits with packed weights");
            }
            streams(one, found, name);
        }
}

void gradients_are_finite_differences(const char* set) {
    for (const Kind& kind : kinds(false)) {
        Case<double> one(kind);
        const std::string name = std::string(set) + " " + one.name();
        expect(one.forward() == 0 && one.backward() == 0, name + ": backward");
        for (auto& part : one.parts) {
            std::vector<double> direction(part.count);
            std::uniform_real_distribution<double> draw(-1, 1);
            double along = 0, losses[2];
            for (int64_t k = 0; k < part.count; k++) direction[k] = draw(one.memory.random), along += direction[k] * static_cast<double*>(part.gradient)[k];
            const double little = 1e-5;
            double* values = static_cast<double*>(part.values);
            const std::vector<double> before(values, values + part.count);
            for (int side = 0; side < 2; side++) {
                for (int64_t k = 0; k < part.count; k++) values[k] = before[k] + (side ? little : -little) * direction[k];
                one.forward();
                losses[side] = one.loss();
            }
            if (part.count) memcpy(values, before.data(), sizeof(double) * part.count);
            const double found = (losses[1] - losses[0]) / (2 * little);
            expect(fabs(found - along) <= 1e-6 * (1 + fabs(along)), name + ": a gradient is not the finite difference");
        }
    }
}

template <class T> void float32_gradients_are_float64s(const char* set) {
    for (const Kind& kind : kinds(true)) {
        Case<T> one(kind);
        Case<double> other(kind);
        for (size_t k = 0; k < one.parts.size(); k++)
            for (int64_t i = 0; i < one.parts[k].count; i++) static_cast<double*>(other.parts[k].values)[i] = static_cast<T*>(one.parts[k].values)[i];
        other.scan.reverse = one.scan.reverse;
        expect(one.forward() == 0 && one.backward() == 0 && other.forward() == 0 && other.backward() == 0, "backward");
        expect(apart(one.everything(), other.everything()) < 3e-5, std::string(set) + " " + one.name() + ": gradients differ from float64's");
    }
}

// ---- the decoder

struct DecoderKind {
    int64_t cell, layers;
    std::vector<int64_t> lengths, memory;
    bool feeding, fed_back, additive, query, masks, biases;
    int64_t E = 5, H = 7, M = 6, A = 4, F = 3;
};

// As Case: an OstinatoDecoder with all its memory.
template <class T> struct DecoderCase {
    struct Part {
        void *values, *gradient;
        int64_t count, rows;  // the gradient is the sum of so many rows
    };

    DecoderKind kind;
    Memory memory;
    std::vector<int64_t> offsets{0}, order, memory_offsets{0}, weight_offsets{0};
    std::vector<OstinatoScan> scans;
    std::vector<OstinatoGradients> gradients;
    OstinatoDecoder d{};
    std::vector<Part> parts;
    T *weight_of_out, *weight_of_contexts;
    int64_t N, out_size;

    explicit DecoderCase(const DecoderKind& one, unsigned seed = 1) : kind(one), memory(seed), scans(one.layers), gradients(one.layers) {
        const int64_t B = one.lengths.size(), H = one.H, width = GATES[one.cell] * H, A = one.query ? one.A : H, F = one.feeding ? one.F : one.M;
        const int64_t num_c = NUM_C[one.cell];
        const bool after = one.cell == GRU_AFTER, fed_back = !one.feeding || one.fed_back;
        for (int64_t b = 0; b < B; b++) {
            offsets.push_back(offsets.back() + one.lengths[b]), order.push_back(b);
            memory_offsets.push_back(memory_offsets.back() + one.memory[b]), weight_offsets.push_back(weight_offsets.back() + one.lengths[b] * one.memory[b]);
        }
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return one.lengths[a] > one.lengths[b]; });
        N = offsets.back();
        const int64_t S = memory_offsets.back();
        const auto input = [&](int64_t count, bool wanted, void** gradient, double scale = 0.5, int64_t rows = 1) -> T* {
            if (!wanted) return nullptr;
            T* made = memory.numbers<T>(count, scale);
            *gradient = memory.numbers<T>(count * rows, 9);
            parts.push_back({made, *gradient, count, rows});
            return made;
        };
        const auto room = [&](int64_t count) { return memory.numbers<T>(count, 9); };
        for (int64_t l = 0; l < one.layers; l++) {
            OstinatoScan& scan = scans[l];
            OstinatoGradients& g = gradients[l];
            scan.cell = one.cell, scan.is_double = sizeof(T) == 8, scan.B = B, scan.N = N, scan.I = l ? H : one.E, scan.H = H;
            scan.x_stride = scan.I, scan.hidden_stride = H, scan.offsets = offsets.data(), scan.order = order.data();
            scan.x = input(N * one.E, l == 0, &g.d_x, 1);
            scan.weight_x = input(width * (scan.I + (l == 0 && fed_back ? F : 0)), true, &g.d_weight_x);
            scan.weight_x_stride = l == 0 && fed_back ? one.E + F : 0;
            scan.weight_h = input(width * H, true, &g.d_weight_h);
            scan.bias = input(width, one.biases, &g.d_bias);
            scan.bias_n = input(H, one.biases && after, &g.d_bias_n);
            scan.peepholes = input(PEEPHOLES[one.cell] * H, PEEPHOLES[one.cell] && one.masks, &g.d_peepholes);
            scan.start_h = input(B * H, true, &g.d_start_h);
            scan.start_c = input(B * num_c * H, num_c, &g.d_start_c);
            scan.gates = room(N * width), scan.extra = room(N * in_extra(one.cell) * H), scan.hidden = room(N * H);
            T* mask = l && one.masks ? room(N * H) : nullptr;
            for (int64_t k = 0; mask && k < N * H; k++) mask[k] = mask[k] > 0 ? 2 : 0;
            scan.mask = mask;
            g.d_gates = room(N * width), g.d_extra = after ? room(N * H) : nullptr, g.d_hidden_stride = H;
        }
        d.layers = scans.data(), d.layer_gradients = gradients.data(), d.num_layers = one.layers;
        d.feeding = one.feeding, d.fed_back = one.fed_back, d.F = F, d.A = A, d.M = one.M, d.num_examples = B;
        d.memory_offsets = memory_offsets.data(), d.weight_offsets = weight_offsets.data();
        d.longest_memory = B ? *std::max_element(one.memory.begin(), one.memory.end()) : 0, d.scale = 0.7;
        d.keys = input(S * A, true, &d.d_keys, 1), d.values = input(S * one.M, true, &d.d_values, 1);
        d.query_weight = input(A * H, one.query, &d.d_query_weight), d.query_bias = input(A, one.query && one.biases, &d.d_query_bias);
        d.energy = input(A, one.additive, &d.d_energy, 1, B);
        d.readout = input(F * (H + one.M), one.feeding, &d.d_readout), d.readout_bias = input(F, one.feeding && one.biases, &d.d_readout_bias);
        d.start_fed = input(B * F, one.feeding, &d.d_start_fed);
        d.weights = room(weight_offsets.back()), d.queries = one.query ? room(N * A) : nullptr, d.contexts = room(N * one.M);
        d.features = one.feeding ? room(N * F) : nullptr, d.dropped = one.masks && one.layers > 1 ? room((one.layers - 1) * N * H) : nullptr;
        d.d_queries = one.query ? room(N * A) : nullptr, d.d_below = one.layers > 1 ? room(B * H) : nullptr;
        out_size = N * (one.feeding ? F : H);
        weight_of_out = memory.numbers<T>(out_size, 1), weight_of_contexts = memory.numbers<T>(N * one.M, 1);
        d.d_contexts = room(N * one.M);
        if (one.feeding) d.d_features = room(N * F);
        else gradients.back().d_hidden = weight_of_out;
    }

    const T* out() const { return static_cast<const T*>(kind.feeding ? d.features : scans.back().hidden); }
    int64_t forward() { return ostinato_decoder_forward(&d); }
    int64_t backward() {
        for (int64_t k = 0; k < N * kind.M; k++) static_cast<T*>(d.d_contexts)[k] = weight_of_contexts[k];
        for (int64_t k = 0; kind.feeding && k < out_size; k++) static_cast<T*>(d.d_features)[k] = weight_of_out[k];
        return ostinato_decoder_backward(&d);
    }

    double loss() const {
        double sum = 0;
        for (int64_t k = 0; k < out_size; k++) sum += double(out()[k]) * weight_of_out[k];
        for (int64_t k = 0; !kind.feeding && k < N * kind.M; k++) sum += double(static_cast<T*>(d.contexts)[k]) * weight_of_contexts[k];
        return sum;
    }

    std::vector<T> everything() const {
        std::vector<T> all(out(), out() + out_size);
        all.insert(all.end(), static_cast<T*>(d.contexts), static_cast<T*>(d.contexts) + N * kind.M);
        for (const Part& part : parts) all.insert(all.end(), static_cast<T*>(part.gradient), static_cast<T*>(part.gradient) + part.count * part.rows);
        return all;
    }

    std::string name() const {
        std::ostringstream text;
        text << "decoder of " << kind.layers << " " << NAMES[kind.cell] << (kind.feeding ? kind.fed_back ? " feeding" : " readout" : "") << (kind.additive ? " additive" : "")
             << (kind.query ? " query" : "") << (kind.masks ? " masks" : "") << " N=" << N << " H=" << kind.H;
        return text.str();
    }
};

std::vector<DecoderKind> decoder_kinds(int64_t H) {
    std::vector<DecoderKind> all;
    int turn = 0;
    for (int64_t cell = 0; cell < NUM_CELLS; cell++)
        for (int64_t layers = 1; layers <= 3; layers++)
            for (int way = 0; way < 3; way++) {
                if (cell == GRU_BEFORE) continue;
                turn++;
                all.push_back({cell, layers, {3, 0, 5, 1, 2}, {4, 2, 3, 0, 6}, way < 2, way == 0, turn % 2 == 0, turn % 4 < 2, turn % 3 == 0, turn % 5 != 0});
                all.back().H = H;
            }
    for (bool feeding : {true, false}) {
        all.push_back({LSTM, 1, {}, {}, feeding, true, true, true, false, true});
        all.push_back({LSTM, 2, {0, 0}, {2, 0}, feeding, true, true, true, true, true});
    }
    return all;
}

void decoder_gradients_are_finite_differences(const char* set) {
    for (const DecoderKind& kind : decoder_kinds(7)) {
        DecoderCase<double> one(kind);
        const std::string name = std::string(set) + " " + one.name();
        expect(one.forward() == 0 && one.backward() == 0, name + ": backward");
        size_t number = 0;
        for (auto& part : one.parts) {
            std::vector<double> direction(part.count);
            std::uniform_real_distribution<double> draw(-1, 1);
            double along = 0, losses[2];
            for (int64_t k = 0; k < part.count; k++) {
                direction[k] = draw(one.memory.random);
                for (int64_t row = 0; row < part.rows; row++) along += direction[k] * static_cast<double*>(part.gradient)[row * part.count + k];
            }
            const double little = 1e-5;
            double* values = static_cast<double*>(part.values);
            const std::vector<double> before(values, values + part.count);
            for (int side = 0; side < 2; side++) {
                for (int64_t k = 0; k < part.count; k++) values[k] = before[k] + (side ? little : -little) * direction[k];
                one.forward();
                losses[side] = one.loss();
            }
            if (part.count) memcpy(values, before.data(), sizeof(double) * part.count);
            const double found = (losses[1] - losses[0]) / (2 * little);
            expect(fabs(found - along) <= 1e-6 * (1 + fabs(along)), name + ": gradient " + std::to_string(number) + " is not the finite difference");
            number++;
        }
    }
}

std::vector<float> decoded(const DecoderKind& kind) {
    DecoderCase<float> one(kind);
    expect(one.forward() == 0 && one.backward() == 0, one.name());
    return one.everything();
}

void decoders_have_the_same_bits_on_any_threads(int64_t H) {
    for (const DecoderKind& kind : decoder_kinds(H)) {
        ostinato_set_threads(1, nullptr, nullptr, nullptr);
        DecoderCase<float> one(kind);
        DecoderCase<double> exact(kind);
        for (size_t k = 0; k < one.parts.size(); k++)
            for (int64_t i = 0; i < one.parts[k].count; i++) static_cast<double*>(exact.parts[k].values)[i] = static_cast<float*>(one.parts[k].values)[i];
        for (int64_t k = 0; k < one.out_size; k++) exact.weight_of_out[k] = one.weight_of_out[k];
        for (int64_t k = 0; k < one.N * kind.M; k++) exact.weight_of_contexts[k] = one.weight_of_contexts[k];
        expect(exact.forward() == 0 && exact.backward() == 0, exact.name());
        const auto expected = decoded(kind);
        expect(apart(expected, exact.everything()) < 3e-5, one.name() + ": float32 differs from float64");
        for (int threads = 2; threads <= 3; threads++) {
            ostinato_set_threads(threads, nullptr, nullptr, nullptr);
            expect(equal(decoded(kind), expected), one.name() + ": bits depend on the number of threads");
        }
        const Room packed(ostinato_decoder_packed_size(&one.d));
        expect(one.forward() == 0, one.name());
        const std::vector<float> out(one.out(), one.out() + one.out_size);
        one.d.packed = packed.at();
        for (int ready = 0; ready < 2; ready++) {
            one.d.packed_ready = ready;
            expect(one.forward() == 0 && equal(std::vector<float>(one.out(), one.out() + one.out_size), out), one.name() + ": other bits with packed weights");
        }
    }
    ostinato_set_threads(1, nullptr, nullptr, nullptr);
}

void decoders_at_once_do_not_disturb_each_other() {
    const auto all = decoder_kinds(33);
    std::vector<std::vector<float>> expected;
    for (const auto& kind : all) expected.push_back(decoded(kind));
    std::vector<std::thread> callers;
    for (int number = 0; number < 3; number++)
        callers.emplace_back([&, number] {
            for (size_t k = 0; k < all.size(); k++) {
                const size_t turn = (k * 5 + number * 7) % all.size();
                ostinato_set_threads(1 + (number + k) % 3, nullptr, nullptr, nullptr);
                expect(equal(decoded(all[turn]), expected[turn]), "several decoders at once: other bits");
            }
        });
    for (auto& caller : callers) caller.join();
}

// ---- threads

// Large enough to be shared between threads, and with H = 160 a single sequence's gates are.
std::vector<Kind> large_kinds() {
    std::vector<Kind> all;
    for (int64_t cell = 0; cell < NUM_CELLS; cell++) {
        all.push_back({cell, {9, 0, 14, 3, 14, 8, 1}, 30, 70, cell % 2 == 0, cell % 3 == 0, true, true});
        all.push_back({cell, {12}, 20, 280, cell % 2 == 1, cell % 3 == 1, true, false});
        all.push_back({cell, {7, 7, 2}, 20, 280, false, cell % 3 == 2, true, false});
    }
    return all;
}

std::vector<float> computed(const Kind& kind) {
    Case<float> one(kind);
    expect(one.forward() == 0 && one.backward() == 0, one.name());
    return one.everything();
}

void both_directions_at_once_are_each_alone() {
    for (Kind kind : large_kinds()) {
        kind.reverse = false;
        Case<float> one(kind), two(kind, true, 2);
        two.scan.reverse = 1;
        expect(one.forward() == 0 && two.forward() == 0, one.name());
        const auto first = one.outputs(), second = two.outputs();
        const int64_t N = one.scan.N, H = one.scan.H;
        Memory memory(3);
        float* hidden = memory.numbers<float>(N * 2 * H, 1);
        OstinatoScan both[] = {one.scan, two.scan};
        both[0].hidden = hidden, both[1].hidden = hidden + H, both[0].hidden_stride = both[1].hidden_stride = 2 * H;
        for (int threads = 1; threads <= 4; threads++) {
            ostinato_set_threads(threads, nullptr, nullptr, nullptr);
            expect(ostinato_forward(both, 2) == 0, one.name() + ": both");
            bool same = true;
            for (int64_t n = 0; n < N; n++)
                same &= !memcmp(hidden + n * 2 * H, first.data() + n * H, H * sizeof(float)) && !memcmp(hidden + n * 2 * H + H, second.data() + n * H, H * sizeof(float));
            expect(same, one.name() + ": two directions at once differ from each alone");
        }
    }
    ostinato_set_threads(1, nullptr, nullptr, nullptr);
}

void threads_change_nothing() {
    for (const Kind& kind : large_kinds()) {
        ostinato_set_threads(1, nullptr, nullptr, nullptr);
        const auto expected = computed(kind);
        for (int threads = 2; threads <= 5; threads++) {
            ostinato_set_threads(threads, nullptr, nullptr, nullptr);
            expect(equal(computed(kind), expected), Case<float>(kind).name() + ": bits depend on the number of threads");
            expect(equal(computed(kind), expected), Case<float>(kind).name() + ": a repeat has other bits");
        }
    }
}

void callers_at_once_do_not_disturb_each_other() {
    const auto all = large_kinds();
    std::vector<std::vector<float>> expected;
    for (const Kind& kind : all) expected.push_back(computed(kind));
    std::vector<std::thread> callers;
    for (int number = 0; number < 4; number++)
        callers.emplace_back([&, number] {
            for (size_t k = 0; k < all.size(); k++) {
                const size_t turn = (k * 5 + number * 3) % all.size();
                ostinato_set_threads(1 + (number + k) % 3, nullptr, nullptr, nullptr);
                expect(equal(computed(all[turn]), expected[turn]), "several callers at once: other bits");
                expect(ostinato_forward(nullptr, number) != 0 && strstr(ostinato_error(), std::to_string(number).c_str()), "each thread has its own message");
            }
        });
    for (auto& caller : callers) caller.join();
}

void a_set_may_be_chosen_while_others_compute() {
    ostinato_set_threads(3, nullptr, nullptr, nullptr);
    std::vector<std::vector<float>> expected;
    for (const Kind& kind : large_kinds()) expected.push_back(computed(kind));
    std::atomic<bool> done{false};
    std::thread chooser([&] {
        while (!done)
            for (const auto& name : instruction_sets()) ostinato_use(name.c_str());
    });
    // Each call is of one set from its beginning to its end.
    for (size_t k = 0; k < expected.size(); k++) expect(apart(computed(large_kinds()[k]), expected[k]) < 1e-4, "a set was chosen meanwhile: other numbers");
    done = true;
    chooser.join();
    ostinato_use(instruction_sets()[0].c_str());
}

void a_child_of_fork_computes_alone() {
    ostinato_set_threads(3, nullptr, nullptr, nullptr);
    const Kind kind = large_kinds()[9];
    const auto expected = computed(kind);
    const pid_t child = fork();
    if (!child) {
        alarm(60);  // a child that waits for its parent's threads is a failure, not a hang
        _exit(equal(computed(kind), expected) ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child of fork gives other bits or hangs");
}

// ---- wrong arguments

void refused(int64_t code, const std::string& what, const char* message) {
    expect(code != 0 && strstr(ostinato_error(), message), what + ": should be refused with '" + message + "'");
}

void wrong_scans_are_refused() {
    const Kind kind{LSTM, {3, 0, 5}, 4, 6, false, true, true, true};
    using Change = std::function<void(Case<float>&)>;
    const std::pair<const char*, Change> wrong[] = {
        {"no cell", [](auto& c) { c.scan.cell = NUM_CELLS; }},
        {"no cell", [](auto& c) { c.scan.cell = -1; }},
        {"B = -1", [](auto& c) { c.scan.B = -1; }},
        {"N = -1", [](auto& c) { c.scan.N = -1; }},
        {"I = -5", [](auto& c) { c.scan.I = -5; }},
        {"H = 0", [](auto& c) { c.scan.H = 0; }},
        {"is no size", [](auto& c) { c.scan.H = INT64_MAX; }},
        {"is no size", [](auto& c) { c.scan.N = INT64_MIN; }},
        {"larger than memory", [](auto& c) { c.scan.H = c.scan.hidden_stride = int64_t(1) << 32; }},
        {"larger than memory", [](auto& c) { c.scan.I = c.scan.x_stride = int64_t(1) << 40, c.scan.N = 1 << 20; }},
        {"there are N = 9", [](auto& c) { c.scan.N = 9; }},
        {"x_stride = 3", [](auto& c) { c.scan.x_stride = 3; }},
        {"hidden_stride = 5", [](auto& c) { c.scan.hidden_stride = 5; }},
        {"offsets begin with 1", [](auto& c) { c.offsets[0] = 1; }},
        {"offsets begin with -1", [](auto& c) { c.offsets[0] = -1; }},
        {"offsets fall from 3 to 2", [](auto& c) { c.offsets[2] = 2; }},
        {"offsets fall", [](auto& c) { c.offsets[1] = INT64_MAX; }},
        {"offsets end with 7", [](auto& c) { c.offsets[3] = 7; }},
        {"order holds 3", [](auto& c) { c.order[1] = 3; }},
        {"order holds -1", [](auto& c) { c.order[0] = -1; }},
        {"order names a sequence twice", [](auto& c) { c.order[1] = 2; }},
        {"longest sequence to the shortest", [](auto& c) { std::swap(c.order[0], c.order[1]); }},
        {"offsets or order is missing", [](auto& c) { c.scan.offsets = nullptr; }},
        {"offsets or order is missing", [](auto& c) { c.scan.order = nullptr; }},
        {"a weight is missing", [](auto& c) { c.scan.weight_x = nullptr; }},
        {"a weight is missing", [](auto& c) { c.scan.weight_h = nullptr; }},
        {"x or hidden is missing", [](auto& c) { c.scan.x = nullptr; }},
        {"gates is missing", [](auto& c) { c.scan.gates = nullptr; }},
        {"x or hidden is missing", [](auto& c) { c.scan.hidden = nullptr; }},
        {"start_h", [](auto& c) { c.scan.start_h = nullptr; }},
        {"start_c", [](auto& c) { c.scan.start_c = nullptr; }},
        {"last_h", [](auto& c) { c.scan.last_h = nullptr; }},
        {"last_c", [](auto& c) { c.scan.last_c = nullptr; }},
        {"bias_n: this cell has none", [](auto& c) { c.scan.bias_n = c.scan.bias; }},
        {"peepholes: this cell has none", [](auto& c) { c.scan.cell = GRU_BEFORE; }},
        {"peepholes: this cell has none", [](auto& c) { c.scan.cell = SLSTM; }},
        {"gates and x overlap", [](auto& c) { c.scan.x = c.scan.gates; }},
        {"and hidden overlap", [](auto& c) { c.scan.hidden = static_cast<float*>(c.scan.gates) + 5; }},
        {"last_h and start_h overlap", [](auto& c) { c.scan.start_h = c.scan.last_h; }},
        {"and offsets overlap", [](auto& c) { c.offsets.reserve(64), c.scan.offsets = c.offsets.data(), c.scan.last_h = c.offsets.data(); }},
        {"multiple of 4", [](auto& c) { c.scan.x = static_cast<const char*>(c.scan.x) + 1; }},
        {"multiple of 64", [](auto& c) { c.scan.packed = static_cast<char*>(c.scan.gates) + 4; }},
        {"the decoder's", [](auto& c) { c.scan.weight_x_stride = 9; }},
        {"multiple of 8", [](auto& c) { c.scan.offsets = reinterpret_cast<const int64_t*>(reinterpret_cast<const char*>(c.scan.offsets) + 4); }},
    };
    for (const auto& [message, change] : wrong) {
        Case<float> one(kind);
        change(one);
        refused(one.forward(), "forward", message);
    }
    const std::pair<const char*, Change> wrong_backward[] = {
        {"extra is missing", [](auto& c) { c.scan.extra = nullptr; }},
        {"d_gates is missing", [](auto& c) { c.d.d_gates = nullptr; }},
        {"d_start_h", [](auto& c) { c.d.d_start_h = nullptr; }},
        {"d_start_c", [](auto& c) { c.d.d_start_c = nullptr; }},
        {"d_hidden_stride = 5", [](auto& c) { c.d.d_hidden_stride = 5; }},
        {"d_hidden_stride = -1", [](auto& c) { c.d.d_hidden_stride = -1; }},
        {"d_bias_n: this cell has none", [](auto& c) { c.d.d_bias_n = c.d.d_bias; }},
        {"overlap", [](auto& c) { c.d.d_x = c.d.d_weight_x; }},
        {"d_weight_h and weight_h overlap", [](auto& c) { c.d.d_weight_h = const_cast<void*>(c.scan.weight_h); }},
        {"d_gates and gates overlap", [](auto& c) { c.d.d_gates = static_cast<float*>(c.scan.gates) + 1; }},
        {"overlap", [](auto& c) { c.d.d_gates = c.scan.extra, c.d.d_extra = c.scan.extra; }},
        {"multiple of 4", [](auto& c) { c.d.d_x = static_cast<char*>(c.d.d_x) + 2; }},
        {"offsets fall", [](auto& c) { c.offsets[2] = 1; }},
    };
    for (const auto& [message, change] : wrong_backward) {
        Case<float> one(kind);
        one.forward();
        change(one);
        refused(one.backward(), "backward", message);
    }
    Case<float> one(kind), two(kind);
    refused(ostinato_forward(nullptr, 1), "no scan", "scans");
    refused(ostinato_forward(&one.scan, 3), "three scans", "3 scans");
    refused(ostinato_backward(&one.scan, nullptr), "no gradients", "missing");
    OstinatoScan both[] = {one.scan, two.scan};
    both[1].cell = LSTM_COUPLED;
    refused(ostinato_forward(both, 2), "two cells", "differ");
    both[1] = two.scan, both[1].gates = one.scan.gates;
    refused(ostinato_forward(both, 2), "one work space for two", "gates and gates overlap");
    both[1] = two.scan, both[1].hidden = one.scan.hidden;
    refused(ostinato_forward(both, 2), "hidden over hidden", "hidden and the other scan's hidden overlap");
    both[1] = two.scan, both[1].start_h = one.scan.last_h;
    refused(ostinato_forward(both, 2), "one's end is the other's start", "last_h and start_h overlap");
}

void wrong_decoders_are_refused() {
    const DecoderKind kind{LSTM, 2, {3, 0, 2}, {4, 2, 3}, true, true, true, true, true, true};
    using Change = std::function<void(DecoderCase<float>&)>;
    const std::pair<const char*, Change> wrong[] = {
        {"0 layers", [](auto& c) { c.d.num_layers = 0; }},
        {"9 layers", [](auto& c) { c.d.num_layers = 9; }},
        {"0 layers", [](auto& c) { c.d.layers = nullptr, c.d.num_layers = 0; }},
        {"is no size", [](auto& c) { c.d.F = -1; }},
        {"is no size", [](auto& c) { c.d.M = INT64_MAX; }},
        {"larger than memory", [](auto& c) { c.d.M = int64_t(1) << 40, c.d.A = int64_t(1) << 40, c.memory_offsets[3] = int64_t(1) << 30; }},
        {"weight_x_stride", [](auto& c) { c.scans[0].weight_x_stride = 0; }},
        {"weight_x_stride", [](auto& c) { c.d.F = 4; }},
        {"I = 0", [](auto& c) { c.scans[0].I = 0; }},
        {"differs from the first", [](auto& c) { c.scans[1].cell = LSTM_COUPLED; }},
        {"differs from the first", [](auto& c) { c.scans[1].I = c.scans[1].x_stride = 5; }},
        {"reset before", [](auto& c) { c.scans[0].cell = c.scans[1].cell = GRU_BEFORE, c.scans[0].peepholes = c.scans[1].peepholes = nullptr; }},
        {"reversed", [](auto& c) { c.scans[0].reverse = 1; }},
        {"hidden_stride", [](auto& c) { c.scans[0].hidden_stride = 8; }},
        {"extra is missing", [](auto& c) { c.scans[0].extra = nullptr; }},
        {"dropout needs", [](auto& c) { c.d.dropped = nullptr; }},
        {"dropout needs", [](auto& c) { c.scans[0].mask = c.scans[1].mask; }},
        {"examples for", [](auto& c) { c.d.num_examples = 2; }},
        {"memory_offsets begin", [](auto& c) { c.memory_offsets[0] = 1; }},
        {"memory_offsets fall", [](auto& c) { c.memory_offsets[2] = 1; }},
        {"longest_memory is 4", [](auto& c) { c.memory_offsets[3] = 11; }},
        {"weight_offsets do not fit sequence 0", [](auto& c) { c.weight_offsets[1] = 11; }},
        {"weight_offsets fall", [](auto& c) { c.weight_offsets[1] = 100; }},
        {"weight_offsets is missing", [](auto& c) { c.d.weight_offsets = nullptr; }},
        {"A = 4 must be H = 7", [](auto& c) { c.d.query_weight = nullptr; }},
        {"keys, values, contexts or weights", [](auto& c) { c.d.keys = nullptr; }},
        {"keys, values, contexts or weights", [](auto& c) { c.d.contexts = nullptr; }},
        {"keys, values, contexts or weights", [](auto& c) { c.d.weights = nullptr; }},
        {"queries is missing", [](auto& c) { c.d.queries = nullptr; }},
        {"readout, start_fed or features", [](auto& c) { c.d.readout = nullptr; }},
        {"readout, start_fed or features", [](auto& c) { c.d.features = nullptr; }},
        {"contexts and values overlap", [](auto& c) { c.d.values = c.d.contexts; }},
        {"overlap", [](auto& c) { c.d.weights = c.d.contexts; }},
        {"overlap", [](auto& c) { c.scans[1].hidden = c.scans[0].hidden; }},
        {"multiple of 4", [](auto& c) { c.d.keys = static_cast<const char*>(c.d.keys) + 1; }},
        {"multiple of 64", [](auto& c) { c.d.packed = c.d.features; }},
    };
    for (const auto& [message, change] : wrong) {
        DecoderCase<float> one(kind);
        change(one);
        refused(one.forward(), "decoder forward", message);
    }
    const std::pair<const char*, Change> wrong_backward[] = {
        {"layer_gradients is missing", [](auto& c) { c.d.layer_gradients = nullptr; }},
        {"d_gates is missing", [](auto& c) { c.gradients[1].d_gates = nullptr; }},
        {"d_start_h", [](auto& c) { c.gradients[0].d_start_h = nullptr; }},
        {"d_keys, d_values", [](auto& c) { c.d.d_keys = nullptr; }},
        {"d_queries is missing", [](auto& c) { c.d.d_queries = nullptr; }},
        {"d_energy is missing", [](auto& c) { c.d.d_energy = nullptr; }},
        {"d_below is missing", [](auto& c) { c.d.d_below = nullptr; }},
        {"d_start_fed, d_readout", [](auto& c) { c.d.d_start_fed = nullptr; }},
        {"d_query_weight is given", [](auto& c) { c.d.query_weight = nullptr, c.d.A = c.kind.H; }},
        {"d_query_bias needs", [](auto& c) { c.d.d_query_weight = nullptr; }},
        {"d_bias needs d_weight_x", [](auto& c) { c.gradients[1].d_weight_x = nullptr; }},
        {"no backward", [](auto& c) { c.d.examples = c.order.data(); }},
        {"overlap", [](auto& c) { c.d.d_keys = const_cast<void*>(c.d.keys); }},
        {"overlap", [](auto& c) { c.gradients[0].d_x = c.gradients[1].d_weight_h; }},
        {"multiple of 4", [](auto& c) { c.d.d_readout = static_cast<char*>(c.d.d_readout) + 2; }},
    };
    for (const auto& [message, change] : wrong_backward) {
        DecoderCase<float> one(kind);
        one.forward();
        change(one);
        refused(ostinato_decoder_backward(&one.d), "decoder backward", message);
    }
    refused(ostinato_decoder_forward(nullptr), "no decoder", "missing");
    refused(ostinato_decoder_backward(nullptr), "no decoder", "missing");
    expect(ostinato_decoder_packed_size(nullptr) < 0 && ostinato_scan_packed_size(nullptr) < 0 && ostinato_packed_size(nullptr) < 0, "sizes of nothing");
}

float to_bfloat16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    memcpy(&x, &bits, 4);
    return x;
}

// Every matrix in a block of its own, so that a sanitizer sees what is read beside it.
void products_are_sums(const char* set, int64_t half) {
    const int64_t sizes[][3] = {{1, 1, 1}, {2, 3, 5}, {17, 33, 31}, {97, 40, 64}, {8, 32, 1030}, {33, 65, 515}, {5, 31, 2}};
    unsigned seed = 1;
    for (const auto& [M, N, K] : sizes)
        for (int64_t kind = 0; kind < 3; kind++) {
            Memory memory(seed++);
            const float *left = memory.numbers<float>(M * K, 1), *right = memory.numbers<float>(N * K, 1);
            float *out = memory.numbers<float>(M * N, 1), *sums = memory.numbers<float>(M, 1);
            OstinatoProduct one{kind, 0, M, N, K, left, kind == 2 ? M : K, right, kind ? N : K, nullptr, kind == 2 ? sums : nullptr, out, N, nullptr, 0, half};
            expect(ostinato_multiply(&one) == 0, std::string(set) + ": a product");
            double worst = 0;
            const auto item = [&](const float* from, int64_t at) { return double(half ? to_bfloat16(from[at]) : from[at]); };
            for (int64_t m = 0; m < M; m++)
                for (int64_t n = 0; n < N; n++) {
                    double sum = 0;
                    for (int64_t k = 0; k < K; k++) sum += item(left, kind == 2 ? k * M + m : m * K + k) * item(right, kind ? k * N + n : n * K + k);
                    worst = std::max(worst, std::abs(sum - out[m * N + n]));
                }
            expect(worst <= 1e-5 * std::sqrt(double(K)), std::string(set) + ": a product is " + std::to_string(worst) + " from the sum");
        }
}

void wrong_products_and_activations_are_refused() {
    Memory memory(1);
    float *left = memory.numbers<float>(12, 1), *right = memory.numbers<float>(20, 1), *out = memory.numbers<float>(15, 1);
    const OstinatoProduct fine{0, 0, 3, 5, 4, left, 4, right, 4, nullptr, nullptr, out, 5, nullptr, 0};
    expect(ostinato_multiply(&fine) == 0, "a product");
    const std::pair<const char*, std::function<void(OstinatoProduct&)>> wrong[] = {
        {"no kind 3", [](auto& p) { p.kind = 3; }},
        {"no kind -1", [](auto& p) { p.kind = -1; }},
        {"is no size", [](auto& p) { p.M = -1; }},
        {"is no size", [](auto& p) { p.K = INT64_MIN; }},
        {"strides", [](auto& p) { p.left_stride = 3; }},
        {"strides", [](auto& p) { p.out_stride = 4; }},
        {"larger than memory", [](auto& p) { p.M = int64_t(1) << 40, p.left_stride = int64_t(1) << 20; }},
        {"missing", [](auto& p) { p.left = nullptr; }},
        {"missing", [](auto& p) { p.out = nullptr; }},
        {"sums: this product has none", [&](auto& p) { p.sums = out; }},
        {"bias: this product has none", [&](auto& p) { p.kind = 2, p.bias = left, p.left_stride = p.right_stride = 5; }},
        {"float64 is not rounded", [&](auto& p) { p.half = 1, p.is_double = 1, p.left = p.right = nullptr, p.M = p.N = p.K = p.left_stride = p.right_stride = p.out_stride = 0; }},
        {"out and left overlap", [](auto& p) { p.out = const_cast<void*>(p.left); }},
        {"multiple of 4", [](auto& p) { p.right = static_cast<const char*>(p.right) + 3; }},
    };
    for (const auto& [message, change] : wrong) {
        OstinatoProduct one = fine;
        change(one);
        refused(ostinato_multiply(&one), "multiply", message);
    }
    refused(ostinato_multiply(nullptr), "multiply", "missing");
    refused(ostinato_activate(4, 0, 3, left, out), "activate", "kind 4");
    refused(ostinato_activate(0, 0, -3, left, out), "activate", "-3 numbers");
    refused(ostinato_activate(0, 0, 3, nullptr, out), "activate", "activate");
    refused(ostinato_activate(0, 0, 3, out, out + 1), "activate", "overlap");
    expect(ostinato_activate(0, 0, 3, out, out) == 0 && ostinato_activate(0, 0, 0, nullptr, nullptr) == 0, "activate in place, and nothing");
    refused(ostinato_use("sse9"), "use", "no instruction set 'sse9'");
    refused(ostinato_use(nullptr), "use", "no instruction set ''");
}

// One block of memory so large that no size drawn below reaches its end from any place in it: whatever the checks let pass, no
// wrong byte is touched.
struct Arena {
    static constexpr int64_t BUFFER = 1 << 16, SIZE = 160 * BUFFER;
    std::mt19937 random{7};
    std::unique_ptr<char[]> memory{new char[SIZE + (2 << 20)]()};
    int64_t used = 0;

    int64_t below(int64_t count) { return int64_t(random() % count); }
    void* next() { return memory.get() + used++ * BUFFER; }
    void* anywhere(int64_t item) { return below(5) ? memory.get() + below(SIZE / item) * item : nullptr; }
    void* at_any_byte() { return memory.get() + below(SIZE); }
    int64_t odd() {
        const int64_t values[] = {-1, 0, 1, 2, 3, 7, 17, 30, INT64_MIN, INT64_MAX, int64_t(1) << 41, int64_t(1) << 60};
        return values[below(12)];
    }
};

// Most are nearly right: up to two words of a right call are drawn anew.
}  // namespace

#include "steps.h"

namespace {

void random_words_are_an_error_or_an_answer() {
    Arena arena;
    int answers = 0, errors = 0;
    for (int turn = 0; turn < 6000; turn++) {
        arena.used = 0;
        const bool is_double = arena.below(4) == 0;
        const int64_t item = is_double ? 8 : 4;
        OstinatoScan scan{};
        OstinatoGradients d{};
        std::vector<int64_t> offsets{0}, order;
        scan.cell = arena.below(NUM_CELLS), scan.is_double = is_double, scan.reverse = arena.below(2);
        scan.B = arena.below(6), scan.I = arena.below(9), scan.H = 1 + arena.below(20);
        for (int64_t b = 0; b < scan.B; b++) offsets.push_back(offsets.back() + arena.below(6)), order.push_back(b);
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return offsets[a + 1] - offsets[a] > offsets[b + 1] - offsets[b]; });
        scan.N = offsets.back(), scan.x_stride = scan.I + arena.below(3), scan.hidden_stride = scan.H + arena.below(3);
        offsets.resize(40, scan.N), order.resize(40, 0);
        const void** const read[] = {&scan.x, &scan.weight_x, &scan.weight_h, &scan.bias, &scan.start_h, &scan.start_c, &d.d_last_h, &d.d_hidden, &scan.bias_n, &scan.peepholes, &scan.mask, &d.d_last_c};
        void** const written[] = {&scan.gates, &scan.extra, &scan.hidden, &scan.last_h, &scan.last_c, &d.d_gates, &d.d_extra, &d.d_start_h, &d.d_start_c, &d.d_x, &d.d_weight_x, &d.d_weight_h, &d.d_bias, &d.d_bias_n, &d.d_peepholes, &scan.packed};
        for (int k = 0; k < 8; k++) *read[k] = arena.next();
        for (int k = 0; k < 13; k++) *written[k] = arena.next();
        if (PEEPHOLES[scan.cell] && arena.below(2)) scan.peepholes = arena.next(), d.d_peepholes = arena.next();
        if (scan.cell == GRU_AFTER && arena.below(2)) scan.bias_n = arena.next(), d.d_bias_n = arena.next();
        if (arena.below(2)) scan.mask = arena.next();
        if (!arena.below(3)) d.d_gates = scan.gates, d.d_extra = scan.extra;
        d.d_hidden_stride = scan.H;
        for (int64_t changes = arena.below(3); changes; changes--) {
            int64_t* const sizes[] = {&scan.cell, &scan.B, &scan.N, &scan.I, &scan.H, &scan.x_stride, &scan.hidden_stride, &d.d_hidden_stride};
            switch (arena.below(6)) {
            case 0: *sizes[arena.below(8)] = arena.odd(); break;
            case 1: *read[arena.below(12)] = arena.anywhere(item); break;
            case 2: *written[arena.below(16)] = arena.anywhere(item); break;
            case 3: offsets[arena.below(7)] = arena.odd(); break;
            case 4: order[arena.below(7)] = arena.odd(); break;
            default: *written[arena.below(16)] = arena.at_any_byte(); break;
            }
        }
        scan.offsets = offsets.data(), scan.order = order.data();
        ostinato_set_threads(1 + arena.below(3), nullptr, nullptr, nullptr);
        int64_t code = ostinato_forward(&scan, 1);
        expect(!code || *ostinato_error(), "an error without a message");
        code ? errors++ : answers++;
        if (!code) code = ostinato_backward(&scan, &d);
        expect(!code || *ostinato_error(), "an error without a message");
    }
    expect(answers > 1000 && errors > 1000, "the random scans are nearly all right, or nearly all wrong");
}

void random_words_of_decoders_are_an_error_or_an_answer() {
    Arena arena;
    int answers = 0, errors = 0;
    const auto kinds = decoder_kinds(7);
    for (int turn = 0; turn < 4000; turn++) {
        arena.used = 0;
        DecoderCase<float> one(kinds[arena.below(kinds.size())]);
        for (auto* numbers : {&one.offsets, &one.memory_offsets, &one.weight_offsets}) numbers->resize(40, numbers->back());
        one.order.resize(40, 0);
        std::vector<void**> pointers;
        const auto add = [&](auto&... each) { (pointers.push_back((void**)&each), ...); };
        auto& d = one.d;
        add(d.keys, d.values, d.query_weight, d.query_bias, d.energy, d.readout, d.readout_bias, d.start_fed, d.weights, d.queries, d.contexts, d.features, d.dropped, d.d_features,
            d.d_contexts, d.d_start_fed, d.d_queries, d.d_keys, d.d_values, d.d_energy, d.d_below, d.d_query_weight, d.d_query_bias, d.d_readout, d.d_readout_bias);
        one.scans.resize(10), one.gradients.resize(10);
        for (int64_t l = 0; l < one.kind.layers; l++) {
            auto& s = one.scans[l];
            auto& g = one.gradients[l];
            add(s.x, s.weight_x, s.weight_h, s.bias, s.bias_n, s.peepholes, s.start_h, s.start_c, s.mask, s.gates, s.extra, s.hidden);
            add(g.d_hidden, g.d_gates, g.d_extra, g.d_start_h, g.d_start_c, g.d_x, g.d_weight_x, g.d_weight_h, g.d_bias, g.d_bias_n, g.d_peepholes);
            s.offsets = one.offsets.data(), s.order = one.order.data();
        }
        for (void** pointer : pointers)
            if (*pointer) *pointer = arena.next();
        d.layers = one.scans.data(), d.layer_gradients = one.gradients.data(), d.memory_offsets = one.memory_offsets.data(), d.weight_offsets = one.weight_offsets.data();
        if (!arena.below(4)) d.packed = arena.next();
        if (!arena.below(4)) d.examples = one.order.data();
        for (int64_t changes = arena.below(3); changes; changes--) {
            auto& s = one.scans[arena.below(3)];
            int64_t* const sizes[] = {&d.num_layers, &d.feeding, &d.fed_back, &d.F, &d.A, &d.M, &d.longest_memory, &d.num_examples, &d.packed_ready, &s.cell, &s.B, &s.N, &s.I, &s.H, &s.x_stride, &s.hidden_stride, &s.weight_x_stride};
            std::vector<int64_t>* const numbers[] = {&one.offsets, &one.order, &one.memory_offsets, &one.weight_offsets};
            switch (arena.below(4)) {
            case 0: *sizes[arena.below(17)] = arena.odd(); break;
            case 1: *pointers[arena.below(pointers.size())] = arena.anywhere(4); break;
            case 2: (*numbers[arena.below(4)])[arena.below(7)] = arena.odd(); break;
            default: *pointers[arena.below(pointers.size())] = arena.at_any_byte(); break;
            }
        }
        ostinato_set_threads(1 + arena.below(3), nullptr, nullptr, nullptr);
        int64_t code = ostinato_decoder_forward(&d);
        expect(!code || *ostinato_error(), "an error without a message");
        code ? errors++ : answers++;
        if (!code) code = ostinato_decoder_backward(&d);
        expect(!code || *ostinato_error(), "an error without a message");
    }
    expect(answers > 700 && errors > 700, "the random decoders are nearly all right, or nearly all wrong");
}

// ---- activations

constexpr int KINDS = 4;
const char* const KIND_NAMES[] = {"sigmoid", "tanh", "exp", "log sigmoid"};

double exact(int kind, float x) {
    const double e = exp(-fabs(double(x)));
    if (kind == 1) return tanh(double(x));
    if (kind == 2) return exp(double(x));
    if (kind == 3) return (x > 0 ? 0 : double(x)) - log1p(e);
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

// The error in units in the last place of float32.
double error_of(float y, double right) {
    if (y != y || right != right) return y != y && right != right ? 0 : INFINITY;
    if (y == right) return 0;  // infinities
    int exponent;
    frexp(right, &exponent);
    return fabs(double(y) - right) / ldexp(1.0, std::max(exponent - 24, -149));
}

// `every` float32 of [-20, 20], or every `every`-th.
void activations_are_near(uint32_t every) {
    const auto sets = instruction_sets();
    std::vector<double> worst(KINDS * sets.size());
    constexpr int BLOCK = 4096;
    const uint32_t last = 0x41a00000;  // 20
    std::vector<float> x(BLOCK), y(BLOCK);
    std::vector<double> right(BLOCK);
    for (uint32_t sign : {0u, 0x80000000u})
        for (uint64_t begin = 0; begin <= last; begin += uint64_t(BLOCK) * every) {
            int count = 0;
            for (; count < BLOCK && begin + uint64_t(count) * every <= last; count++) {
                const uint32_t bits = sign | uint32_t(begin + uint64_t(count) * every);
                memcpy(&x[count], &bits, 4);
            }
            for (int kind = 0; kind < KINDS; kind++) {
                if (kind == 2 && !sign) continue;  // exp of what is 0 or less
                for (int k = 0; k < count; k++) right[k] = exact(kind, x[k]);
                for (size_t set = 0; set < sets.size(); set++) {
                    ostinato_use(sets[set].c_str());
                    expect(ostinato_activate(kind, 0, count, x.data(), y.data()) == 0, "activate");
                    for (int k = 0; k < count; k++) worst[KINDS * set + kind] = std::max(worst[KINDS * set + kind], error_of(y[k], right[k]));
                }
            }
        }
    for (size_t set = 0; set < sets.size(); set++)
        for (int kind = 0; kind < KINDS; kind++) {
            printf("  %s: %s within %.2f units in the last place\n", sets[set].c_str(), KIND_NAMES[kind], worst[KINDS * set + kind]);
            expect(worst[KINDS * set + kind] <= 4, sets[set] + ": " + KIND_NAMES[kind] + " is further than 4 units in the last place");
        }
    for (const auto& name : sets) {
        ostinato_use(name.c_str());
        const float special[] = {NAN, -NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e-45f, -1e-45f, 1e-39f, 3e38f, -3e38f, 88.8f, -88.8f, -104.5f, -1e4f};
        float out[15];
        for (int kind = 0; kind < KINDS; kind++) {
            ostinato_activate(kind, 0, 15, special, out);
            for (int k = 0; k < 15; k++)
                if (kind != 2 || !(special[k] > 0)) expect(error_of(out[k], exact(kind, special[k])) <= 4, name + ": " + KIND_NAMES[kind] + " of a special number");
            expect(kind != 1 || (signbit(out[5]) && !signbit(out[4])), name + ": tanh(-0) is -0, and of 0 it is 0");
        }
    }
}

void run(const char* name, const std::function<void()>& test) {
    const int before = failures;
    test();
    printf("%s %s\n", failures == before ? "passed" : "FAILED", name);
    fflush(stdout);
}

// Where threads meet: what a sanitizer of threads is slow for, and for.
void run_threads() {
    const auto sets = instruction_sets();
    for (const auto& name : {sets.front(), sets.back()}) {
        expect(ostinato_use(name.c_str()) == 0, "use");
        run((name + ": threads_change_nothing").c_str(), threads_change_nothing);
        run((name + ": both_directions_at_once_are_each_alone").c_str(), both_directions_at_once_are_each_alone);
    }
    ostinato_use(sets.front().c_str());
    run("decoders_have_the_same_bits_on_any_threads", [] { decoders_have_the_same_bits_on_any_threads(16); });
    run("steps_have_the_same_bits_on_any_threads", steps_have_the_same_bits_on_any_threads);
    run("callers_at_once_do_not_disturb_each_other", callers_at_once_do_not_disturb_each_other);
    run("decoders_at_once_do_not_disturb_each_other", decoders_at_once_do_not_disturb_each_other);
    run("a_set_may_be_chosen_while_others_compute", a_set_may_be_chosen_while_others_compute);
    run("a_child_of_fork_computes_alone", a_child_of_fork_computes_alone);
}

void run_all() {
    for (const auto& name : instruction_sets()) {
        expect(ostinato_use(name.c_str()) == 0, "use");
        const char* set = name.c_str();
        run((name + ": equals_the_equations").c_str(), [&] { equals_the_equations<float>(set), equals_the_equations<double>(set); });
        run((name + ": gradients_are_finite_differences").c_str(), [&] { gradients_are_finite_differences(set); });
        run((name + ": float32_gradients_are_float64s").c_str(), [&] { float32_gradients_are_float64s<float>(set); });
        run((name + ": decoder_gradients_are_finite_differences").c_str(), [&] { decoder_gradients_are_finite_differences(set); });
        for (int64_t half = 0; half <= ostinato_has_half(); half++) run((name + (half ? ": products_of_bfloat16_are_sums" : ": products_are_sums")).c_str(), [&] { products_are_sums(set, half); });
        run((name + ": steps_are_their_equations").c_str(), [&] { steps_are_their_equations<float>(set), steps_are_their_equations<double>(set); });
        for (int64_t H : {3, 33}) run((name + ": decoders_have_the_same_bits_on_any_threads").c_str(), [&] { decoders_have_the_same_bits_on_any_threads(H); });
    }
    run_threads();
    run("wrong_scans_are_refused", wrong_scans_are_refused);
    run("wrong_decoders_are_refused", wrong_decoders_are_refused);
    run("wrong_products_and_activations_are_refused", wrong_products_and_activations_are_refused);
    run("wrong_steps_are_refused", wrong_steps_are_refused);
    run("random_words_are_an_error_or_an_answer", random_words_are_an_error_or_an_answer);
    run("random_words_of_decoders_are_an_error_or_an_answer", random_words_of_decoders_are_an_error_or_an_answer);
    run("activations_are_near, every 4099th float32", [] { activations_are_near(4099); });
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "all";
    printf("instruction sets: %s\n", ostinato_instruction_sets());
    expect(ostinato_abi() == OSTINATO_ABI, "abi");
    if (what == "ulp") run("activations_are_near, every float32", [] { activations_are_near(1); });
    else if (what == "threads") run_threads();
    else run_all();
    return failures != 0;
}
