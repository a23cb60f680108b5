// Products and activations: against sums, against float64, wrong arguments against errors.
#pragma once

#include "support.h"

namespace {

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
    const OstinatoProduct fine{0, 0, 3, 5, 4, left, 4, right, 4, nullptr, nullptr, out, 5, nullptr, 0, 0};
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

}  // namespace
