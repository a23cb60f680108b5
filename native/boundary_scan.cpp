// The C boundary of the recurrences: a scan, its gradients, and streams.
#include "boundary.h"

namespace ostinato {

namespace {

// The memory that a scan's forward pass touches; hidden is the last of what is written.
struct ScanRanges {
    static constexpr int WRITTEN = 5, NUMBERS = 9, READ = 11;
    int64_t item;
    Range written[WRITTEN], read[READ];

    explicit ScanRanges(const OstinatoScan& one) : item(one.is_double ? 8 : 4) {
        const CellFacts& facts = FACTS[one.cell];
        const int64_t width = facts.gates * one.H, states = one.B * one.H * item;
        const bool has_c = facts.num_c;
        const Range all_written[] = {
            {"gates", one.gates, one.N * width * item},
            {"extra", one.extra, one.N * facts.in_extra() * one.H * item},
            {"last_h", one.last_h, states},
            {"last_c", has_c ? one.last_c : nullptr, facts.num_c * states},
            {"hidden", one.hidden, rows_span(one.N, one.hidden_stride, one.H) * item},
        };
        const Range all_read[] = {
            {"x", one.x, rows_span(one.N, one.x_stride, one.I) * item},
            {"weight_x", one.weight_x, width * one.I * item},
            {"weight_h", one.weight_h, width * one.H * item},
            {"bias", one.bias, width * item},
            {"bias_n", one.bias_n, one.H * item},
            {"peepholes", one.peepholes, facts.peepholes * one.H * item},
            {"start_h", one.start_h, states},
            {"start_c", has_c ? one.start_c : nullptr, facts.num_c * states},
            {"mask", one.mask, states},
            {"offsets", one.offsets, (one.B + 1) * 8},
            {"order", one.order, one.B * 8},
        };
        memcpy(written, all_written, sizeof written);
        memcpy(read, all_read, sizeof read);
    }
};

}  // namespace

int64_t check_scan(const OstinatoScan& one, bool forward) {
    if (one.cell < 0 || one.cell >= NUM_CELLS) return fail("there is no cell %lld", (long long)one.cell);
    const Size sizes[] = {{"B", one.B}, {"N", one.N}, {"I", one.I}, {"H", one.H}, {"x_stride", one.x_stride}, {"hidden_stride", one.hidden_stride}};
    if (check_sizes("", sizes)) return 1;
    if (!one.H) return fail("H = 0: a layer has one unit at least");
    const int64_t width = gates_of(one.cell) * one.H, in_extra = FACTS[one.cell].in_extra() * one.H;
    if (too_large(one.N + 1, width + in_extra + one.I + one.hidden_stride + one.x_stride) || too_large(width, one.I + one.H) || too_large(one.B + 1, in_extra))
        return fail("sizes B = %lld, N = %lld, I = %lld, H = %lld are larger than memory", (long long)one.B, (long long)one.N, (long long)one.I, (long long)one.H);
    if (one.x_stride < one.I) return fail("x_stride = %lld is below I = %lld", (long long)one.x_stride, (long long)one.I);
    if (one.hidden_stride < one.H) return fail("hidden_stride = %lld is below H = %lld", (long long)one.hidden_stride, (long long)one.H);
    const bool has_c = FACTS[one.cell].num_c;
    if (one.peepholes && !FACTS[one.cell].peepholes) return fail("peepholes: this cell has none");
    if (one.bias_n && !FACTS[one.cell].extra_product) return fail("bias_n: this cell has none");
    if (reinterpret_cast<uintptr_t>(one.packed) % 64) return fail("packed must lie at a multiple of 64");
    if (one.half && one.packed) return fail("half: packed weights are numbers");
    if (check_half(one.half, one.is_double, table())) return 1;
    if (one.weight_x_stride) return fail("weight_x_stride is the decoder's");
    if (!one.offsets || (one.B && !one.order)) return fail("offsets or order is missing");
    if (reinterpret_cast<uintptr_t>(one.offsets) % 8 || reinterpret_cast<uintptr_t>(one.order) % 8) return fail("offsets or order begins at an address that is no multiple of 8 bytes");
    if (!one.weight_h || (one.I && !one.weight_x)) return fail("a weight is missing");
    if (one.N && ((one.I && !one.x) || !one.hidden)) return fail("x or hidden is missing");
    if (one.N && !one.gates && (!forward || one.extra)) return fail("gates is missing");
    if (one.B && (!one.start_h || (forward && !one.last_h))) return fail("start_h or last_h is missing");
    if (one.B && has_c && (!one.start_c || (forward && !one.last_c))) return fail("start_c or last_c is missing");
    if (one.offsets[0] != 0) return fail("offsets begin with %lld, not with 0", (long long)one.offsets[0]);
    for (int64_t b = 0; b < one.B; b++)
        if (one.offsets[b + 1] < one.offsets[b]) return fail("offsets fall from %lld to %lld at sequence %lld", (long long)one.offsets[b], (long long)one.offsets[b + 1], (long long)b);
    if (one.offsets[one.B] != one.N) return fail("offsets end with %lld, but there are N = %lld steps", (long long)one.offsets[one.B], (long long)one.N);
    for (int64_t k = 0, before = INT64_MAX; k < one.B; k++) {
        const int64_t b = one.order[k];
        if (b < 0 || b >= one.B) return fail("order holds %lld; there are %lld sequences", (long long)b, (long long)one.B);
        const int64_t length = one.offsets[b + 1] - one.offsets[b];
        if (length > before) return fail("order does not run from the longest sequence to the shortest");
        if (length == before && k && one.order[k - 1] >= b) return fail("order names a sequence twice, or ties not in order");
        before = length;
    }
    const ScanRanges own(one);
    if (check_aligned(own.written, ScanRanges::WRITTEN, own.item) || check_aligned(own.read, ScanRanges::NUMBERS, own.item)) return 1;
    return check_apart(own.written, ScanRanges::WRITTEN, own.read, ScanRanges::READ);
}

namespace {

// Two scans of one call write nothing that the other reads or writes; their hidden rows may lie between each other.
int64_t check_pair(const OstinatoScan& one, const OstinatoScan& two) {
    const ScanRanges first(one), second(two);
    constexpr int HIDDEN = ScanRanges::WRITTEN - 1;
    if (check_apart(first.written, HIDDEN, second.written, ScanRanges::WRITTEN) || check_apart(second.written, HIDDEN, first.written, ScanRanges::WRITTEN)) return 1;
    if (check_apart(first.written, ScanRanges::WRITTEN, second.read, ScanRanges::READ) || check_apart(second.written, ScanRanges::WRITTEN, first.read, ScanRanges::READ)) return 1;
    if (!overlap(first.written[HIDDEN], second.written[HIDDEN])) return 0;
    const uintptr_t a = reinterpret_cast<uintptr_t>(one.hidden), b = reinterpret_cast<uintptr_t>(two.hidden);
    const int64_t row = one.hidden_stride * first.item, width = one.H * first.item, between = int64_t(a < b ? b - a : a - b) % row;
    return one.hidden_stride != two.hidden_stride || between < width || between > row - width ? fail("hidden and the other scan's hidden overlap") : 0;
}

}  // namespace

int64_t check_gradients(const OstinatoScan& one, const OstinatoGradients& d) {
    const CellFacts& facts = FACTS[one.cell];
    const bool has_c = facts.num_c, is_simple = !facts.extra, apart = facts.extra_product;
    if (!is_simple && one.N && !one.extra) return fail("extra is missing: the scan was computed without gradients");
    if (one.N && !d.d_gates) return fail("d_gates is missing");
    if (one.N && apart && !d.d_extra) return fail("d_extra is missing");
    if (one.B && (!d.d_start_h || (has_c && !d.d_start_c))) return fail("d_start_h or d_start_c is missing");
    if (d.d_hidden && (size_is_bad(d.d_hidden_stride) || d.d_hidden_stride < one.H || too_large(one.N + 1, d.d_hidden_stride)))
        return fail("d_hidden_stride = %lld does not fit H = %lld", (long long)d.d_hidden_stride, (long long)one.H);
    if (d.d_peepholes && !facts.peepholes) return fail("d_peepholes: this cell has none");
    if (d.d_bias_n && !apart) return fail("d_bias_n: this cell has none");
    const int64_t item = one.is_double ? 8 : 4, width = gates_of(one.cell) * one.H, states = one.B * one.H * item;
    const bool gates_apart = d.d_gates != one.gates, extra_apart = !apart || d.d_extra != one.extra;
    const Range written[] = {
        {"d_gates", d.d_gates, one.N * width * item},
        {"d_extra", apart ? d.d_extra : nullptr, one.N * one.H * item},
        {"d_start_h", d.d_start_h, states},
        {"d_start_c", has_c ? d.d_start_c : nullptr, facts.num_c * states},
        {"d_x", d.d_x, one.N * one.I * item},
        {"d_weight_x", d.d_weight_x, width * one.I * item},
        {"d_weight_h", d.d_weight_h, width * one.H * item},
        {"d_bias", d.d_bias, width * item},
        {"d_bias_n", d.d_bias_n, one.H * item},
        {"d_peepholes", d.d_peepholes, facts.peepholes * one.H * item},
    };
    const Range read[] = {
        {"gates", gates_apart ? one.gates : nullptr, one.N * width * item},
        {"extra", extra_apart ? one.extra : nullptr, one.N * facts.in_extra() * one.H * item},
        {"hidden", one.hidden, rows_span(one.N, one.hidden_stride, one.H) * item},
        {"d_hidden", d.d_hidden, rows_span(one.N, d.d_hidden_stride, one.H) * item},
        {"d_last_h", d.d_last_h, states},
        {"d_last_c", has_c ? d.d_last_c : nullptr, facts.num_c * states},
        {"x", one.x, rows_span(one.N, one.x_stride, one.I) * item},
        {"weight_x", one.weight_x, width * one.I * item},
        {"weight_h", one.weight_h, width * one.H * item},
        {"peepholes", one.peepholes, facts.peepholes * one.H * item},
        {"start_h", one.start_h, states},
        {"start_c", has_c ? one.start_c : nullptr, facts.num_c * states},
        {"mask", one.mask, states},
        {"offsets", one.offsets, (one.B + 1) * 8},
        {"order", one.order, one.B * 8},
    };
    return check_aligned(written, 10, item) || check_aligned(read, 6, item) || check_apart(written, 10, read, 15);
}

}  // namespace ostinato

using namespace ostinato;

EXPORT int64_t ostinato_forward(const OstinatoScan* scans, int64_t count) {
    if (!scans || count < 1 || count > 2) return fail("%lld scans: one or two are allowed", (long long)count);
    for (int64_t k = 0; k < count; k++)
        if (check_scan(scans[k], true)) return 1;
    const OstinatoScan &one = scans[0], &two = scans[count - 1];
    if (one.cell != two.cell || one.is_double != two.is_double || one.B != two.B || one.N != two.N || one.H != two.H || !one.mask != !two.mask)
        return fail("two scans of one call differ in cell, type, sequences, H or in having a mask");
    if (count == 2 && check_pair(one, two)) return 1;
    const Table* own = table();
    Range packed[2] = {};
    for (int64_t k = 0; k < count; k++) {
        if (!scans[k].packed) continue;
        packed[k] = {"packed", scans[k].packed, own->scan_packed(&scans[k])};
        for (int64_t other = 0; other < count; other++) {
            const ScanRanges ranges(scans[other]);
            if (check_packed(packed[k], scans[k].packed_ready, ranges.written, ScanRanges::WRITTEN, ranges.read, ScanRanges::READ)) return 1;
        }
    }
    if (overlap(packed[0], packed[1])) return fail("packed and the other scan's packed overlap");
    const double weights = double(gates_of(one.cell)) * one.H * (one.H + one.I);
    const int threads = threads_for(weights * (one.N + one.B) * count);
    return run(threads, own->forward_space(scans, count, threads), [&](char* base, Team team) { own->forward(scans, count, base, team); });
}

EXPORT int64_t ostinato_backward(const OstinatoScan* scan, const OstinatoGradients* gradients) {
    if (!scan || !gradients) return fail("scan or gradients is missing");
    if (check_scan(*scan, false) || check_gradients(*scan, *gradients)) return 1;
    const int threads = threads_for(double(gates_of(scan->cell)) * scan->H * (scan->H + scan->I) * 2 * (scan->N + scan->B));
    const Table* own = table();
    return run(threads, own->backward_space(scan, gradients, threads), [&](char* base, Team team) { own->backward(scan, gradients, base, team); });
}

EXPORT int64_t ostinato_scan_packed_size(const OstinatoScan* scan) {
    if (!scan) return fail("the scan is missing"), -1;
    return check_scan(*scan, true) ? -1 : table()->scan_packed(scan);
}

EXPORT int64_t ostinato_stream(
    const OstinatoScan* prepared, const OstinatoWatch* watch, const void* x, void* hidden, const void* h, const void* c, void* last_h, void* last_c
) {
    if (!prepared || !prepared->packed || !prepared->packed_ready) return fail("stream: the scan is not prepared");
    if (watch && ostinato_fingerprint(watch) != watch->seen) return 2;
    OstinatoScan scan = *prepared;
    scan.x = x, scan.hidden = hidden, scan.start_h = h, scan.start_c = c, scan.last_h = last_h, scan.last_c = last_c;
    return ostinato_forward(&scan, 1);
}
