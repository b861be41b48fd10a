"""Films of an environment that does not render: growing curves of observations, actions and reward over time.

Drawn with Pillow.  Each component has a colour and the number of its index; each panel has its own scale.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from reverie.core.interrupts import raise_if_interrupted

WIDTH, HEIGHT = 640, 480
LEFT, TOP, GAP = 70, 22, 24  # of a panel: room for its scale, room for its title, and the space between panels
PAPER, INK, FAINT = (255, 255, 255), (40, 48, 56), (205, 214, 222)
COLOURS = (
    (11, 110, 79),
    (31, 78, 121),
    (192, 64, 64),
    (217, 144, 36),
    (112, 72, 150),
    (70, 150, 170),
    (140, 90, 60),
    (90, 98, 106),
)
NAMED = 16  # components whose numbers fit beside a title


class Traces:
    """Records the steps of a policy in its environment; `frames` draws them."""

    def __init__(self, greedy: Any, env: Any):
        self._greedy, self._step = greedy, env.step
        self._rows: list[tuple[np.ndarray, np.ndarray, float]] = []
        self._now: tuple[np.ndarray, np.ndarray] | None = None
        env.step = self.step

    def greedy(self, observation: np.ndarray) -> np.ndarray:
        """Return the policy's action, and record both observation and action."""
        action = self._greedy(observation)
        self._now = np.asarray(observation, float).ravel(), np.asarray(action, float).ravel()
        return action

    def step(self, action: Any, *rest: Any) -> Any:
        """Step the environment, and record the reward."""
        outcome = self._step(action, *rest)
        assert self._now is not None
        self._rows.append((*self._now, float(outcome[0])))
        return outcome

    def frames(self, most: int) -> list[np.ndarray]:
        """Return at most `most` pictures [HEIGHT, WIDTH, 3]; each shows the curves up to one step."""
        steps = self._rows[:most]
        parts = [np.array([row[i] for row in steps]).reshape(len(steps), -1) for i in range(3)]
        titles = ("observation, by index", "action, by index, in [-1, 1]", "reward")
        return [_picture(titles, parts, step, len(steps)) for step in range(1, len(steps) + 1)]


def _picture(titles: Sequence[str], parts: Sequence[np.ndarray], step: int, steps: int) -> np.ndarray:
    """Return the picture after `step` of `steps` steps."""
    raise_if_interrupted()
    picture = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(picture)
    tall = (HEIGHT - GAP) // len(parts)
    for number, (title, values) in enumerate(zip(titles, parts, strict=True)):
        top = number * tall + TOP
        _panel(draw, title, values, step, (LEFT, top, WIDTH - GAP, top + tall - TOP - 8))
    draw.text((LEFT, HEIGHT - GAP + 4), f"step {step} of {steps}", fill=INK)
    return np.asarray(picture)


def _panel(draw: Any, title: str, values: np.ndarray, step: int, box: tuple[int, int, int, int]) -> None:
    """Draw the first `step` rows of values [steps, components] in a box."""
    left, top, right, bottom = box
    low, high = float(values.min()), float(values.max())
    room = 0.5 * max(abs(low), 1.0) if high == low else 0.05 * (high - low)
    low, high = low - room, high + room
    draw.rectangle(box, outline=FAINT)
    draw.text((left, top - 14), title, fill=INK)
    for i in range(values.shape[1]):
        colour = COLOURS[i % len(COLOURS)]
        if values.shape[1] > 1 and i < NAMED:
            draw.text((left + 200 + 24 * i, top - 14), str(i), fill=colour)
        x = left + (right - left) * np.arange(step) / max(1, len(values) - 1)
        y = bottom - (bottom - top) * (values[:step, i] - low) / (high - low)
        points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
        draw.line(points * (1 + (step == 1)), fill=colour, width=2)
    for value, at in ((high, top), (low, bottom - 11)):
        draw.text((4, at), f"{value:.3g}", fill=INK)
