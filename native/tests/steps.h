// The step of a Transformer's layers: against its equations, threads against each other, wrong arguments against errors.
#pragma once

#include "support.h"

namespace {

struct StepKind {
    int64_t R, A, K, D, F, layers, filled, norm, activation;
    bool norm_first, bias, turned, gains, norm_after;
    std::vector<std::vector<int64_t>> inputs;  // the lengths of each input's examples
    int64_t S;
    bool shared;  // rows read examples that are told, not their own
};

const StepKind STEP_KINDS[] = {
    {3, 4, 4, 6, 20, 2, 3, STEP_LAYER_NORM, STEP_RELU, false, true, false, false, false, {{2, 5, 1}}, 5, false},
    {5, 4, 2, 34, 70, 2, 0, STEP_RMS_NORM, STEP_SQUARED_RELU, true, false, true, true, true, {{2, 0}, {3, 1}}, 3, true},
    {2, 2, 1, 8, 19, 1, 17, STEP_RMS_NORM, STEP_SWIGLU, true, true, true, false, true, {}, 0, false},
    {200, 1, 1, 16, 33, 1, 2, STEP_LAYER_NORM, STEP_RELU, true, true, false, true, true, {{4, 4}}, 4, true},
};

template <class T> struct StepCase {
    StepKind kind;
    Memory memory;
    int64_t H, capacity, first, E;
    OstinatoStep step{};
    std::vector<OstinatoLayer> layers;
    std::vector<std::vector<OstinatoLook>> looks;
    std::vector<int64_t> examples;

    explicit StepCase(const StepKind& one, unsigned seed = 1) : kind(one), memory(seed), H(one.A * one.D), capacity(one.filled + 2) {
        first = (one.activation == STEP_SWIGLU ? 2 : 1) * one.F;
        E = one.inputs.empty() ? 0 : one.inputs[0].size();
        const auto some = [&](int64_t count, bool wanted = true) { return wanted ? memory.numbers<T>(count, 0.5) : nullptr; };
        looks.resize(one.layers);
        layers.resize(one.layers);
        std::vector<const int64_t*> lengths;
        for (const auto& each : kind.inputs) lengths.push_back(each.data());
        for (int64_t l = 0; l < one.layers; l++) {
            for (size_t k = 0; k < kind.inputs.size(); k++) {
                OstinatoLook look{some(H), some(H, one.bias), some(H * H), some(H, one.bias), some(H, one.gains), some(H * H), some(H, one.bias), nullptr, nullptr, lengths[k], one.S, nullptr};
                look.keys = some(E * one.K * one.S * one.D), look.values = some(E * one.K * one.S * one.D);
                if (l == one.layers - 1) look.weights = memory.numbers<T>(one.R * one.S, 9);
                looks[l].push_back(look);
            }
            layers[l] = {some(H), some(H, one.bias), some((one.A + 2 * one.K) * one.D * H), some((one.A + 2 * one.K) * one.D, one.bias), some((one.A + one.K) * one.D, one.gains), some(H * H), some(H, one.bias), looks[l].data(), some(H), some(H, one.bias), some(first * H), some(first, one.bias), some(H * one.F), some(H, one.bias), nullptr, nullptr};
            layers[l].keys = some(one.R * one.K * capacity * one.D), layers[l].values = some(one.R * one.K * capacity * one.D);
        }
        for (int64_t r = 0; one.shared && r < one.R; r++) examples.push_back((r * 7) % E);
        step.is_double = sizeof(T) == 8, step.R = one.R, step.H = H, step.A = one.A, step.K = one.K, step.D = one.D, step.F = one.F;
        step.layers = layers.data(), step.num_layers = one.layers, step.num_looks = kind.inputs.size(), step.filled = one.filled, step.capacity = capacity;
        step.norm = one.norm, step.epsilon = 1e-5, step.norm_first = one.norm_first, step.norm_after = one.norm_after, step.activation = one.activation;
        step.cosines = some(one.D / 2, one.turned), step.sines = some(one.D / 2, one.turned);
        step.norm_weight = some(H, one.norm_after), step.norm_bias = some(H, one.norm_after && one.bias);
        step.examples = one.shared ? examples.data() : nullptr, step.num_examples = E;
        step.x = some(one.R * H), step.out = memory.numbers<T>(one.R * H, 9);
    }

    using Row = std::vector<double>;
    static double at(const void* values, int64_t k) { return static_cast<const T*>(values)[k]; }

    static Row map(const Row& x, const void* weight, const void* bias, int64_t rows) {
        Row y(rows);
        for (int64_t n = 0; n < rows; n++) {
            y[n] = bias ? at(bias, n) : 0;
            for (size_t k = 0; k < x.size(); k++) y[n] += at(weight, n * x.size() + k) * x[k];
        }
        return y;
    }
    Row normed(const Row& x, const void* weight, const void* bias) const {
        double mean = 0, square = 0;
        for (double v : x) mean += v / H;
        if (kind.norm == STEP_RMS_NORM) mean = 0;
        for (double v : x) square += (v - mean) * (v - mean) / H;
        Row y(H);
        for (int64_t k = 0; k < H; k++) y[k] = (x[k] - mean) / sqrt(square + 1e-5) * at(weight, k) + (bias ? at(bias, k) : 0);
        return y;
    }
    void turn(Row& heads, int64_t count, const void* gain) const {
        const int64_t D = kind.D;
        for (int64_t a = 0; a < count; a++) {
            double* head = heads.data() + a * D;
            double square = 0;
            for (int64_t k = 0; k < D; k++) square += head[k] * head[k] / D;
            for (int64_t k = 0; gain && k < D; k++) head[k] = head[k] / sqrt(square + 1e-6) * at(gain, a * D + k);
            for (int64_t k = 0; step.cosines && k < D / 2; k++) {
                const double p = head[k], q = head[k + D / 2], c = at(step.cosines, k), s = at(step.sines, k);
                head[k] = p * c - q * s, head[k + D / 2] = q * c + p * s;
            }
        }
    }
    // Contexts of a row's queries, keys and values by (head, step, number); adds the heads' weights to `shown`.
    Row attended(const Row& queries, int64_t steps, const std::function<double(int64_t, int64_t, int64_t)>& key, const std::function<double(int64_t, int64_t, int64_t)>& value, Row* shown) const {
        Row found(H);
        for (int64_t a = 0; a < kind.A; a++) {
            const int64_t k = a / (kind.A / kind.K);
            Row scores(steps);
            double total = 0;
            for (int64_t t = 0; t < steps; t++) {
                for (int64_t d = 0; d < kind.D; d++) scores[t] += queries[a * kind.D + d] * key(k, t, d) / sqrt(double(kind.D));
                total += scores[t] = exp(scores[t]);
            }
            for (int64_t t = 0; t < steps; t++) {
                if (shown) (*shown)[t] += scores[t] / total / kind.A;
                for (int64_t d = 0; d < kind.D; d++) found[a * kind.D + d] += scores[t] / total * value(k, t, d);
            }
        }
        return found;
    }
    Row sum(const Row& x, const Row& y, const void* weight, const void* bias) const {
        Row both = x;
        for (int64_t k = 0; k < H; k++) both[k] += y[k];
        return kind.norm_first ? both : normed(both, weight, bias);
    }

    // The features of a row by the equations; weights of looks behind them.
    Row expected(int64_t r) const {
        const auto before = [&](const Row& x, const void* weight, const void* bias) { return kind.norm_first ? normed(x, weight, bias) : x; };
        const int64_t A = kind.A, K = kind.K, D = kind.D;
        Row x(H), weights;
        for (int64_t k = 0; k < H; k++) x[k] = at(step.x, r * H + k);
        for (int64_t l = 0; l < kind.layers; l++) {
            const OstinatoLayer& layer = layers[l];
            Row read = map(before(x, layer.norm_weight, layer.norm_bias), layer.read_weight, layer.read_bias, (A + 2 * K) * D);
            turn(read, A + K, layer.gain);
            const auto kept = [&](const void* room, int64_t part) {
                return [&, room, part](int64_t k, int64_t t, int64_t d) { return t == kind.filled ? read[(A + part * K + k) * D + d] : at(room, ((r * K + k) * capacity + t) * D + d); };
            };
            x = sum(x, map(attended(read, kind.filled + 1, kept(layer.keys, 0), kept(layer.values, 1), nullptr), layer.output_weight, layer.output_bias, H), layer.norm_weight, layer.norm_bias);
            for (const OstinatoLook& look : looks[l]) {
                Row query = map(before(x, look.norm_weight, look.norm_bias), look.query_weight, look.query_bias, H), shown(kind.S);
                turn(query, A, look.gain);
                const int64_t example = kind.shared ? examples[r] : r, steps = look.lengths[example];
                const auto of_input = [&](const void* values) { return [&, values](int64_t k, int64_t t, int64_t d) { return at(values, ((example * K + k) * kind.S + t) * D + d); }; };
                const Row found = attended(query, std::max<int64_t>(steps, 1), of_input(look.keys), of_input(look.values), &shown);
                if (!steps) shown.assign(kind.S, 0);
                if (look.weights) weights.insert(weights.end(), shown.begin(), shown.end());
                x = sum(x, map(found, look.output_weight, look.output_bias, H), look.norm_weight, look.norm_bias);
            }
            Row inner = map(before(x, layer.last_norm_weight, layer.last_norm_bias), layer.first_weight, layer.first_bias, first);
            for (int64_t k = 0; k < kind.F; k++) {
                if (kind.activation == STEP_SWIGLU) inner[k] = inner[k] / (1 + exp(-inner[k])) * inner[kind.F + k];
                else inner[k] = std::max(inner[k], 0.0) * (kind.activation == STEP_RELU ? 1 : std::max(inner[k], 0.0));
            }
            inner.resize(kind.F);
            x = sum(x, map(inner, layer.second_weight, layer.second_bias, H), layer.last_norm_weight, layer.last_norm_bias);
        }
        if (kind.norm_after) x = normed(x, step.norm_weight, step.norm_bias);
        x.insert(x.end(), weights.begin(), weights.end());
        return x;
    }
    Row got(int64_t r) const {
        Row all;
        for (int64_t k = 0; k < H; k++) all.push_back(at(step.out, r * H + k));
        for (const OstinatoLook& look : looks.back())
            for (int64_t s = 0; s < kind.S; s++) all.push_back(at(look.weights, r * kind.S + s));
        return all;
    }
};

template <class T> void steps_are_their_equations(const char* set) {
    for (const StepKind& kind : STEP_KINDS)
        for (bool packed : {false, true}) {
            StepCase<T> one(kind);
            std::vector<std::vector<double>> right;
            for (int64_t r = 0; r < kind.R; r++) right.push_back(one.expected(r));
            const int64_t size = ostinato_step_packed_size(&one.step);
            expect(size > 0, "step_packed_size");
            Room room(size);
            if (packed) one.step.packed = room.at();
            for (int64_t again = 0; again <= packed; again++) {  // the second time with weights that are ready
                one.step.packed_ready = again;
                expect(ostinato_step(&one.step) == 0, std::string(set) + ": step");
                double worst = 0, largest = 0;
                for (int64_t r = 0; r < kind.R; r++) {
                    const auto got = one.got(r);
                    for (size_t k = 0; k < got.size(); k++) worst = std::max(worst, fabs(got[k] - right[r][k])), largest = std::max(largest, fabs(right[r][k]));
                }
                expect(worst <= largest * (sizeof(T) == 8 ? 1e-12 : 2e-5), std::string(set) + ": a step is not its equations, by " + std::to_string(worst / largest));
            }
        }
}

void steps_have_the_same_bits_on_any_threads() {
    for (const StepKind& kind : STEP_KINDS) {
        StepKind wide = kind;
        wide.F = 40000 / kind.A;  // so that one thread is not enough
        std::vector<std::vector<double>> first;
        for (int threads : {1, 2, 3, 7}) {
            StepCase<float> one(wide);
            ostinato_set_threads(threads, nullptr, nullptr, nullptr);
            expect(ostinato_step(&one.step) == 0, "step");
            for (int64_t r = 0; r < kind.R; r++) {
                if (threads == 1) first.push_back(one.got(r));
                else expect(one.got(r) == first[r], "a step's row differs on " + std::to_string(threads) + " threads");
            }
        }
        ostinato_set_threads(1, nullptr, nullptr, nullptr);
    }
}

void wrong_steps_are_refused() {
    const auto with = [](const char* message, const std::function<void(StepCase<float>&)>& change) {
        StepCase<float> one(STEP_KINDS[1]);
        change(one);
        refused(ostinato_step(&one.step), "a wrong step", message);
    };
    refused(ostinato_step(nullptr), "no step", "the step is missing");
    refused(ostinato_step_packed_size(nullptr) == -1, "no step", "the step is missing");
    with("is no size", [](auto& one) { one.step.R = -1; });
    with("layers; 1 to", [](auto& one) { one.step.num_layers = 65; });
    with("looks; 0 to", [](auto& one) { one.step.num_looks = 9; });
    with("do not fit", [](auto& one) { one.step.K = 3; });
    with("do not fit", [](auto& one) { one.step.H += 1; });
    with("belong together", [](auto& one) { one.step.sines = nullptr; });
    with("no norm", [](auto& one) { one.step.norm = 2; });
    with("no activation", [](auto& one) { one.step.activation = 3; });
    with("epsilon", [](auto& one) { one.step.epsilon = NAN; });
    with("fill the room", [](auto& one) { one.step.filled = one.step.capacity; });
    with("larger than memory", [](auto& one) { one.step.capacity = int64_t(1) << 40; one.step.R = int64_t(1) << 39; });
    with("x or out", [](auto& one) { one.step.out = nullptr; });
    with("multiple of 64", [](auto& one) { one.step.packed = reinterpret_cast<void*>(68); });
    with("examples for", [](auto& one) { one.step.examples = nullptr; });
    with("example 2 of 2", [](auto& one) { one.examples[3] = 2; });
    with("first_weight is missing", [](auto& one) { one.layers[1].first_weight = nullptr; });
    with("keys or values of layer 1", [](auto& one) { one.layers[1].values = nullptr; });
    with("looks of layer 0", [](auto& one) { one.layers[0].looks = nullptr; });
    with("query_weight is missing", [](auto& one) { one.looks[1][0].query_weight = nullptr; });
    with("keys or values of a look", [](auto& one) { one.looks[0][1].keys = nullptr; });
    with("the first layer's has", [](auto& one) { one.looks[1][1].S = 2; });
    with("steps of S = 3", [](auto& one) { one.kind.inputs[0][1] = 4; });
    with("overlap", [](auto& one) { one.step.out = const_cast<void*>(one.step.x); });
    with("overlap", [](auto& one) { one.layers[1].keys = one.layers[0].keys; });
    const StepCase<float> whole(STEP_KINDS[1]);
    const Room room(ostinato_step_packed_size(&whole.step));
    with("overlap", [&](auto& one) { one.step.out = one.step.packed = room.at(); });
    with("no multiple of", [](auto& one) { one.step.out = static_cast<char*>(one.step.out) + 1; });
}

}  // namespace
