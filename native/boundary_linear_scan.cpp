// The C boundary of recurrences that are linear in their states.
#include "boundary.h"

namespace ostinato {

namespace {

int64_t check_linear_scan(const OstinatoLinearScan& one, bool backward) {
    const struct { const char* name; int64_t size; } sizes[] = {{"B", one.B}, {"N", one.N}, {"H", one.H}};
    for (const auto& each : sizes)
        if (size_is_bad(each.size)) return fail("linear scan: %s = %lld is no size", each.name, (long long)each.size);
    if (too_large(one.N, one.H) || too_large(one.B, one.H)) return fail("linear scan: B = %lld, N = %lld, H = %lld are larger than memory", (long long)one.B, (long long)one.N, (long long)one.H);
    if (!one.offsets || reinterpret_cast<uintptr_t>(one.offsets) % 8) return fail("linear scan: offsets are missing, or begin at an address that is no multiple of 8 bytes");
    if (one.offsets[0] != 0 || one.offsets[one.B] != one.N) return fail("linear scan: offsets go from %lld to %lld, not from 0 to N = %lld", (long long)one.offsets[0], (long long)one.offsets[one.B], (long long)one.N);
    for (int64_t b = 0; b < one.B; b++)
        if (one.offsets[b + 1] < one.offsets[b]) return fail("linear scan: offsets fall from %lld to %lld at %lld", (long long)one.offsets[b], (long long)one.offsets[b + 1], (long long)b);
    const int64_t item = one.is_double ? 8 : 4, rows = one.N * one.H * item, starts = one.B * one.H * item;
    const Range read[] = {
        {"keep", one.keep, rows},
        {"start", one.start, starts},
        {"add", one.add, backward ? 0 : rows},
        {"hidden", one.hidden, backward ? rows : 0},
        {"d_hidden", one.d_hidden, backward ? rows : 0},
        {"offsets", one.offsets, (one.B + 1) * 8},
    };
    const Range written[] = {
        {"hidden", one.hidden, backward ? 0 : rows},
        {"d_keep", one.d_keep, backward ? rows : 0},
        {"d_add", one.d_add, backward ? rows : 0},
        {"d_start", one.d_start, backward ? starts : 0},
    };
    for (int k = 0; k < 10; k++) {
        const Range& each = k < 6 ? read[k] : written[k - 6];
        if (each.bytes && !each.from) return fail("linear scan: %s is missing", each.name);
    }
    return check_aligned(read, 5, item) || check_aligned(written, 4, item) || check_apart(written, 4, read, 6);
}

int64_t run_linear_scan(const OstinatoLinearScan* scan, bool backward) {
    if (!scan) return fail("the linear scan is missing");
    const Table* own = table();
    if (check_linear_scan(*scan, backward)) return 1;
    // Memory is what it waits for: a number costs more than its multiplication.
    return run(threads_for(8 * double(scan->N) * scan->H), 0, [&](char*, Team team) { own->linear_scan(scan, backward, team); });
}

}  // namespace

}  // namespace ostinato

using namespace ostinato;

EXPORT int64_t ostinato_linear_scan_forward(const OstinatoLinearScan* scan) { return run_linear_scan(scan, false); }

EXPORT int64_t ostinato_linear_scan_backward(const OstinatoLinearScan* scan) { return run_linear_scan(scan, true); }
