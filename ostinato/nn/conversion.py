"""The recurrent modules of a model of torch.nn, swapped for those of Ostinato in place."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import torch
from torch import nn

from ostinato.nn.gru import GRU
from ostinato.nn.lstm import LSTM
from ostinato.nn.recurrent import Recurrent
from ostinato.nn.rnn import RNN

CELLS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
NAMES = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")


@dataclass(frozen=True)
class Conversion:
    """What `convert` did: for each place of a recurrent module the module there now, or why the old one was left.

    Args:
        swapped: places, such as `encoder.rnn`, and the modules there now.
        kept: places and reasons.
    """

    swapped: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.swapped and not self.kept:
            return "no recurrent module of torch.nn found"
        width = max(len(place) for place in (*self.swapped, *self.kept))
        lines = [f"swapped {len(self.swapped)} of {len(self.swapped) + len(self.kept)} recurrent modules"]
        lines += [f"  {place:{width}}  {what}" for place, what in self.swapped.items()]
        if self.kept:
            lines.append(f"left {len(self.kept)} as they were")
            lines += [f"  {place:{width}}  {why}" for place, why in self.kept.items()]
        return "\n".join(lines)


def convert(model: nn.Module) -> Conversion:
    """Swaps every torch.nn.RNN, LSTM and GRU inside a model for Ostinato's, in place, and reports what it swapped.

    A new module holds the same Parameter objects, so that optimizers and tied weights stay valid, and has the old one's
    training mode. What would be lost keeps the old module: a subclass's code, hooks, parametrizations, attributes that
    were added. A module that the model holds outside its registered children (in a plain list, a closure) cannot be
    seen.
    """
    done = Conversion()
    if (why := _why_not(model)) is not None or _replacement(model) is not None:
        ours = f"ostinato.nn.{type(model).__name__}"
        how = (
            f"make {ours} with the same arguments and load_state_dict(model.state_dict()), or convert what contains it"
        )
        done.kept["(the model)"] = (
            why or f"the model itself is a torch.nn.{type(model).__name__}, which nothing holds: {how}"
        )
        return done
    _descend(model, "", done, {}, set())
    return done


def _descend(
    parent: nn.Module, place: str, done: Conversion, replaced: dict[nn.Module, Recurrent], seen: set[nn.Module]
) -> None:
    """Swaps among the children of a module. One in two places becomes one in both."""
    if parent in seen:
        return
    seen.add(parent)
    for name, child in list(parent._modules.items()):
        if child is None:
            continue
        here = f"{place}.{name}" if place else name
        if (why := _why_not(child)) is not None:
            done.kept[here] = why
        elif (kind := _replacement(child)) is None:
            _descend(child, here, done, replaced, seen)
        else:
            if child not in replaced:
                replaced[child] = _swapped(child, kind)
            setattr(parent, name, replaced[child])
            done.swapped[here] = repr(replaced[child])


def _replacement(module: nn.Module) -> type[Recurrent] | None:
    return {nn.RNN: RNN, nn.LSTM: LSTM, nn.GRU: GRU}.get(type(module))


def _why_not(module: nn.Module) -> str | None:
    """Why a recurrent module must stay as it is; None for one that can be swapped and for what is none."""
    kind = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        return "compiled by torch.jit.script; convert before scripting" if module.original_name in NAMES else None
    if kind.__module__.startswith("torch.ao.nn.") and kind.__name__ in NAMES:
        return f"quantized ({kind.__module__}.{kind.__name__}); convert before quantizing"
    if isinstance(module, CELLS):
        return f"a torch.nn.{_base(module)} computes one step; whole sequences are what a swap makes faster"
    if not isinstance(module, nn.RNNBase):
        return None
    if nn.utils.parametrize.is_parametrized(module):
        return f"parametrized ({', '.join(module.parametrizations)}); convert before parametrizing"
    if kind not in (nn.RNN, nn.LSTM, nn.GRU):
        return f"{kind.__qualname__} is a subclass of torch.nn.{_base(module)}, and its own code would be lost"
    hooks = [name for name, value in vars(module).items() if name.endswith("_hooks") and value]
    if hooks:
        return f"has hooks, which would be lost ({', '.join(hooks)}); remove them, or convert before they are added"
    added = sorted(vars(module).keys() - _attributes(kind))
    if added:
        return f"carries attributes that torch.nn.{kind.__name__} has not: {', '.join(added)}"
    return _strange_parameters(module)


def _strange_parameters(module: nn.RNNBase) -> str | None:
    wanted = {name: one.shape for name, one in _like(module, _replacement(module)).named_parameters()}
    own = {name: None if one is None else one.shape for name, one in module._parameters.items()}
    if module._buffers or module._modules or wanted != own:
        strange = sorted({name for name, _ in wanted.items() ^ own.items()} | {*module._buffers, *module._modules})
        return f"its parameters are not those that its arguments make: {', '.join(strange)}"
    return None


def _base(module: nn.Module) -> str:
    return next(base.__name__ for base in type(module).__mro__ if base.__module__ == "torch.nn.modules.rnn")


@functools.cache
def _attributes(kind: type[nn.Module]) -> frozenset[str]:
    return frozenset(vars(kind(1, 1, device="meta")))


def _like(old: nn.RNNBase, kind: type[Recurrent]) -> Recurrent:
    """A module of the same shape, without memory: meta draws nothing and holds nothing."""
    options = {"nonlinearity": old.nonlinearity} if kind is RNN else {"proj_size": old.proj_size}
    new = kind(
        old.input_size,
        old.hidden_size,
        old.num_layers,
        bias=old.bias,
        batch_first=old.batch_first,
        bidirectional=old.bidirectional,
        device="meta",
        **options,
    )
    # Set afterwards: the warning about one layer was given when the old module was made.
    new.dropout = old.dropout
    return new


def _swapped(old: nn.RNNBase, kind: type[Recurrent]) -> Recurrent:
    new = _like(old, kind)
    for name, parameter in old._parameters.items():
        setattr(new, name, parameter)
    # Not train(): parameters that are frozen stay so, and this module has no children of its own.
    new.training = old.training
    return new
