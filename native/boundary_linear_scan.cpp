// The C boundary of recurrences that are linear in their states.
#include "boundary.h"

namespace ostinato {

namespace {

int64_t check_linear_scan(const OstinatoLinearScan& one, bool backward) {
    const Size sizes[] = {{"B", one.B}, {"N", one.N}, {"H", one.H}};
    if (check_sizes("linear scan: ", sizes)) return 1;
    if (too_large(one.N, one.H) || too_large(one.B, one.H)) return fail("linear scan: B = %lld, N = %lld, H = %lld are larger than memory", (long long)one.B, (long long)one.N, (long long)one.H);
    if (!one.offsets || reinterpret_cast<uintptr_t>(one.offsets) % 8) return fail("linear scan: offsets are missing, or begin at an address that is no multiple of 8 bytes");
    if (one.offsets[0] != 0 || one.offsets[one.B] != one.N) return fail("linear scan: offsets go from %lld to %lld, not from 0 to N = %lld", (long long)one.offsets[0], (long long)one.offsets[one.B], (long long)one.N);
    if (check_rising("linear scan: offsets", one.offsets, one.B)) return 1;
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
    if (check_present("linear scan: ", read, 6) || check_present("linear scan: ", written, 4)) return 1;
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
