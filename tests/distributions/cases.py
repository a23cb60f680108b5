"""Ostinato's own distributions to try: each from tensors that its law suite cannot know."""

import itertools
from functools import partial

import torch

from ostinato.distributions.affine import Affine
from ostinato.distributions.bernoulli import Bernoulli
from ostinato.distributions.categorical import Categorical
from ostinato.distributions.chain import Chain
from ostinato.distributions.contract import LEVELS
from ostinato.distributions.mixture import Mixture
from ostinato.distributions.nade import Nade
from ostinato.distributions.normal import Normal
from ostinato.distributions.paths import Paths
from ostinato.distributions.point import Point
from ostinato.distributions.quantile_levels import QuantileLevels
from ostinato.distributions.rbm import Rbm
from ostinato.distributions.student_t import StudentT
from ostinato.layers.crf import CRF
from ostinato.modalities.contract import MISSING
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import drawn
from ostinato.testing.distributions import CASES, Case


def _of_steps(make, scores, *more):
    """Rows of one step each."""
    return make(scores, Layout.equal(len(scores), 1), *more)


def _with_support(scores):
    return _of_steps(Categorical, scores, torch.tensor([[3, 0, 2, 0]]).expand(len(scores), -1))


def _chain(emissions):
    chain = CRF(emissions.shape[2]).double().requires_grad_(False)
    chain.follows.copy_(drawn(4, torch.float64)(*chain.follows.shape))
    return Chain(Steps(emissions.flatten(0, 1), Layout.equal(*emissions.shape[:2])), chain)


def _point(distance, location):
    return Point(location, distance)


def _student_t(location, scale):
    return StudentT(location, scale, torch.full_like(scale, 5.0).detach())


def _affine(location, scale, *moves):
    return Affine(Normal(location, scale), *moves, 1, 1)


def _paths(location, scale):
    density = Normal(location, scale)
    paths = torch.stack([density.quantile([level])[0].detach() for level in LEVELS], -1)
    return Paths(paths, torch.zeros_like(location).detach(), density)


def _mixture(scores, location, scale):
    return Mixture(scores, Normal(location, scale))


def _nade(visible, hidden):
    reads, writes = (drawn(seed, torch.float64)(3, 2) for seed in (5, 6))
    return Nade(visible, hidden, reads, writes, Layout.equal(len(visible), 1))


def _several_nades(visible, hidden):
    return _nade(visible, hidden).mean_of([_nade(visible - 1, hidden + 1)])


def _rbm(width, visible, hidden):
    weight = 2 * drawn(7, torch.float64)(3, 12)[:, :width]
    return Rbm(visible, hidden[:, :width], weight, Layout.equal(len(visible), 1))


def _several_rbms(visible, hidden):
    return _rbm(2, visible, hidden).mean_of([_rbm(12, visible - 1, hidden + 1)])


_DRAW = drawn(3, torch.float64)
_LOCATION, _SCALE, _UNKNOWN = _DRAW(1, 1), _DRAW(1, 1).abs() + 0.5, torch.full((1, 1), torch.nan)
_NORMAL, _THREE = (_LOCATION, _SCALE), torch.tensor([*itertools.product(range(3), repeat=3)]).flatten()
_WINDOW = (_LOCATION[None], _SCALE[None], _DRAW(1, 1, 1), _DRAW(1, 1, 1).abs() + 0.5, _DRAW(1, 1, 1))
_LIKELY = torch.tensor([[0.3, -2.0, 1.5, -3.0]]).double()
_PARTS = (_DRAW(1, 2), torch.tensor([[[-4.0], [5.0]]]).double(), torch.tensor([[[0.7], [1.2]]]).double())
_BITS = torch.tensor([*itertools.product((0.0, 1.0), repeat=3)])
CASES |= {
    Categorical: [
        Case(partial(_of_steps, Categorical), (_DRAW(1, 4),), torch.arange(4), torch.tensor([MISSING])),
        Case(_with_support, (_LIKELY,), torch.tensor([0, 2, 3]), torch.tensor([MISSING])),
    ],
    Bernoulli: [Case(partial(_of_steps, Bernoulli), (_DRAW(1, 3),), _BITS, torch.full((1, 3), torch.nan), (3,))],
    Nade: [
        Case(make, (3 * _DRAW(1, 3), _DRAW(1, 2)), _BITS, torch.tensor([[torch.nan, 0.0, 1.0]]), (3,))
        for make in (_nade, _several_nades)
    ],
    Rbm: [
        Case(make, (_DRAW(1, 3), _DRAW(1, 12)), _BITS, torch.tensor([[torch.nan, 0.0, 1.0]]), (3, draws))
        for make, draws in ((partial(_rbm, 2), 4), (partial(_rbm, 12), 7), (_several_rbms, 7))
    ],
    Chain: [Case(_chain, (_DRAW(1, 3, 3),), _THREE, torch.full((3,), MISSING))],
    Point: [
        Case(partial(_point, distance), (_LOCATION,), None, _UNKNOWN) for distance in ("squared", "absolute", "huber")
    ],
    Normal: [Case(Normal, _NORMAL, None, _UNKNOWN, (1,))],
    StudentT: [Case(_student_t, _NORMAL, None, _UNKNOWN, (1, 2))],
    QuantileLevels: [Case(QuantileLevels, (_DRAW(1, 1, len(LEVELS)),), None, _UNKNOWN)],
    Affine: [Case(_affine, _WINDOW, None, torch.tensor([[torch.nan, 0.0]]), (1, 1))],
    Paths: [Case(_paths, _NORMAL, None, _UNKNOWN)],
    Mixture: [Case(_mixture, _PARTS, None, _UNKNOWN, (1, 2))],
}
