#include "threads.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace ostinato {

namespace {

using OpenMPParallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
using OpenMPNumber = int (*)();

std::atomic<int> wanted{1};
std::atomic<OpenMPParallel> openmp_parallel{nullptr};
std::atomic<OpenMPNumber> openmp_thread{nullptr}, openmp_threads{nullptr};
// A child of fork has none of its parent's threads, and libgomp would wait for them for ever: it works alone.
std::atomic<bool> forked{false};

struct Call {
    Body body;
    void* data;
    OpenMPNumber thread, threads;
};

void run_openmp(void* given) {
    const Call* call = static_cast<Call*>(given);
    call->body(call->data, call->thread(), call->threads());
}

// The library's own threads: started at first need, asleep between calls. One caller at a time has them; another that comes
// meanwhile works alone.
class Pool {
public:
    void run(int threads, Body body, void* data) {
        std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
        if (!turn.owns_lock()) return body(data, 0, 1);
        {
            std::lock_guard<std::mutex> guard(mutex_);
            try {
                for (; workers_ < threads - 1; workers_++)
                    std::thread([this, number = workers_ + 1, seen = round_] { work(number, seen); }).detach();
            } catch (const std::exception&) {
                threads = workers_ + 1;  // the system gives no more threads
            }
            body_ = body, data_ = data, threads_ = threads, running_ = threads - 1;
            round_++;
        }
        start_.notify_all();
        body(data, 0, threads);
        std::unique_lock<std::mutex> guard(mutex_);
        done_.wait(guard, [this] { return running_ == 0; });
    }

private:
    void work(int number, uint64_t seen) {
        for (;;) {
            Body body;
            void* data;
            int threads;
            {
                std::unique_lock<std::mutex> guard(mutex_);
                start_.wait(guard, [&] { return round_ != seen; });
                seen = round_, body = body_, data = data_, threads = threads_;
            }
            if (number >= threads) continue;
            body(data, number, threads);
            std::lock_guard<std::mutex> guard(mutex_);
            if (--running_ == 0) done_.notify_one();
        }
    }

    std::mutex turn_, mutex_;
    std::condition_variable start_, done_;
    Body body_ = nullptr;
    void* data_ = nullptr;
    int workers_ = 0, threads_ = 0, running_ = 0;
    uint64_t round_ = 0;
};

Pool* pool() {
    // Never destroyed: waiting for threads while a process ends can take for ever, and the system ends them anyway.
    static Pool* const one = new Pool;
    return one;
}

}  // namespace

int num_threads() { return forked ? 1 : wanted.load(); }

void set_threads(int threads, void* parallel, void* thread_number, void* num_threads) {
    static const int registered = pthread_atfork(nullptr, nullptr, [] { forked = true; });
    (void)registered;
    wanted = threads < 1 ? 1 : threads;
    openmp_parallel = reinterpret_cast<OpenMPParallel>(parallel);
    openmp_thread = reinterpret_cast<OpenMPNumber>(thread_number);
    openmp_threads = reinterpret_cast<OpenMPNumber>(num_threads);
}

void parallel(int threads, Body body, void* data) {
    if (threads < 2 || forked) return body(data, 0, 1);
    const OpenMPParallel start = openmp_parallel;
    Call call{body, data, openmp_thread, openmp_threads};
    if (start && call.thread && call.threads) {
        start(run_openmp, &call, (unsigned)threads, 0);
    } else {
        pool()->run(threads, body, data);
    }
}

void pause_or_yield(int spins) {
    if (spins > 4000) sched_yield();
#if defined(__x86_64__) || defined(__i386__)
    else __builtin_ia32_pause();
#elif defined(__aarch64__)
    else __asm__ volatile("yield");
#endif
}

}  // namespace ostinato
