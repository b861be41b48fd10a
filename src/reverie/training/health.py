"""What goes wrong while learning, seen and said: updates that are undone, outliers set aside, values no reward allows.

Everything counted here is in `facts`, so that a resumed run notices the same things at the same steps.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from reverie.core.agent import Agent
from reverie.data.outliers import FAR_REWARD, Found
from reverie.environments.clipped_values import LARGEST

ROW_OF_SKIPS = 3  # updates in a row that may not be undone
OUTSIDE = 0.1  # by how much values may lie outside what rewards allow, as a share of what they allow
LEAST_STEP = 1e-6  # of Adam's step size: less is no step
STUCK = 0.98
DEAD, FROZEN = 0.9, 0.1  # the shares of weights that may stand still, and that a large gradient may have stopped
ABOVE = 1e6  # times the mean square of the layer's first moments: in healthy runs one still weight in 10,000 at most
PATIENCE = 3  # rows of metrics that something lasts before it is said
NAMES = ("skipped", "set_aside", "value_excess", "dead_weights", "mean_stuck")  # columns of metrics.csv


class Notice(NamedTuple):
    """A row of events.csv."""

    step: int
    episode: int
    kind: str
    text: str


class Symptoms(NamedTuple):
    """What of a trainer may be ill."""

    set_aside: int  # transitions that others stand for
    dead: float  # share of weights that no longer move
    frozen: float  # share of weights that a large gradient of long ago stops
    stuck: float  # share of actuators


def still_shares(state: Any) -> tuple[float, float]:
    """Return the share of weights that Adam no longer moves, and the share that a large gradient of long ago stops.

    A weight no longer moves where its step is below a millionth of Adam's step size; it was stopped by a large gradient where
    its second moment is also above a million times what the gradients of its layer are now, by their mean square.  Units that
    are never active have weights of the first kind alone, since their second moments only fade: many networks have
    such units, and learn.  What never had a gradient, or whose second moment has faded to 0, is not counted.
    """
    first, second = (
        [
            np.asarray(leaf)
            for _, part in optax.tree_utils.tree_get_all_with_path(state, name)
            for leaf in jax.tree.leaves(part)
        ]
        for name in ("mu", "nu")
    )
    dead = frozen = count = 0
    for m, v in zip(first, second, strict=True):
        if m.ndim == 2:
            still = (np.abs(m) < LEAST_STEP * np.sqrt(v)) & (v > 0)
            dead, count = dead + int(still.sum()), count + m.size
            now = np.mean(np.square(m, dtype=float))
            frozen += int(np.sum(still & (v > ABOVE * now))) if now > 0 else 0
    return dead / max(1, count), frozen / max(1, count)


def stuck_share(actions: np.ndarray) -> float:
    """Return the share of actuators that greedy actions [N, m], in [-1, 1], of many states have at one and the same bound."""
    return float(np.mean(np.abs(actions.mean(axis=0)) > STUCK))


class Health:
    """Counts and remembers; `new` are the notices that nobody has taken yet."""

    def __init__(self, agent: Agent):
        self._discount, self._scale = agent.requirements.discount, agent.requirements.reward_scale
        self._sizes = agent.spec.observation_dim, agent.spec.action_dim
        self.skipped = self.in_a_row = 0
        self.low = self.high = 0.0  # of rewards, or 0
        self._lasting: dict[str, int] = {}  # rows of metrics that each ill has lasted
        self._clipped: set[str] = set()  # what was said to be
        self.new: list[Notice] = []

    def see(self, row: np.ndarray) -> None:
        """Take in the reward of a packed transition, unless it is an outlier whatever else there is."""
        reward = row.item(sum(self._sizes))
        if not -FAR_REWARD < reward < FAR_REWARD:
            return
        if reward < self.low:
            self.low = reward
        elif reward > self.high:
            self.high = reward

    def _name_of(self, place: int) -> str:
        """Return what a number of a packed transition is."""
        n, m = self._sizes
        if place in (n + m, n + m + 1):
            return "the reward"
        return f"the observation at index {place if place < n else place - n - m - 2}"

    def taken(self) -> list[Notice]:
        """Return the new notices, and forget them."""
        new, self.new = self.new, []
        return new

    def note(self, step: int, episode: int, kind: str, text: str) -> None:
        """Note what somebody else noticed."""
        self.new.append(Notice(step, episode, kind, text))

    def undid(self, step: int, episode: int, fault: str) -> bool:
        """Count an update that is undone because of `fault`; return whether one more of them must end learning."""
        self.skipped += 1
        self.in_a_row += 1
        if self.in_a_row >= ROW_OF_SKIPS:
            text = f"learning diverged: {fault} after step {step}, and so for {self.in_a_row} updates in a row"
            self.new.append(Notice(step, episode, "diverged", text))
            return True
        if self.skipped in (1, 10, 100, 1000):
            text = f"the update after step {step} was undone: {fault} ({self.skipped} undone so far)"
            self.new.append(Notice(step, episode, "skipped", text))
        return False

    def set_aside(self, found: Found, count: int, step: int, episode: int) -> None:
        """Note transitions set aside after `step`, `count` in all."""
        first, last = found.steps[0], found.steps[-1]
        which = f"step {first}" if first == last else f"steps {first} to {last}"
        text = f"{self._name_of(found.place)} reached {found.size:.3g}, far beyond all others: nothing is learnt from "
        text += f"{which} ({count} set aside so far; the journal keeps them)"
        self.new.append(Notice(step, episode, "outlier", text))

    def see_clipped(self, row: np.ndarray, step: int, episode: int) -> None:
        """Note numbers of a packed transition that were clipped at the border, each sensor once."""
        for place in np.flatnonzero(np.abs(row) >= np.float32(LARGEST)).tolist():
            name = self._name_of(place)
            if name not in self._clipped:
                self._clipped.add(name)
                self.new.append(Notice(step, episode, "clipped", f"{name} is too large to learn from, and clipped"))

    def judge(self, row: dict[str, Any], now: Symptoms) -> dict[str, float]:
        """Return this module's columns for a row of metrics, and note what has lasted for PATIENCE of them."""
        excess = self._excess(row)
        self._last(row, "value", excess > OUTSIDE, lambda: self._of_value(row))
        self._last(row, "dead weights", now.dead > DEAD or now.frozen > FROZEN, lambda: self._of_weights(now))
        said = "the greedy action stands at its bound in every state: lower reward_scale, or try more noise"
        self._last(row, "mean stuck", now.stuck > 0.0, lambda: said)
        return dict(zip(NAMES, (self.skipped, now.set_aside, excess, now.dead, now.stuck), strict=True))

    def ills(self) -> list[str]:
        """Return the kinds of what is wrong now."""
        return [kind for kind, rows in self._lasting.items() if rows >= PATIENCE]

    def _allowed(self, row: dict[str, Any]) -> tuple[float, float]:
        """Return the lowest and the highest value that the rewards seen allow, for ever."""
        assert self._discount is not None
        # An entropy bonus is earned on top: nats times their price.
        bonus = max(0.0, row.get("entropy", 0.0) * row.get("temperature", 0.0))
        ahead = 1.0 / (1.0 - self._discount)
        return self._scale * self.low * ahead, (self._scale * self.high + bonus) * ahead

    def _excess(self, row: dict[str, Any]) -> float:
        """Return how far the mean value lies outside what rewards allow, as a share of what they allow; 0 within."""
        if self._discount is None or self._discount >= 1.0 or "value_mean" not in row:
            return 0.0
        low, high = self._allowed(row)
        outside = max(low - row["value_mean"], row["value_mean"] - high, 0.0)
        return outside / max(high - low, 1e-3)

    def _of_value(self, row: dict[str, Any]) -> str:
        low, high = self._allowed(row)
        text = f"values of {row['value_mean']:.3g} on average, where the rewards seen allow {low:.3g} to {high:.3g}"
        return f"{text}: lower learning_rate, target_rate or updates_per_step"

    def _of_weights(self, now: Symptoms) -> str:
        share, cause = now.dead, "their units are never active"
        if now.frozen > FROZEN:
            share, cause = now.frozen, "a very large gradient stopped them"
        return f"{share:.0%} of the weights no longer move, for {cause}: scale observations and rewards, or begin anew"

    def _last(self, row: dict[str, Any], kind: str, ill: bool, text: Any) -> None:
        lasted = self._lasting.get(kind, 0) + 1 if ill else 0
        self._lasting[kind] = lasted
        if lasted == PATIENCE:
            self.new.append(Notice(int(row["step"]), int(row["episode"]), kind, text()))

    # ---- saving

    def facts(self) -> dict[str, Any]:
        """Return all of it but the rewards, for JSON."""
        counts = {"skipped": self.skipped, "in_a_row": self.in_a_row}
        return counts | {"lasting": dict(self._lasting), "clipped": sorted(self._clipped)}

    def restore(self, facts: dict[str, Any] | None, rows: np.ndarray) -> None:
        """Become what `facts` told (None: a checkpoint of before there were any) after transitions `rows` [N, width]."""
        rewards = rows[:, sum(self._sizes)]
        rewards = rewards[np.abs(rewards) < FAR_REWARD]
        self.low, self.high = rewards.min(initial=0.0).item(), rewards.max(initial=0.0).item()
        if facts is not None:
            self.skipped, self.in_a_row = facts["skipped"], facts["in_a_row"]
            self._lasting, self._clipped = dict(facts["lasting"]), set(facts["clipped"])
