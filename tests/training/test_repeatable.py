"""What makes runs equal to the bit."""

import torch

from ostinato.training.repeatable import differences, draw_from, prepare, surroundings

CPU = torch.device("cpu")


def test_what_is_drawn_depends_on_seed_update_and_part_and_nothing_else():
    def drawn(*where):
        draw_from(*where, CPU)
        return torch.rand(4).tolist()

    first = drawn(1, 5, 0)
    torch.rand(99)
    assert drawn(1, 5, 0) == first
    assert len({tuple(drawn(*where)) for where in ((1, 5, 0), (2, 5, 0), (1, 6, 0), (1, 5, 1))}) == 4


def test_prepare_sets_seed_and_threads_and_asks_for_deterministic_kernels_without_writing_memory_twice():
    threads = torch.get_num_threads()
    try:
        prepare(7, threads + 1)
        first = torch.rand(3)
        assert torch.get_num_threads() == threads + 1
        prepare(7, threads)
        assert torch.equal(torch.rand(3), first)
        assert torch.are_deterministic_algorithms_enabled() and not torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.set_num_threads(threads)


def test_the_surroundings_name_what_bits_depend_on_and_differences_are_sentences():
    now = surroundings(CPU)
    assert now["torch"] == torch.__version__ and now["threads"] == torch.get_num_threads() and now["processor"]
    assert differences(now, now) == []
    (line,) = differences(now | {"device": "cuda"}, now)
    assert "the device was cuda, is cpu" in line
