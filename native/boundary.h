// What the files of the C boundary share: errors, the set in use, and checks of sizes, addresses and ranges. Every argument is
// checked at the boundary, before any kernel runs. One file for each part: boundary.cpp has what belongs to all.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ostinato.h"
#include "table.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace ostinato {

// Keeps the message for `ostinato_error`; 1.
int64_t fail(const char* format, ...);

// One call asks once: workspace and kernel must be of one set, whatever another thread chooses meanwhile.
const Table* table();

// The calling thread's workspace of so many bytes, or null where there is no memory.
char* workspace(int64_t size);

// Sizes above this cannot be memory; below it, no product of two of them and 8 bytes overflows.
constexpr int64_t LARGEST = int64_t(1) << 40;

inline bool size_is_bad(int64_t size) { return size < 0 || size > LARGEST; }

struct Size {
    const char* name;
    int64_t size;
};

// `what` leads the message: the structure and a colon, or nothing.
template <int COUNT> int64_t check_sizes(const char* what, const Size (&sizes)[COUNT]) {
    for (const Size& each : sizes)
        if (size_is_bad(each.size)) return fail("%s%s = %lld is no size", what, each.name, (long long)each.size);
    return 0;
}

inline int64_t check_rising(const char* name, const int64_t* offsets, int64_t count) {
    for (int64_t k = 0; k < count; k++)
        if (offsets[k + 1] < offsets[k]) return fail("%s fall from %lld to %lld at %lld", name, (long long)offsets[k], (long long)offsets[k + 1], (long long)k);
    return 0;
}

inline bool too_large(int64_t a, int64_t b) { return b && a > (int64_t(1) << 58) / b; }

struct CellFacts {
    int gates, num_c, peepholes;
    bool extra, extra_product, late;

    // Vectors of H in a row of extra.
    int in_extra() const { return num_c ? num_c : 1; }
};

#define OSTINATO_FACTS(number, name, Cell, gates, num_c, peepholes, extra, extra_product, late) {gates, num_c, peepholes, extra, extra_product, late},
constexpr CellFacts FACTS[] = {OSTINATO_CELLS(OSTINATO_FACTS)};
#undef OSTINATO_FACTS

inline int gates_of(int64_t cell) { return FACTS[cell].gates; }

struct Range {
    const char* name;
    const void* from;
    int64_t bytes;
};

inline bool overlap(const Range& a, const Range& b) {
    const auto begin = [](const Range& one) { return reinterpret_cast<uintptr_t>(one.from); };
    return a.from && b.from && a.bytes > 0 && b.bytes > 0 && begin(a) < begin(b) + b.bytes && begin(b) < begin(a) + a.bytes;
}

// Numbers lie at multiples of their size: anything else is a wrong pointer, and no machine must read it.
inline int64_t check_aligned(const Range* ranges, int count, int64_t item) {
    for (int i = 0; i < count; i++)
        if (reinterpret_cast<uintptr_t>(ranges[i].from) % item) return fail("%s begins at an address that is no multiple of %lld bytes: copy it", ranges[i].name, (long long)item);
    return 0;
}

// What holds bytes is there.
inline int64_t check_present(const char* what, const Range* ranges, int count) {
    for (int i = 0; i < count; i++)
        if (ranges[i].bytes && !ranges[i].from) return fail("%s%s is missing", what, ranges[i].name);
    return 0;
}

// Written ranges overlap nothing.
inline int64_t check_apart(const Range* written, int num_written, const Range* read, int num_read) {
    for (int i = 0; i < num_written; i++) {
        for (int k = i + 1; k < num_written; k++)
            if (overlap(written[i], written[k])) return fail("%s and %s overlap", written[i].name, written[k].name);
        for (int k = 0; k < num_read; k++)
            if (overlap(written[i], read[k])) return fail("%s and %s overlap", written[i].name, read[k].name);
    }
    return 0;
}

inline int64_t rows_span(int64_t rows, int64_t stride, int64_t width) { return rows ? (rows - 1) * stride + width : 0; }

// A list of at most so many ranges, null ones left out.
template <int MOST> struct Ranges {
    Range list[MOST];
    int count = 0;

    void add(const char* name, const void* from, int64_t bytes) {
        if (from) list[count++] = {name, from, bytes};
    }
};

// Room for packed weights overlaps nothing that is written, and nothing at all while it is filled.
inline int64_t check_packed(const Range& packed, bool ready, const Range* written, int num_written, const Range* read, int num_read) {
    return check_apart(&packed, 1, written, num_written) || (!ready && check_apart(&packed, 1, read, num_read));
}

inline int64_t check_half(int64_t half, int64_t is_double, const Table* own) {
    if (half && is_double) return fail("half: float64 is not rounded to bfloat16");
    return half && !own->has_half ? fail("half: %s has no products of bfloat16", own->name) : 0;
}

// Of a scan, which a decoder's layers are too (boundary_scan.cpp).
int64_t check_scan(const OstinatoScan& one, bool forward);
int64_t check_gradients(const OstinatoScan& one, const OstinatoGradients& d);

// Waking another thread takes about 3 us, in which one thread alone does this many multiplications.
constexpr double ALONE_BELOW = 4e5;

inline int threads_for(double multiplications) { return multiplications < ALONE_BELOW ? 1 : num_threads(); }

template <class F> int64_t run(int threads, int64_t space, F&& work) {
    char* base = workspace(space);
    if (space && !base) return fail("out of memory: %lld bytes of work space", (long long)space);
    struct Shared {
        F* work;
        char* base;
        Barrier all;
    } shared{&work, base, {}};
    parallel(threads, [](void* data, int thread, int of) {
        Shared* one = static_cast<Shared*>(data);
        (*one->work)(one->base, Team{thread, of, &one->all});
    }, &shared);
    return 0;
}

}  // namespace ostinato
