// The C boundary of the energies of an additive attention.
#include "boundary.h"

namespace ostinato {

namespace {

int64_t check_energies(const OstinatoEnergies& e, bool backward) {
    const Size sizes[] = {{"B", e.B}, {"K", e.K}, {"S", e.S}, {"A", e.A}};
    if (check_sizes("energies: ", sizes)) return 1;
    if (too_large(e.B, e.K) || too_large(e.B * e.K, e.S + 1) || too_large(e.B * e.K, e.A) || too_large(e.B, e.S) || too_large(e.B * e.S, e.A))
        return fail("energies: B = %lld, K = %lld, S = %lld, A = %lld are larger than memory", (long long)e.B, (long long)e.K, (long long)e.S, (long long)e.A);
    const int64_t item = e.is_double ? 8 : 4, pairs = e.B * e.K * e.S * item;
    const Range read[] = {
        {"query", e.query, e.B * e.K * e.A * item},
        {"keys", e.keys, e.B * e.S * e.A * item},
        {"energy", e.energy, e.A * item},
        {"d_scores", e.d_scores, backward ? pairs : 0},
    };
    const Range written[] = {
        {"scores", e.scores, backward ? 0 : pairs},
        {"d_query", e.d_query, backward ? read[0].bytes : 0},
        {"d_keys", e.d_keys, backward ? read[1].bytes : 0},
        {"d_energy", e.d_energy, backward ? e.B * read[2].bytes : 0},
    };
    if (check_present("energies: ", read, 4) || check_present("energies: ", written, 4)) return 1;
    return check_aligned(read, 4, item) || check_aligned(written, 4, item) || check_apart(written, 4, read, 4);
}

// A tangent costs about as much as this many multiplications.
constexpr double TANGENT = 16;

int threads_of(const OstinatoEnergies& e) { return threads_for(TANGENT * double(e.B) * e.K * e.S * e.A); }

}  // namespace

}  // namespace ostinato

using namespace ostinato;

EXPORT int64_t ostinato_energies_forward(const OstinatoEnergies* energies) {
    if (!energies) return fail("the energies are missing");
    const Table* own = table();
    if (check_energies(*energies, false)) return 1;
    return run(threads_of(*energies), 0, [&](char*, Team team) { own->energies_forward(energies, team); });
}

EXPORT int64_t ostinato_energies_backward(const OstinatoEnergies* energies) {
    if (!energies) return fail("the energies are missing");
    const Table* own = table();
    if (check_energies(*energies, true)) return 1;
    const int threads = threads_of(*energies);
    return run(threads, own->energies_space(energies, threads), [&](char* base, Team team) { own->energies_backward(energies, base, team); });
}
