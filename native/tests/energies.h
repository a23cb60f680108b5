// Energies of an additive attention, and linear recurrences: against their equations, gradients against finite differences,
// threads against each other, wrong arguments against errors.
#pragma once

#include "support.h"

namespace {

template <class T> struct EnergiesCase {
    Memory memory;
    OstinatoEnergies e{};
    T *query, *keys, *energy, *scores, *d_scores, *d_query, *d_keys, *d_energy;
    std::vector<Part> parts;

    EnergiesCase(int64_t B, int64_t K, int64_t S, int64_t A, unsigned seed = 1) : memory(seed) {
        query = memory.numbers<T>(B * K * A, 1), keys = memory.numbers<T>(B * S * A, 1), energy = memory.numbers<T>(A, 1);
        scores = memory.numbers<T>(B * K * S, 9), d_scores = memory.numbers<T>(B * K * S, 1);
        d_query = memory.numbers<T>(B * K * A, 9), d_keys = memory.numbers<T>(B * S * A, 9), d_energy = memory.numbers<T>(B * A, 9);
        e = {sizeof(T) == 8, B, K, S, A, query, keys, energy, scores, d_scores, d_query, d_keys, d_energy};
        parts = {{query, d_query, B * K * A}, {keys, d_keys, B * S * A}, {energy, d_energy, A, B}};
    }

    double expected(int64_t row, int64_t s) const {
        double sum = 0;
        for (int64_t a = 0; a < e.A; a++) sum += double(energy[a]) * tanh(double(query[row * e.A + a]) + keys[(row / e.K * e.S + s) * e.A + a]);
        return sum;
    }
    void forward() { expect(ostinato_energies_forward(&e) == 0, "energies"); }
    void backward() { expect(ostinato_energies_backward(&e) == 0, "gradients of energies"); }
    double loss() const {
        double sum = 0;
        for (int64_t k = 0; k < e.B * e.K * e.S; k++) sum += double(scores[k]) * d_scores[k];
        return sum;
    }
    std::vector<T> all() const {
        std::vector<T> values(scores, scores + e.B * e.K * e.S);
        values.insert(values.end(), d_query, d_query + e.B * e.K * e.A);
        values.insert(values.end(), d_keys, d_keys + e.B * e.S * e.A);
        values.insert(values.end(), d_energy, d_energy + e.B * e.A);
        return values;
    }
};

template <class T> struct LinearCase {
    Memory memory;
    std::vector<int64_t> offsets;
    OstinatoLinearScan scan{};
    T *keep, *add, *start, *hidden, *d_hidden, *d_keep, *d_add, *d_start;
    std::vector<Part> parts;

    LinearCase(const std::vector<int64_t>& lengths, int64_t H, unsigned seed = 1) : memory(seed), offsets{0} {
        for (int64_t length : lengths) offsets.push_back(offsets.back() + length);
        const int64_t B = lengths.size(), N = offsets.back();
        keep = memory.numbers<T>(N * H, 1), add = memory.numbers<T>(N * H, 1), start = memory.numbers<T>(B * H, 1);
        hidden = memory.numbers<T>(N * H, 9), d_hidden = memory.numbers<T>(N * H, 1);
        d_keep = memory.numbers<T>(N * H, 9), d_add = memory.numbers<T>(N * H, 9), d_start = memory.numbers<T>(B * H, 9);
        scan = {sizeof(T) == 8, B, N, H, offsets.data(), keep, add, start, hidden, d_hidden, d_keep, d_add, d_start};
        parts = {{keep, d_keep, N * H}, {add, d_add, N * H}, {start, d_start, B * H}};
    }

    void forward() { expect(ostinato_linear_scan_forward(&scan) == 0, "linear scan"); }
    void backward() { expect(ostinato_linear_scan_backward(&scan) == 0, "gradients of a linear scan"); }
    double loss() const {
        double sum = 0;
        for (int64_t k = 0; k < scan.N * scan.H; k++) sum += double(hidden[k]) * d_hidden[k];
        return sum;
    }
    std::vector<T> all() const {
        const int64_t size = scan.N * scan.H;
        std::vector<T> values(hidden, hidden + size);
        values.insert(values.end(), d_keep, d_keep + size), values.insert(values.end(), d_add, d_add + size);
        values.insert(values.end(), d_start, d_start + scan.B * scan.H);
        return values;
    }
};

const int64_t ENERGIES[][4] = {{1, 1, 1, 1}, {2, 3, 5, 7}, {3, 4, 2, 16}, {4, 9, 31, 33}, {2, 0, 3, 4}, {2, 3, 0, 4}, {0, 1, 1, 3}};
const std::vector<int64_t> LENGTHS[] = {{1}, {3, 0, 7}, {0}, {40, 1, 0, 2}};

template <class T> void energies_are_their_equations(const char* set) {
    for (const auto& [B, K, S, A] : ENERGIES) {
        EnergiesCase<T> one(B, K, S, A);
        one.forward();
        double worst = 0;
        for (int64_t row = 0; row < B * K; row++)
            for (int64_t s = 0; s < S; s++) worst = std::max(worst, fabs(one.expected(row, s) - one.scores[row * S + s]));
        expect(worst <= (sizeof(T) == 8 ? 1e-13 : 1e-5), std::string(set) + ": energies are " + std::to_string(worst) + " from their equation");
        one.backward();
        if constexpr (sizeof(T) == 8) expect_finite_differences(one, std::string(set) + ": energies");
    }
    for (const auto& lengths : LENGTHS)
        for (int64_t H : {1, 5, 64, 70}) {
            LinearCase<T> one(lengths, H);
            one.forward();
            double worst = 0;
            for (int64_t b = 0; b < one.scan.B; b++)
                for (int64_t j = 0; j < H; j++) {
                    double h = one.start[b * H + j];
                    for (int64_t n = one.offsets[b]; n < one.offsets[b + 1]; n++) {
                        h = one.keep[n * H + j] * h + one.add[n * H + j];
                        worst = std::max(worst, fabs(h - one.hidden[n * H + j]));
                    }
                }
            expect(worst <= (sizeof(T) == 8 ? 1e-13 : 1e-5), std::string(set) + ": a linear scan is " + std::to_string(worst) + " from its equation");
            one.backward();
            if constexpr (sizeof(T) == 8) expect_finite_differences(one, std::string(set) + ": a linear scan");
        }
}

void energies_have_the_same_bits_on_any_threads() {
    std::vector<float> first[2];
    for (int threads : {1, 2, 3, 7}) {
        ostinato_set_threads(threads, nullptr, nullptr, nullptr);
        EnergiesCase<float> energies(3, 20, 30, 70);
        LinearCase<float> linear({400, 0, 90, 300}, 130);
        energies.forward(), energies.backward(), linear.forward(), linear.backward();
        if (threads == 1) first[0] = energies.all(), first[1] = linear.all();
        expect(equal(energies.all(), first[0]) && equal(linear.all(), first[1]), "energies or linear scans differ on " + std::to_string(threads) + " threads");
    }
    ostinato_set_threads(1, nullptr, nullptr, nullptr);
}

void wrong_energies_are_refused() {
    const auto with = [](const char* message, const std::function<void(OstinatoEnergies&)>& change, bool backward = false) {
        EnergiesCase<float> one(2, 3, 4, 5);
        change(one.e);
        refused(backward ? ostinato_energies_backward(&one.e) : ostinato_energies_forward(&one.e), "wrong energies", message);
    };
    refused(ostinato_energies_forward(nullptr), "no energies", "missing");
    refused(ostinato_energies_backward(nullptr), "no energies", "missing");
    with("is no size", [](auto& e) { e.K = -1; });
    with("is no size", [](auto& e) { e.A = INT64_MAX; });
    with("larger than memory", [](auto& e) { e.B = e.K = int64_t(1) << 39; });
    with("query is missing", [](auto& e) { e.query = nullptr; });
    with("scores is missing", [](auto& e) { e.scores = nullptr; });
    with("d_energy is missing", [](auto& e) { e.d_energy = nullptr; }, true);
    with("d_scores is missing", [](auto& e) { e.d_scores = nullptr; }, true);
    with("overlap", [](auto& e) { e.scores = const_cast<void*>(e.keys); });
    with("overlap", [](auto& e) { e.d_keys = e.d_query; }, true);
    with("no multiple of", [](auto& e) { e.keys = static_cast<const char*>(e.keys) + 2; });
    const auto scanned = [](const char* message, const std::function<void(LinearCase<float>&)>& change, bool backward = false) {
        LinearCase<float> one({3, 0, 2}, 5);
        change(one);
        refused(backward ? ostinato_linear_scan_backward(&one.scan) : ostinato_linear_scan_forward(&one.scan), "a wrong linear scan", message);
    };
    refused(ostinato_linear_scan_forward(nullptr), "no linear scan", "missing");
    scanned("is no size", [](auto& one) { one.scan.H = -1; });
    scanned("larger than memory", [](auto& one) { one.scan.N = one.scan.H = int64_t(1) << 40; });
    scanned("offsets are missing", [](auto& one) { one.scan.offsets = nullptr; });
    scanned("not from 0", [](auto& one) { one.offsets[0] = 1; });
    scanned("not from 0", [](auto& one) { one.scan.N = 4; });
    scanned("offsets fall", [](auto& one) { one.offsets[1] = 6; });
    scanned("keep is missing", [](auto& one) { one.scan.keep = nullptr; });
    scanned("add is missing", [](auto& one) { one.scan.add = nullptr; });
    scanned("d_start is missing", [](auto& one) { one.scan.d_start = nullptr; }, true);
    scanned("overlap", [](auto& one) { one.scan.hidden = const_cast<void*>(one.scan.add); });
    scanned("overlap", [](auto& one) { one.scan.d_add = one.scan.hidden; }, true);
    scanned("no multiple of", [](auto& one) { one.scan.start = static_cast<const char*>(one.scan.start) + 1; });
}

}  // namespace
