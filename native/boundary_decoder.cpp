// The C boundary of the attentional decoder.
#include "boundary.h"

namespace ostinato {

namespace {

int64_t check_offsets(const char* name, const int64_t* offsets, int64_t count) {
    if (!offsets) return fail("%s is missing", name);
    if (offsets[0] != 0) return fail("%s begin with %lld, not with 0", name, (long long)offsets[0]);
    return check_rising(name, offsets, count);
}

// What a decoder's loop touches; the sizes have been checked.
int64_t check_decoder_ranges(const OstinatoDecoder& d, bool backward, const Table* own) {
    const OstinatoScan& first = d.layers[0];
    const int64_t item = first.is_double ? 8 : 4, B = first.B, N = first.N, H = first.H, width = gates_of(first.cell) * H, S = d.memory_offsets[d.num_examples];
    const CellFacts& facts = FACTS[first.cell];
    const bool has_c = facts.num_c, apart = facts.extra_product, fed_back = !d.feeding || d.fed_back, windowed = d.narrowest > 0;
    Ranges<160> written, read, others;
    for (int64_t l = 0; l < d.num_layers; l++) {
        const OstinatoScan& one = d.layers[l];
        const OstinatoGradients none{}, &g = backward ? d.layer_gradients[l] : none;
        const int64_t weight_x = width * (one.I + (l == 0 && fed_back ? d.F : 0)) * item;
        const bool gates_apart = g.d_gates != one.gates, extra_apart = !apart || g.d_extra != one.extra;
        auto& kept = backward ? read : written;
        kept.add("gates", gates_apart ? one.gates : nullptr, N * width * item);
        kept.add("extra", extra_apart ? one.extra : nullptr, N * facts.in_extra() * H * item);
        kept.add("hidden", one.hidden, N * H * item);
        if (l == 0) read.add("x", one.x, rows_span(N, one.x_stride, one.I) * item);
        read.add("weight_x", one.weight_x, weight_x);
        read.add("weight_h", one.weight_h, width * H * item);
        read.add("bias", one.bias, width * item);
        read.add("bias_n", one.bias_n, H * item);
        read.add("peepholes", one.peepholes, facts.peepholes * H * item);
        read.add("start_h", one.start_h, B * H * item);
        read.add("start_c", has_c ? one.start_c : nullptr, B * facts.num_c * H * item);
        read.add("mask", one.mask, N * H * item);
        others.add("offsets", one.offsets, (B + 1) * 8);
        others.add("order", one.order, B * 8);
        read.add("d_hidden", l == d.num_layers - 1 ? g.d_hidden : nullptr, N * H * item);
        written.add("d_gates", g.d_gates, N * width * item);
        written.add("d_extra", apart ? g.d_extra : nullptr, N * H * item);
        written.add("d_start_h", g.d_start_h, B * H * item);
        written.add("d_start_c", has_c ? g.d_start_c : nullptr, B * facts.num_c * H * item);
        written.add("d_x", l ? nullptr : g.d_x, N * one.I * item);
        written.add("d_weight_x", g.d_weight_x, weight_x);
        written.add("d_weight_h", g.d_weight_h, width * H * item);
        written.add("d_bias", g.d_bias, width * item);
        written.add("d_bias_n", g.d_bias_n, H * item);
        written.add("d_peepholes", g.d_peepholes, facts.peepholes * H * item);
    }
    auto& kept = backward ? read : written;
    kept.add("weights", d.weights, d.weight_offsets[B] * item);
    kept.add("queries", d.query_weight ? d.queries : nullptr, N * d.A * item);
    kept.add("contexts", d.contexts, N * d.M * item);
    kept.add("features", d.feeding ? d.features : nullptr, N * d.F * item);
    kept.add("dropped", d.dropped, (d.num_layers - 1) * N * H * item);
    kept.add("middles", windowed ? d.middles : nullptr, N * item);
    read.add("start_middle", windowed ? d.start_middle : nullptr, B * item);
    read.add("keys", windowed ? nullptr : d.keys, S * d.A * item);
    read.add("values", d.values, S * d.M * item);
    read.add("query_weight", d.query_weight, d.A * H * item);
    read.add("query_bias", d.query_bias, d.A * item);
    read.add("energy", d.energy, d.A * item);
    read.add("readout", d.feeding ? d.readout : nullptr, d.F * (H + d.M) * item);
    read.add("readout_bias", d.feeding ? d.readout_bias : nullptr, d.F * item);
    read.add("start_fed", d.feeding ? d.start_fed : nullptr, B * d.F * item);
    others.add("memory_offsets", d.memory_offsets, (d.num_examples + 1) * 8);
    others.add("weight_offsets", d.weight_offsets, (B + 1) * 8);
    others.add("examples", d.examples, B * 8);
    if (backward) {
        written.add("d_features", d.feeding ? d.d_features : nullptr, N * d.F * item);
        written.add("d_contexts", d.d_contexts, N * d.M * item);
        written.add("d_start_fed", d.feeding ? d.d_start_fed : nullptr, B * d.F * item);
        written.add("d_queries", d.query_weight ? d.d_queries : nullptr, N * d.A * item);
        written.add("d_start_middle", windowed ? d.d_start_middle : nullptr, B * item);
        written.add("d_keys", windowed ? nullptr : d.d_keys, S * d.A * item);
        written.add("d_values", d.d_values, S * d.M * item);
        written.add("d_energy", d.energy ? d.d_energy : nullptr, B * d.A * item);
        written.add("d_below", d.num_layers > 1 ? d.d_below : nullptr, B * H * item);
        written.add("d_query_weight", d.d_query_weight, d.A * H * item);
        written.add("d_query_bias", d.d_query_bias, d.A * item);
        written.add("d_readout", d.feeding ? d.d_readout : nullptr, d.F * (H + d.M) * item);
        written.add("d_readout_bias", d.feeding ? d.d_readout_bias : nullptr, d.F * item);
    }
    if (check_aligned(written.list, written.count, item) || check_aligned(read.list, read.count, item) || check_aligned(others.list, others.count, 8)) return 1;
    if (check_apart(written.list, written.count, read.list, read.count)) return 1;
    for (int k = 0; k < written.count; k++)
        if (check_apart(written.list + k, 1, others.list, others.count)) return 1;
    if (backward || !d.packed) return 0;
    const Range packed{"packed", d.packed, own->decoder_packed(&d)};
    return check_packed(packed, d.packed_ready, written.list, written.count, read.list, read.count) || check_packed(packed, d.packed_ready, others.list, others.count, nullptr, 0);
}

int64_t check_decoder(const OstinatoDecoder& d, bool backward, const Table* own) {
    if (!d.layers || d.num_layers < 1 || d.num_layers > MAX_LAYERS) return fail("decoder: %lld layers; 1 to %d are allowed", (long long)d.num_layers, MAX_LAYERS);
    const int64_t sizes[] = {d.F, d.A, d.M, d.longest_memory};
    for (const int64_t each : sizes)
        if (size_is_bad(each)) return fail("decoder: %lld is no size", (long long)each);
    const OstinatoScan& first = d.layers[0];
    if (first.I < 1) return fail("decoder: I = %lld: the first layer reads one number at least", (long long)first.I);
    for (int64_t l = 0; l < d.num_layers; l++) {
        OstinatoScan one = d.layers[l];
        const void* mask = one.mask;
        one.mask = nullptr;  // not a scan's: one row per step
        if (!one.hidden_stride) return fail("decoder: hidden_stride of layer %lld is missing", (long long)l);
        if (l) one.x = d.layers[l - 1].hidden, one.x_stride = one.I;  // what it reads
        const bool fed_back = !d.feeding || d.fed_back;
        if (one.weight_x_stride != (l || !fed_back ? 0 : one.I + d.F)) return fail("decoder: weight_x_stride of layer %lld is %lld", (long long)l, (long long)one.weight_x_stride);
        one.weight_x_stride = 0;
        if (check_scan(one, false)) return 1;
        if (one.half && d.packed) return fail("decoder: half: packed weights are numbers");
        if (one.cell != first.cell || one.is_double != first.is_double || one.half != first.half || one.B != first.B || one.N != first.N || one.H != first.H || (l && one.I != one.H))
            return fail("decoder: layer %lld differs from the first in cell, type or sizes", (long long)l);
        if (FACTS[one.cell].late || one.reverse) return fail("decoder: a GRU with the reset before, or a reversed cell, cannot be computed here");
        if (one.hidden_stride != one.H) return fail("decoder: hidden_stride must be H = %lld", (long long)one.H);
        if (one.N && FACTS[one.cell].extra && !one.extra) return fail("decoder: extra is missing");
        if (mask && (!l || !d.dropped)) return fail("decoder: dropout needs `dropped`, and a layer below");
        if (backward && !d.layer_gradients) return fail("decoder: layer_gradients is missing");
        if (backward && check_gradients(one, d.layer_gradients[l])) return 1;
        for (int64_t b = 0; b < one.B; b++)
            if (one.offsets[b] != first.offsets[b] || one.order[b] != first.order[b]) return fail("decoder: layers have different sequences");
    }
    const int64_t num_examples = d.examples ? d.num_examples : first.B;
    if (size_is_bad(num_examples) || d.num_examples != num_examples) return fail("decoder: %lld examples for %lld targets", (long long)d.num_examples, (long long)first.B);
    if (d.examples && backward) return fail("decoder: with `examples` there is no backward");
    for (int64_t b = 0; d.examples && b < first.B; b++)
        if (d.examples[b] < 0 || d.examples[b] >= num_examples) return fail("decoder: example %lld of %lld", (long long)d.examples[b], (long long)num_examples);
    if (reinterpret_cast<uintptr_t>(d.packed) % 64) return fail("decoder: packed must lie at a multiple of 64");
    if (check_offsets("memory_offsets", d.memory_offsets, num_examples) || check_offsets("weight_offsets", d.weight_offsets, first.B)) return 1;
    const int64_t S = d.memory_offsets[num_examples];
    const int64_t H = first.H, width = gates_of(first.cell) * H;
    if (size_is_bad(S) || too_large(S + 1, d.A + d.M) || too_large(first.N + 1, d.A + d.M + d.F) || too_large(first.B + 1, d.A + d.F) || too_large(width, first.I + d.F + H) ||
        too_large(d.F, H + d.M) || too_large(d.A, H) || too_large(first.N + 1, d.num_layers * H))
        return fail("decoder: sizes are larger than memory");
    for (int64_t b = 0; b < first.B; b++) {
        const int64_t steps = first.offsets[b + 1] - first.offsets[b], example = d.examples ? d.examples[b] : b, memory = d.memory_offsets[example + 1] - d.memory_offsets[example];
        if (too_large(steps + 1, memory)) return fail("decoder: %lld steps that look at %lld are larger than memory", (long long)steps, (long long)memory);
        if (memory > d.longest_memory) return fail("decoder: a memory of %lld steps; longest_memory is %lld", (long long)memory, (long long)d.longest_memory);
        if (d.examples ? d.weight_offsets[b + 1] - d.weight_offsets[b] < steps * memory : d.weight_offsets[b + 1] - d.weight_offsets[b] != steps * memory) return fail("decoder: weight_offsets do not fit sequence %lld", (long long)b);
    }
    if (!d.query_weight && d.A != first.H) return fail("decoder: without query_weight A = %lld must be H = %lld", (long long)d.A, (long long)first.H);
    if (d.F != (d.feeding ? d.F : d.M)) return fail("decoder: F = %lld must be M = %lld without feeding", (long long)d.F, (long long)d.M);
    if (!(d.narrowest >= 0) || d.narrowest - d.narrowest != 0) return fail("decoder: narrowest = %g is no deviation", d.narrowest);
    const bool some = first.N, windowed = d.narrowest > 0;
    if (windowed && (!d.query_weight || d.energy || d.A != 2)) return fail("decoder: a window has query_weight, A = 2 and no energy, not A = %lld", (long long)d.A);
    if (windowed && ((first.B && !d.start_middle) || (some && !d.middles))) return fail("decoder: start_middle or middles is missing");
    if ((S && ((!windowed && !d.keys) || !d.values)) || (some && !d.contexts) || (d.weight_offsets[first.B] && !d.weights)) return fail("decoder: keys, values, contexts or weights are missing");
    if (some && d.query_weight && !d.queries) return fail("decoder: queries is missing");
    if (d.feeding && (!d.readout || !d.start_fed || (some && !d.features))) return fail("decoder: readout, start_fed or features is missing");
    if (!backward) return check_decoder_ranges(d, false, own);
    if (windowed && first.B && !d.d_start_middle) return fail("decoder: d_start_middle is missing");
    if ((S && ((!windowed && !d.d_keys) || !d.d_values)) || (some && !d.d_contexts)) return fail("decoder: d_keys, d_values or d_contexts is missing");
    if (some && d.query_weight && !d.d_queries) return fail("decoder: d_queries is missing");
    if (d.d_query_weight && !d.query_weight) return fail("decoder: d_query_weight is given, but no query_weight");
    if (d.d_query_bias && !d.d_query_weight) return fail("decoder: d_query_bias needs d_query_weight");
    for (int64_t l = 0; l < d.num_layers; l++)
        if ((d.layer_gradients[l].d_bias && !d.layer_gradients[l].d_weight_x) || (d.layer_gradients[l].d_bias_n && !d.layer_gradients[l].d_weight_h))
            return fail("decoder: d_bias needs d_weight_x, and d_bias_n d_weight_h");
    if (d.energy && !d.d_energy) return fail("decoder: d_energy is missing");
    if (d.num_layers > 1 && !d.d_below) return fail("decoder: d_below is missing");
    if (d.feeding && (!d.d_start_fed || !d.d_readout || (some && !d.d_features))) return fail("decoder: d_start_fed, d_readout or d_features is missing");
    return check_decoder_ranges(d, true, own);
}

int64_t run_decoder(const OstinatoDecoder* decoder, bool backward) {
    if (!decoder) return fail("the decoder is missing");
    const Table* own = table();
    if (check_decoder(*decoder, backward, own)) return 1;
    const int threads = decoder->layers[0].N ? num_threads() : 1;
    return run(threads, own->decoder_space(decoder, backward, threads), [&](char* base, Team team) {
        (backward ? own->decoder_backward : own->decoder_forward)(decoder, base, team);
    });
}

}  // namespace

}  // namespace ostinato

using namespace ostinato;

EXPORT int64_t ostinato_decoder_forward(const OstinatoDecoder* decoder) { return run_decoder(decoder, false); }

EXPORT int64_t ostinato_decoder_backward(const OstinatoDecoder* decoder) { return run_decoder(decoder, true); }

EXPORT int64_t ostinato_decoder_packed_size(const OstinatoDecoder* decoder) {
    if (!decoder) return fail("the decoder is missing"), -1;
    const Table* own = table();
    return check_decoder(*decoder, false, own) ? -1 : own->decoder_packed(decoder);
}
