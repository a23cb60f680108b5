"""One encoder over another, for videos and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from torch import Tensor, nn

from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import ConfigError
from ostinato.modalities.contract import Choices, Pixels, Values
from ostinato.registry import Room, Settings, build, component
from ostinato.steps import Layout, Steps


class Stacked(Encoder):
    """One encoder over another: of a video `each` reads every frame, and `over` reads what it made of them in turn.

        video    s_t = summary of each(frame t);            steps, summary, state = over(s_1 ... s_T)
        picture  s   = steps of each(picture)               likewise; such as the columns of a line of text

    `each` is one net for all frames of all videos. Frames are packed as they come: none is padded, and a video is read
    as if it were alone. What `each` changes in training, such as a picture's light, it changes alike in all frames.

    Shapes:
        pixels (T, width * height * channels); steps and summary as of `over`

    Args:
        each: what reads a frame, or the picture.
        over: what reads the vectors that it gives.

    Errors:
        ConfigError: `each` reads no picture, or gives no summary of a frame; `over` reads no vectors.
        ValueError: a state is given to a picture's encoder, or to an `over` that is not causal.
    """

    takes = (Pixels,)

    def __init__(
        self,
        spec: Pixels,
        *,
        each: Annotated[Settings, Room("encoders", inner=True)] = "cnn",
        over: Annotated[Settings, Room("encoders", inner=True)] = "recurrent",
    ):
        super().__init__()
        for settings, taken, what in ((each, Pixels, "picture"), (over, Values, "vectors")):
            if taken not in component("encoders", settings.type).takes:
                raise ConfigError(
                    f"stacked: {settings.type} reads no {what}, and here it gets some; take another encoder"
                )
        self.spec, self.frames = spec, spec.width > 1
        column = Pixels(spec.height * spec.colors, unscaled=True, height=spec.height)
        self.each: Any = build(each, "encoders", column)
        size = self.each.summary_size if self.frames else self.each.steps_size
        self.over: Any = build(over, "encoders", Values(size, unscaled=True))
        self.steps_size, self.summary_size = self.over.steps_size, self.over.summary_size
        self.state_sizes, self.penalties = self.over.state_sizes, self.over.penalties
        self.causal, self.look_ahead = self.frames and self.over.causal, self.over.look_ahead if self.frames else None
        self.reduction = self.over.reduction * (1 if self.frames else self.each.reduction)
        self.grid_height = 1 if self.frames else self.each.grid_height

    @staticmethod
    def settled(settings: Settings, column: Settings, find: Callable[[str], Path | None]) -> Choices:
        each = component("encoders", settings.each.type).settled(settings.each, column, find)
        own = "encoder."
        return {f"{own}each.{path.removeprefix(own)}" if path.startswith(own) else path: each[path] for path in each}

    def start(self, find: Callable[[str], Path | None]) -> None:
        self.each.start(find)

    @classmethod
    def reduction_of(cls, settings: Any) -> int:
        each, over = (component("encoders", part.type).reduction_of(part) for part in (settings.each, settings.over))
        return each * over

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None and not self.causal:
            raise ValueError("this encoder reads whole pictures, or later frames before: give it no state")
        if not self.frames:
            return self.over.encode(self.each.encode(steps).steps)
        columns = steps.values.view(-1, self.spec.height * self.spec.colors)
        frames = Steps(columns, Layout.equal(len(steps.values), self.spec.width, columns.device))
        read = self.each.encode_parts(frames, steps.layout.rows)
        return self.over.encode(steps.with_values(read.summary), state)

    def layers(self) -> list[Iterable[nn.Module]]:
        return [*self.each.layers(), *self.over.layers()]
