// The attentional decoder: gradients against finite differences, threads against each other, wrong arguments against errors.
#pragma once

#include "support.h"

namespace {

struct DecoderKind {
    int64_t cell, layers;
    std::vector<int64_t> lengths, memory;
    bool feeding, fed_back, additive, query, masks, biases;
    int64_t E = 5, H = 7, M = 6, A = 4, F = 3;
    bool window = false;
};

// As Case: an OstinatoDecoder with all its memory.
template <class T> struct DecoderCase {
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
        const int64_t B = one.lengths.size(), H = one.H, width = GATES[one.cell] * H, A = one.window ? 2 : one.query ? one.A : H, F = one.feeding ? one.F : one.M;
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
        d.narrowest = one.window ? 0.3 : 0;
        d.keys = input(S * A, !one.window, &d.d_keys, 1), d.values = input(S * one.M, true, &d.d_values, 1);
        d.query_weight = input(A * H, one.query, &d.d_query_weight), d.query_bias = input(A, one.query && one.biases, &d.d_query_bias);
        d.energy = input(A, one.additive, &d.d_energy, 1, B);
        d.readout = input(F * (H + one.M), one.feeding, &d.d_readout), d.readout_bias = input(F, one.feeding && one.biases, &d.d_readout_bias);
        d.start_fed = input(B * F, one.feeding, &d.d_start_fed);
        d.start_middle = input(B, one.window, &d.d_start_middle), d.middles = one.window ? room(N) : nullptr;
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
             << (kind.query ? " query" : "") << (kind.window ? " window" : "") << (kind.masks ? " masks" : "") << " N=" << N << " H=" << kind.H;
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
    for (int64_t cell : {RNN_TANH, LSTM, GRU_AFTER, SLSTM})
        for (int64_t layers = 1; layers <= 2; layers++)
            for (int way = 0; way < 3; way++) {
                all.push_back({cell, layers, {3, 0, 5, 1, 2}, {4, 2, 3, 0, 6}, way < 2, way == 0, false, true, layers == 2, way != 1});
                all.back().H = H, all.back().window = true;
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
        expect_finite_differences(one, name);
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
    DecoderKind window = kind;
    window.additive = false, window.window = true;
    const std::pair<const char*, Change> wrong_windows[] = {
        {"is no deviation", [](auto& c) { c.d.narrowest = -0.3; }},
        {"is no deviation", [](auto& c) { c.d.narrowest = NAN; }},
        {"is no deviation", [](auto& c) { c.d.narrowest = INFINITY; }},
        {"a window has query_weight", [](auto& c) { c.d.A = 3; }},
        {"a window has query_weight", [](auto& c) { c.d.energy = c.d.query_weight; }},
        {"a window has query_weight", [](auto& c) { c.d.query_weight = nullptr, c.d.A = c.kind.H; }},
        {"start_middle or middles", [](auto& c) { c.d.start_middle = nullptr; }},
        {"start_middle or middles", [](auto& c) { c.d.middles = nullptr; }},
        {"keys, values, contexts or weights", [](auto& c) { c.d.values = nullptr; }},
        {"middles and start_middle overlap", [](auto& c) { c.d.start_middle = c.d.middles; }},
        {"multiple of 4", [](auto& c) { c.d.middles = static_cast<char*>(c.d.middles) + 2; }},
        {"keys, values, contexts or weights", [](auto& c) { c.d.narrowest = 0; }},
    };
    for (const auto& [message, change] : wrong_windows) {
        DecoderCase<float> one(window);
        change(one);
        refused(one.forward(), "decoder with a window", message);
    }
    for (const auto& [message, change] : {std::pair<const char*, Change>{"d_start_middle is missing", [](auto& c) { c.d.d_start_middle = nullptr; }},
                                          {"overlap", [](auto& c) { c.d.d_start_middle = c.d.middles; }}}) {
        DecoderCase<float> one(window);
        one.forward();
        change(one);
        refused(ostinato_decoder_backward(&one.d), "decoder with a window, backward", message);
    }
    refused(ostinato_decoder_forward(nullptr), "no decoder", "missing");
    refused(ostinato_decoder_backward(nullptr), "no decoder", "missing");
    expect(ostinato_decoder_packed_size(nullptr) < 0 && ostinato_scan_packed_size(nullptr) < 0 && ostinato_packed_size(nullptr) < 0, "sizes of nothing");
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
            d.d_contexts, d.d_start_fed, d.d_queries, d.d_keys, d.d_values, d.d_energy, d.d_below, d.d_query_weight, d.d_query_bias, d.d_readout, d.d_readout_bias,
            d.start_middle, d.middles, d.d_start_middle);
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

}  // namespace
