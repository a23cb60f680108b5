// The C boundary of a step through the layers of a Transformer.
#include "boundary.h"

namespace ostinato {

namespace {

int64_t check_map(const char* name, const void* weight) { return weight ? 0 : fail("step: %s is missing", name); }

int64_t check_look(const OstinatoStep& s, const OstinatoLook& look, int64_t S) {
    if (size_is_bad(look.S) || look.S != S) return fail("step: a look with S = %lld, the first layer's has %lld", (long long)look.S, (long long)S);
    if (too_large(s.num_examples + 1, s.H) || too_large((s.num_examples + 1) * s.H, look.S) || too_large(s.R + 1, look.S)) return fail("step: an input of %lld steps is larger than memory", (long long)look.S);
    if (check_map("query_weight", look.query_weight) || check_map("output_weight", look.output_weight)) return 1;
    if (s.num_examples && look.S && (!look.keys || !look.values)) return fail("step: keys or values of a look are missing");
    if (reinterpret_cast<uintptr_t>(look.lengths) % 8) return fail("step: lengths begin at an address that is no multiple of 8 bytes");
    for (int64_t e = 0; look.lengths && e < s.num_examples; e++)
        if (look.lengths[e] < 0 || look.lengths[e] > look.S) return fail("step: example %lld has %lld steps of S = %lld", (long long)e, (long long)look.lengths[e], (long long)look.S);
    return 0;
}

int64_t check_step(const OstinatoStep& s, const Table* own) {
    const Size sizes[] = {{"R", s.R}, {"H", s.H}, {"A", s.A}, {"K", s.K}, {"D", s.D}, {"F", s.F}, {"filled", s.filled}, {"capacity", s.capacity}, {"num_examples", s.num_examples}};
    if (check_sizes("step: ", sizes)) return 1;
    if (!s.layers || s.num_layers < 1 || s.num_layers > MAX_STEP_LAYERS) return fail("step: %lld layers; 1 to %d are allowed", (long long)s.num_layers, MAX_STEP_LAYERS);
    if (s.num_looks < 0 || s.num_looks > MAX_LOOKS) return fail("step: %lld looks; 0 to %d are allowed", (long long)s.num_looks, MAX_LOOKS);
    if (s.A < 1 || s.K < 1 || s.D < 1 || s.F < 1 || s.A % s.K || too_large(s.A, s.D) || s.A * s.D != s.H) return fail("step: H = %lld, A = %lld, K = %lld, D = %lld do not fit", (long long)s.H, (long long)s.A, (long long)s.K, (long long)s.D);
    if (!s.cosines != !s.sines || (s.cosines && s.D % 2)) return fail("step: cosines and sines belong together, and turn pairs of D = %lld numbers", (long long)s.D);
    if (s.norm < 0 || s.norm >= NUM_STEP_NORMS) return fail("step: there is no norm %lld", (long long)s.norm);
    if (s.activation < 0 || s.activation >= NUM_STEP_ACTIVATIONS) return fail("step: there is no activation %lld", (long long)s.activation);
    if (!(s.epsilon >= 0)) return fail("step: epsilon is below 0, or no number");
    if (s.filled >= s.capacity) return fail("step: %lld steps fill the room of %lld", (long long)s.filled, (long long)s.capacity);
    if (too_large(s.H, 3 * s.H) || too_large(s.H, 2 * s.F) || too_large(s.R + 1, s.H) || too_large((s.R + 1) * s.H, s.capacity)) return fail("step: sizes are larger than memory");
    if (s.R && (!s.x || !s.out)) return fail("step: x or out is missing");
    if (reinterpret_cast<uintptr_t>(s.packed) % 64 || reinterpret_cast<uintptr_t>(s.examples) % 8) return fail("step: packed must lie at a multiple of 64, examples at one of 8");
    if (!s.examples && s.num_looks && s.num_examples != s.R) return fail("step: %lld examples for %lld rows", (long long)s.num_examples, (long long)s.R);
    for (int64_t r = 0; s.examples && r < s.R; r++)
        if (s.examples[r] < 0 || s.examples[r] >= s.num_examples) return fail("step: example %lld of %lld", (long long)s.examples[r], (long long)s.num_examples);
    const int64_t item = s.is_double ? 8 : 4, square = s.H * s.H * item, row = s.H * item, first = (s.activation == STEP_SWIGLU ? 2 : 1) * s.F;
    const int64_t wide = (s.A + 2 * s.K) * s.D, rooms = s.R * s.K * s.capacity * s.D * item;
    static thread_local Ranges<2 + 3 * MAX_STEP_LAYERS * MAX_LOOKS> written;
    static thread_local Ranges<8 + MAX_STEP_LAYERS * (13 + 10 * MAX_LOOKS)> read, whole;
    written.count = read.count = whole.count = 0;
    written.add("out", s.out, s.R * row);
    read.add("x", s.x, s.R * row), read.add("cosines", s.cosines, s.D / 2 * item), read.add("sines", s.sines, s.D / 2 * item);
    read.add("norm_weight", s.norm_weight, row), read.add("norm_bias", s.norm_bias, row);
    whole.add("examples", s.examples, s.R * 8);
    for (int64_t l = 0; l < s.num_layers; l++) {
        const OstinatoLayer& layer = s.layers[l];
        if (check_map("read_weight", layer.read_weight) || check_map("output_weight", layer.output_weight) || check_map("first_weight", layer.first_weight) || check_map("second_weight", layer.second_weight)) return 1;
        if (s.R && (!layer.keys || !layer.values)) return fail("step: keys or values of layer %lld are missing", (long long)l);
        if (s.num_looks && !layer.looks) return fail("step: looks of layer %lld are missing", (long long)l);
        written.add("keys", layer.keys, rooms), written.add("values", layer.values, rooms);
        read.add("norm_weight", layer.norm_weight, row), read.add("norm_bias", layer.norm_bias, row);
        read.add("read_weight", layer.read_weight, wide * row), read.add("read_bias", layer.read_bias, wide * item);
        read.add("gain", layer.gain, (s.A + s.K) * s.D * item);
        read.add("output_weight", layer.output_weight, square), read.add("output_bias", layer.output_bias, row);
        read.add("last_norm_weight", layer.last_norm_weight, row), read.add("last_norm_bias", layer.last_norm_bias, row);
        read.add("first_weight", layer.first_weight, first * row), read.add("first_bias", layer.first_bias, first * item);
        read.add("second_weight", layer.second_weight, s.F * row), read.add("second_bias", layer.second_bias, row);
        for (int64_t k = 0; k < s.num_looks; k++) {
            const OstinatoLook& look = layer.looks[k];
            if (check_look(s, look, s.layers[0].looks[k].S)) return 1;
            const int64_t memory = s.num_examples * s.K * look.S * s.D * item;
            written.add("weights", look.weights, s.R * look.S * item);
            read.add("norm_weight", look.norm_weight, row), read.add("norm_bias", look.norm_bias, row);
            read.add("query_weight", look.query_weight, square), read.add("query_bias", look.query_bias, row);
            read.add("gain", look.gain, row);
            read.add("output_weight", look.output_weight, square), read.add("output_bias", look.output_bias, row);
            read.add("keys", look.keys, memory), read.add("values", look.values, memory);
            whole.add("lengths", look.lengths, s.num_examples * 8);
        }
    }
    if (check_aligned(written.list, written.count, item) || check_aligned(read.list, read.count, item)) return 1;
    if (check_apart(written.list, written.count, read.list, read.count) || check_apart(written.list, written.count, whole.list, whole.count)) return 1;
    return s.packed && check_packed({"packed", s.packed, own->step_packed(&s)}, s.packed_ready, written.list, written.count, read.list, read.count);
}

}  // namespace

}  // namespace ostinato

using namespace ostinato;

EXPORT int64_t ostinato_step(const OstinatoStep* step) {
    if (!step) return fail("the step is missing");
    const Table* own = table();
    if (check_step(*step, own)) return 1;
    const double weights = double(step->num_layers) * step->H * ((4 + 2 * step->num_looks) * double(step->H) + 2 * double(step->F));
    const int threads = step->R < 2 ? 1 : threads_for(step->R * weights);
    return run(threads, own->step_space(step, threads), [&](char* base, Team team) { own->step(step, base, team); });
}

EXPORT int64_t ostinato_step_packed_size(const OstinatoStep* step) {
    if (!step) return fail("the step is missing"), -1;
    const Table* own = table();
    return check_step(*step, own) ? -1 : own->step_packed(step);
}
