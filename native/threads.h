// Work for several threads at once, on torch's own OpenMP threads or on the library's.
#pragma once

#include <stdint.h>

namespace ostinato {

typedef void (*Body)(void* data, int thread, int threads);

// Runs `body` on up to `threads` threads that all exist at the same time, the caller among them, and waits for all. How
// many there are, at least one, the body is told.
void parallel(int threads, Body body, void* data);

int num_threads();
void set_threads(int threads, void* parallel, void* thread_number, void* num_threads);

void pause_or_yield(int spins);

// Where the members of a team wait for each other; zero it before use. Waits by spinning, and yields when that takes long.
struct Barrier {
    int32_t arrived, round;
    int32_t padding[14];
};

// static: as a shared symbol, one compiled for a wide instruction set could be linked into all others.
static inline void wait(Barrier* barrier, int members) {
    if (members < 2) return;
    const int32_t round = __atomic_load_n(&barrier->round, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_ACQ_REL) == members) {
        __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->round, round + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int spins = 0; __atomic_load_n(&barrier->round, __ATOMIC_ACQUIRE) == round; spins++) pause_or_yield(spins);
}

}  // namespace ostinato
