// What the boundary's tests share: memory of exact sizes, comparisons, expectations.
#pragma once

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

void refused(int64_t code, const std::string& what, const char* message) {
    expect(code != 0 && strstr(ostinato_error(), message), what + ": should be refused with '" + message + "'");
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

// A number of values that a case reads, and the gradient of its loss by them, which is the sum of so many rows.
struct Part {
    void *values, *gradient;
    int64_t count, rows = 1;
};

// The gradient of each part of a case, along a drawn direction, is the finite difference of its loss.
template <class Case> void expect_finite_differences(Case& one, const std::string& name) {
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

}  // namespace
