"""Detection of learning problems: undone updates, outliers set aside, values that the rewards do not allow.

All counters are in `facts`, so that a resumed run reports the same problems at the same steps.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from reverie.core.agent import Agent
from reverie.data.outliers import ReplacedOutliers
from reverie.data.value_bounds import ValueBounds
from reverie.environments.clipped_values import LARGEST
from reverie.training.advice import scales_to_set
from reverie.training.improvement import Improvement
from reverie.training.logged_experience import LoggedExperience

ROW_OF_SKIPS = 3  # so many undone updates in a row end learning
OUTSIDE = 0.1  # how far values may lie outside the range that rewards allow, as a share of that range
LEAST_STEP = 1e-6  # of Adam's step size: a weight with a smaller step counts as still
STUCK = 0.98
SATURATED = 0.95  # share of greedy actions at a bound that is reported
BEYOND = 0.05  # share of a target distribution beyond its atoms that is reported
DEAD, FROZEN = 0.9, 0.1  # largest shares of still weights, and of weights stopped by a large gradient
# times the mean square of the layer's first moments; in healthy runs at most one still weight in 10,000 is above it
ABOVE = 1e6
PATIENCE = 3  # rows of metrics that a problem must last before it is reported
NAMES = ("skipped", "set_aside", "value_excess", "dead_weights", "mean_stuck")  # columns of metrics.csv


class Notice(NamedTuple):
    """A row of events.csv."""

    step: int
    episode: int
    kind: str
    text: str


class Symptoms(NamedTuple):
    """Measurements of a trainer that may show a problem."""

    set_aside: int  # transitions replaced by others in replay
    dead: float  # share of weights that no longer move
    frozen: float  # share of weights stopped by a large gradient in the past
    stuck: float  # share of actuators at one bound in every state


def still_shares(state: Any) -> tuple[float, float]:
    """Return the share of weights that Adam no longer moves, and the share stopped by a large gradient in the past.

    A weight no longer moves where its step is below a millionth of Adam's step size.  A large gradient stopped it
    where, in addition, its second moment is above a million times the present mean square gradient of its layer.
    Units that are never active have only weights of the first kind, since their second moments just fade.  Many
    networks have such units and still learn.  A weight that never had a gradient, or whose second moment has faded to
    0, is not counted.
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
    """Return the share of actuators that stand at the same bound in nearly all states.

    actions: greedy ones [N, m] in [-1, 1], of many states.
    """
    return float(np.mean(np.abs(actions.mean(axis=0)) > STUCK))


class Health:
    """Counters of problems.  `new` holds the notices that have not been taken yet.

    logged: logged transitions, whose rewards count like those of real steps.  warmup_steps: random actions at the start.
    """

    def __init__(self, agent: Agent, logged: LoggedExperience | None = None, warmup_steps: int = 0):
        self._requirements = agent.requirements
        self._discount = agent.requirements.discount
        self.improvement = Improvement(warmup_steps)
        self._sizes = agent.spec.observation_dim, agent.spec.action_dim
        self.skipped = self.in_a_row = 0
        self._logged = (np.zeros(0), np.zeros(0, bool)) if logged is None else (logged.rewards, logged.terminated)
        self.bounds = ValueBounds(*self._logged)
        self._lasting: dict[str, int] = {}  # rows of metrics that each problem has lasted
        self._clipped: set[str] = set()  # names of the numbers already reported as clipped
        self.new: list[Notice] = []

    def see(self, row: np.ndarray, last: bool, episode: int) -> None:
        """Account for the reward of a packed transition, unless it is an outlier by its size alone.

        last: the episode ended.  episode: its number.
        """
        place = sum(self._sizes)
        reward, terminated = row.item(place), row.item(place + 1) == 0.0
        self.improvement.see(reward, last, episode)
        self.bounds.see(reward, terminated)

    def _name_of(self, place: int) -> str:
        """Return what an entry of a packed transition is, in words."""
        n, m = self._sizes
        if place in (n + m, n + m + 1):
            return "the reward"
        return f"the observation at index {place if place < n else place - n - m - 2}"

    def taken(self) -> list[Notice]:
        """Return the new notices, and clear them."""
        new = self.new[:]
        del self.new[: len(new)]  # a thread of updates may add one meanwhile
        return new

    def note(self, step: int, episode: int, kind: str, text: str) -> None:
        """Add a notice that another part of training made."""
        self.new.append(Notice(step, episode, kind, text))

    def undid(self, step: int, episode: int, fault: str) -> bool:
        """Count an update that was undone because of `fault`; return whether learning must end."""
        self.skipped += 1
        self.in_a_row += 1
        if self.in_a_row >= ROW_OF_SKIPS:
            text = f"learning diverged: {fault} after step {step}, in {self.in_a_row} updates in a row"
            self.new.append(Notice(step, episode, "diverged", text))
            return True
        if self.skipped in (1, 10, 100, 1000):
            text = f"the update after step {step} was undone: {fault} ({self.skipped} undone so far)"
            self.new.append(Notice(step, episode, "skipped", text))
        return False

    def set_aside(self, found: ReplacedOutliers, count: int, step: int, episode: int) -> None:
        """Add a notice about transitions that were set aside after `step`, `count` in all."""
        first, last = found.steps[0], found.steps[-1]
        which = f"step {first}" if first == last else f"steps {first} to {last}"
        text = f"{self._name_of(found.place)} reached {found.size:.3g}, far beyond all others: nothing is learnt from "
        text += f"{which} ({count} set aside so far; the journal keeps them)"
        self.new.append(Notice(step, episode, "outlier", text))

    def see_clipped(self, row: np.ndarray, step: int, episode: int) -> None:
        """Add a notice about each entry of a packed transition that was clipped on input, once per entry."""
        for place in np.flatnonzero(np.abs(row) >= np.float32(LARGEST)).tolist():
            name = self._name_of(place)
            if name not in self._clipped:
                self._clipped.add(name)
                self.new.append(Notice(step, episode, "clipped", f"{name} is too large to learn from, and clipped"))

    def judge(self, row: dict[str, Any], now: Symptoms, reward_scale: float) -> dict[str, float]:
        """Return this module's columns for a row of metrics; report what has lasted for PATIENCE rows.

        reward_scale: what the rewards of updates are multiplied by now.
        """
        excess = self._excess(row, reward_scale)
        self._last(row, "value", excess > OUTSIDE, lambda: self._of_value(row, reward_scale))
        self._last(row, "dead weights", now.dead > DEAD or now.frozen > FROZEN, lambda: self._of_weights(now))
        text = f"the greedy action is at its bound in every state: {self._scales_or('try more noise')}"
        self._last(row, "mean stuck", now.stuck > 0.0, lambda: text)
        saturated = row.get("mean_saturated", 0.0)
        self._last(
            row, "mean saturated", saturated > SATURATED and now.stuck == 0.0, lambda: self._of_saturation(saturated)
        )
        beyond = row.get("target_beyond", 0.0)
        self._last(row, "target beyond", beyond > BEYOND, lambda: self._of_atoms(beyond))
        self._last(row, "no improvement", self.improvement.absent, lambda: self.improvement.text(self._requirements))
        return dict(zip(NAMES, (self.skipped, now.set_aside, excess, now.dead, now.stuck), strict=True))

    def problems(self) -> list[str]:
        """Return the kinds of problem that exist now."""
        return [kind for kind, rows in self._lasting.items() if rows >= PATIENCE]

    def _allowed(self, row: dict[str, Any], scale: float) -> tuple[float, float]:
        """Return the lowest and highest value that the rewards so far allow."""
        assert self._discount is not None
        # An entropy bonus comes on top of rewards: nats times the temperature.
        bonus = max(0.0, row.get("entropy", 0.0) * row.get("temperature", 0.0))
        low, high = self.bounds.values(self._discount)
        return scale * low, scale * high + bonus / (1.0 - self._discount)

    def _excess(self, row: dict[str, Any], scale: float) -> float:
        """Return how far the mean value lies outside the allowed range, as a share of its width; 0 if within.

        While all rewards are 0 they say nothing of values.
        """
        if self._discount is None or self._discount >= 1.0 or "value_mean" not in row or not any(self.bounds.rewards):
            return 0.0
        low, high = self._allowed(row, scale)
        outside = max(low - row["value_mean"], row["value_mean"] - high, 0.0)
        return outside / max(high - low, 1e-3)

    def _of_value(self, row: dict[str, Any], scale: float) -> str:
        low, high = self._allowed(row, scale)
        text = f"values are {row['value_mean']:.3g} on average, but the rewards so far allow {low:.3g} to {high:.3g}"
        return f"{text}: lower learning_rate, target_rate or updates_per_step"

    def _scales_or(self, otherwise: str) -> str:
        return scales_to_set(self._requirements, otherwise)

    def _of_saturation(self, share: float) -> str:
        text = f"{share:.0%} of the greedy actions are at a bound, which only bang-bang control needs"
        return f"{text}: {self._scales_or('lower learning_rate')}"

    def _of_atoms(self, share: float) -> str:
        scale = "" if self._requirements.reward_scale is None else "set reward_scale=auto, or "
        return f"{share:.0%} of the targets lie beyond the atoms, where values cannot go: {scale}raise value_limit"

    def _of_weights(self, now: Symptoms) -> str:
        share, cause = now.dead, "their units are never active"
        if now.frozen > FROZEN:
            share, cause = now.frozen, "a very large gradient stopped them"
        return f"{share:.0%} of the weights no longer change, since {cause}: {self._scales_or('start again')}"

    def _last(self, row: dict[str, Any], kind: str, present: bool, text: Any) -> None:
        lasted = self._lasting.get(kind, 0) + 1 if present else 0
        self._lasting[kind] = lasted
        if lasted == PATIENCE:
            self.new.append(Notice(int(row["step"]), int(row["episode"]), kind, text()))

    # ---- saving

    def facts(self) -> dict[str, Any]:
        """Return all counters as JSON values; the rewards are in the journal."""
        counts = {"skipped": self.skipped, "in_a_row": self.in_a_row}
        counters = {"lasting": dict(self._lasting), "clipped": sorted(self._clipped)}
        return counts | counters | {"improvement": self.improvement.facts()}

    def restore(self, facts: dict[str, Any] | None, rows: np.ndarray) -> None:
        """Restore what `facts` returned, after transitions `rows` [N, width].

        facts: None for a checkpoint that was written before these counters existed.
        """
        place = sum(self._sizes)
        own = rows[:, place].astype(float), rows[:, place + 1] == 0.0
        self.bounds = ValueBounds(*(np.concatenate(pair) for pair in zip(self._logged, own, strict=True)))
        if facts is not None:
            self.skipped, self.in_a_row = facts["skipped"], facts["in_a_row"]
            self._lasting, self._clipped = dict(facts["lasting"]), set(facts["clipped"])
            if (known := facts.get("improvement")) is not None:
                self.improvement.restore(known)
