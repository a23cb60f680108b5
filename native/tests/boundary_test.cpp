// A program that needs neither Python nor torch and proves the boundary: the cells against their equations, gradients against
// finite differences, threads against each other, and wrong arguments against errors. run.sh builds it with sanitizers.
//
//   boundary_test           everything but the last
//   boundary_test threads   where threads meet
//   boundary_test ulp       sigmoid and tanh on every float32 of [-20, 20]: minutes
#include "decoders.h"
#include "energies.h"
#include "products.h"
#include "scans.h"
#include "steps.h"

namespace {

void run(const char* name, const std::function<void()>& test) {
    const int before = failures;
    test();
    printf("%s %s\n", failures == before ? "passed" : "FAILED", name);
    fflush(stdout);
}

// Where threads meet: what a sanitizer of threads is slow for, and for.
void run_threads() {
    const auto sets = instruction_sets();
    for (const auto& name : {sets.front(), sets.back()}) {
        expect(ostinato_use(name.c_str()) == 0, "use");
        run((name + ": threads_change_nothing").c_str(), threads_change_nothing);
        run((name + ": both_directions_at_once_are_each_alone").c_str(), both_directions_at_once_are_each_alone);
    }
    ostinato_use(sets.front().c_str());
    run("decoders_have_the_same_bits_on_any_threads", [] { decoders_have_the_same_bits_on_any_threads(16); });
    run("steps_have_the_same_bits_on_any_threads", steps_have_the_same_bits_on_any_threads);
    run("energies_have_the_same_bits_on_any_threads", energies_have_the_same_bits_on_any_threads);
    run("callers_at_once_do_not_disturb_each_other", callers_at_once_do_not_disturb_each_other);
    run("decoders_at_once_do_not_disturb_each_other", decoders_at_once_do_not_disturb_each_other);
    run("a_set_may_be_chosen_while_others_compute", a_set_may_be_chosen_while_others_compute);
    run("a_child_of_fork_computes_alone", a_child_of_fork_computes_alone);
}

void run_all() {
    for (const auto& name : instruction_sets()) {
        expect(ostinato_use(name.c_str()) == 0, "use");
        const char* set = name.c_str();
        run((name + ": equals_the_equations").c_str(), [&] { equals_the_equations<float>(set), equals_the_equations<double>(set); });
        run((name + ": gradients_are_finite_differences").c_str(), [&] { gradients_are_finite_differences(set); });
        run((name + ": float32_gradients_are_float64s").c_str(), [&] { float32_gradients_are_float64s<float>(set); });
        run((name + ": decoder_gradients_are_finite_differences").c_str(), [&] { decoder_gradients_are_finite_differences(set); });
        for (int64_t half = 0; half <= ostinato_has_half(); half++) run((name + (half ? ": products_of_bfloat16_are_sums" : ": products_are_sums")).c_str(), [&] { products_are_sums(set, half); });
        run((name + ": steps_are_their_equations").c_str(), [&] { steps_are_their_equations<float>(set), steps_are_their_equations<double>(set); });
        run((name + ": energies_are_their_equations").c_str(), [&] { energies_are_their_equations<float>(set), energies_are_their_equations<double>(set); });
        for (int64_t H : {3, 33}) run((name + ": decoders_have_the_same_bits_on_any_threads").c_str(), [&] { decoders_have_the_same_bits_on_any_threads(H); });
    }
    run_threads();
    run("wrong_scans_are_refused", wrong_scans_are_refused);
    run("wrong_decoders_are_refused", wrong_decoders_are_refused);
    run("wrong_products_and_activations_are_refused", wrong_products_and_activations_are_refused);
    run("wrong_steps_are_refused", wrong_steps_are_refused);
    run("wrong_energies_are_refused", wrong_energies_are_refused);
    run("random_words_are_an_error_or_an_answer", random_words_are_an_error_or_an_answer);
    run("random_words_of_decoders_are_an_error_or_an_answer", random_words_of_decoders_are_an_error_or_an_answer);
    run("activations_are_near, every 4099th float32", [] { activations_are_near(4099); });
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "all";
    printf("instruction sets: %s\n", ostinato_instruction_sets());
    expect(ostinato_abi() == OSTINATO_ABI, "abi");
    if (what == "ulp") run("activations_are_near, every float32", [] { activations_are_near(1); });
    else if (what == "threads") run_threads();
    else run_all();
    return failures != 0;
}
