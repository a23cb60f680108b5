"""Several optimizers as one."""

from typing import Any

import torch


class Together(torch.optim.Optimizer):
    """Several optimizers, each of parameters of its own, as one with all their groups and one state."""

    def __init__(self, parts: list[torch.optim.Optimizer]):
        # A part that is several itself has no state of its own: what it joins is joined here.
        self.parts = [own for part in parts for own in (part.parts if isinstance(part, Together) else [part])]
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        self._hand_out()

    def _hand_out(self) -> None:
        """Gives each its groups and the state, which hold what a schedule and a checkpoint set here."""
        groups = iter(self.param_groups)
        for part in self.parts:
            part.state = self.state
            part.param_groups[:] = [next(groups) for _ in part.param_groups]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._hand_out()

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for part in self.parts:
            part.step()
