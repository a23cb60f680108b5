// Recurrences: cells against their equations, gradients against finite differences, threads against each other, wrong arguments
// against errors.
#pragma once

#include "support.h"

namespace {

struct Kind {
    int64_t cell;
    std::vector<int64_t> lengths;
    int64_t I, H;
    bool reverse = false, mask = false, bias = true, peepholes = false, half = false;
};

// A scan and its gradients with all their memory. The named arrays are what a gradient is asked for.
template <class T> struct Case {
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
        scan.cell = one.cell, scan.is_double = sizeof(T) == 8, scan.reverse = one.reverse, scan.half = one.half;
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

// The equations (docstrings of ostinato/cells), a number at a time.

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
        expect_finite_differences(one, name);
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

// Each also with products of bfloat16, where the set in use has them.
std::vector<Kind> with_halves(const std::vector<Kind>& kinds) {
    std::vector<Kind> all = kinds;
    for (Kind kind : kinds)
        if (ostinato_has_half()) kind.half = true, all.push_back(kind);
    return all;
}

std::vector<float> computed(const Kind& kind) {
    Case<float> one(kind);
    expect(one.forward() == 0 && one.backward() == 0, one.name());
    return one.everything();
}

void both_directions_at_once_are_each_alone() {
    for (Kind kind : with_halves(large_kinds())) {
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
    for (const Kind& kind : with_halves(large_kinds())) {
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

// Most are nearly right: up to two words of a right call are drawn anew.
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

}  // namespace
