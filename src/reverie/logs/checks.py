"""Check whether a log is fit to learn from, and say what to change."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.words import count, listed
from reverie.environments.environment_check import EXTREME, Finding, FindingKind
from reverie.logs.fitting import in_bounds, outside
from reverie.logs.log_data import STEP_JUMP, TIME_JUMP, LogData, jumps

MOSTLY = 0.5  # a share above it: the log as a whole is wrong, and not some rows of it
FAR_OUTSIDE = 0.1  # of the range between a sensor's bounds: a value beyond that is noted
UNITS = 30.0  # times as large or small as the environment's: probably another unit
NARROW = 0.02  # of an actuator's range: actions that keep within it may be scaled
SHOWN = 3  # of the columns with the same fault


def check(
    data: LogData, spec: EnvSpec | None = None, usual: np.ndarray | None = None
) -> tuple[list[Finding], dict[str, Any]]:
    """Check a log's values, steps, actions, endings, rewards and units.  Returns (findings, the figures behind them).

    data: fitted to `spec`, if that is given.  spec: the environment that is to be learnt on; None: unknown.
    usual: observations of it [K, n], to compare units with; None: only its bounds are compared.
    """
    findings = [_columns(data), *_values(data)]
    if all(finding.verdict != "wrong" for finding in findings):  # else figures mean nothing
        findings += [_steps(data), *_actions(data, spec or data.bounds), _endings(data), _rewards(data)]
        findings += _units(data, spec, usual)
    figures = {
        "transitions": len(data),
        "episodes": len(np.unique(data.episode)),
        "observations": list(data.observation_names),
        "actions": list(data.action_names),
        "terminated": int(data.terminated.sum()),
        "truncated": int(data.truncated.sum()),
    }
    return findings, figures


def _finding(topic: str, notes: Sequence[str], ok: str, verdict: FindingKind = "note") -> Finding:
    return Finding(topic, verdict, "; ".join(notes)) if notes else Finding(topic, "ok", ok)


def _columns(data: LogData) -> Finding:
    n, m = data.observations.shape[1], data.actions.shape[1]
    seen = f" ({listed(data.observation_names)})" if data.observation_names else ""
    sent = f" ({listed(data.action_names)})" if data.action_names else ""
    size = f"{count(len(data), 'transition')} of {count(len(np.unique(data.episode)), 'episode')}"
    notes = list(data.notes)
    if not len(data):
        return Finding("columns", "wrong", "; ".join(["no transition is left to learn from", *notes]))
    if not m:
        notes.append("nothing tells sensors from actuators; name the environment with --env to check more")
    return _finding("columns", notes, f"{count(n, 'sensor')}{seen}, {count(m, 'actuator')}{sent}; {size}")


def _values(data: LogData) -> list[Finding]:
    """Check that values are finite and change."""
    for what, values in (
        (data.sensor, data.observations),
        (data.actuator, data.actions),
        (lambda _: "the reward", data.rewards[:, None]),
        (lambda i: f"the next value of {data.sensor(i)}", data.next_observations),
    ):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, column = bad[0]
            rows = len(np.unique(bad[:, 0]))
            text = f"{what(int(column))} is empty or not finite in {data.at(row)}"
            more = f" (and in {rows - 1} more)" if rows > 1 else ""
            return [Finding("values", "wrong", f"{text}{more}: leave such rows out")]
    if not len(data):
        return []
    notes = []
    constant = [data.sensor(i) for i in np.flatnonzero(np.ptp(data.observations, axis=0) == 0).tolist()]
    if constant and len(data) > 1:
        notes.append(f"{listed(constant)} never {'changes' if len(constant) == 1 else 'change'}: is the sensor alive?")
    largest = float(np.abs(data.observations).max(initial=0.0))
    if largest > EXTREME:
        notes.append(f"observations reach {largest:.3g}: set observation_normalisation=true, or scale them")
    return [_finding("values", notes, f"finite; observations within ±{largest:.3g}")]


def _steps(data: LogData) -> Finding:
    """Check for gaps and for steps that are there twice."""
    notes: list[str] = []
    follows = data.follows
    if len(data) > 1:
        for what, values, most in (("steps", data.step, STEP_JUMP), ("time", data.time, TIME_JUMP)):
            if values is not None:
                if what == "steps" or data.step is None:  # where steps are counted, a pause is no gap
                    notes += _gaps(data, what, jumps(values, follows, most), "jumps")
                notes += _gaps(data, what, follows & (np.diff(values) < 0), "runs backwards")
        apart = (data.next_observations[:-1] != data.observations[1:]).any(axis=1) & follows
        if apart.mean() > FAR_OUTSIDE:
            notes.append(
                f"the next observation differs from the next row's observation in {count(int(apart.sum()), 'place')}: are "
                "rows missing, or columns shifted?"
            )
        same = _same_as_before(data)
        twice = int(same.sum())
        text = f"{count(twice, 'transition')} of {len(data)} equal the one before ({data.at(int(np.argmax(same)) + 1)} first)"
        if twice > MOSTLY * len(data):
            return Finding("steps", "wrong", f"{text}: keep one row for each step of the machine")
        if twice:
            notes.append(f"{text}: was each step logged more than once?")
    return _finding("steps", notes, "no gaps and no step twice")


def _gaps(data: LogData, what: str, where: np.ndarray, does: str) -> list[str]:
    if not where.any():
        return []
    first = data.at(int(np.argmax(where)) + 1)
    verb = does if what == "time" else does.replace("jumps", "jump").replace("runs", "run")
    return [f"{what} {verb} within an episode in {count(int(where.sum()), 'place')}, first before {first}"]


def _same_as_before(data: LogData) -> np.ndarray:
    """Return which transitions but the first [N - 1] have the same numbers, or the same step, as the one before."""
    wide = np.concatenate([data.observations, data.actions, data.rewards[:, None], data.next_observations], axis=1)
    same = (wide[1:] == wide[:-1]).all(axis=1)
    if not np.ptp(wide, axis=0).any():  # one row that is repeated: constant columns are reported already
        return same & False
    together = data.follows
    if data.step is not None:
        return together & (np.diff(data.step) == 0)
    return together & same


def _actions(data: LogData, bounds: EnvSpec | None) -> list[Finding]:
    """Check actions against bounds: the environment's, or those that the log gives."""
    if not data.actions.shape[1]:
        return []
    notes = []
    constant = [data.actuator(i) for i in np.flatnonzero(np.ptp(data.actions, axis=0) == 0).tolist()]
    if constant and len(data) > 1:
        notes.append(
            f"{listed(constant)} never {'moves' if len(constant) == 1 else 'move'}: nothing is learnt about it"
        )
    if bounds is None:
        return [_finding("actions", notes, "their bounds are not known; name the environment with --env to check them")]
    inside = in_bounds(data.actions, bounds)
    left_out = len(data) - int(inside.sum())
    if left_out:
        text = f"{count(left_out, 'action')} of {len(data)} {'lies' if left_out == 1 else 'lie'} outside the bounds"
        text += f" ({_worst(data, bounds, inside)})"
        if left_out > MOSTLY * len(data):
            return [Finding("actions", "wrong", f"{text}: are they in other units? (--columns maps units)")]
        notes.append(f"{text}: such transitions are left out")
    if not bounds.actions:
        notes += _narrow(data, bounds)
    return [_finding("actions", notes, "all within the bounds")]


def _worst(data: LogData, bounds: EnvSpec, inside: np.ndarray) -> str:
    """Return the first action that is outside the bounds, in words."""
    row = int(np.argmin(inside))
    place = 0 if bounds.actions else int(np.argmax(outside(data.actions[row], bounds)))
    value = f"{data.actuator(place)} is {data.actions[row, place]:.6g} in {data.at(row)}"
    if bounds.actions:
        first = bounds.first_action
        return f"{value}, and they are the whole numbers {first} to {first + bounds.actions - 1}"
    return f"{value}, and the bounds are [{bounds.action_low[place]:.6g}, {bounds.action_high[place]:.6g}]"


def moved_share(actions: np.ndarray, bounds: EnvSpec) -> np.ndarray:
    """Return the share of its range [m] in which each actuator moves.  actions: [N, m] with N > 0, in their units."""
    return np.ptp(actions, axis=0) / np.subtract(bounds.action_high, bounds.action_low)


def still_actuators(actions: np.ndarray, bounds: EnvSpec) -> list[str]:
    """Return the actuators that hardly move in actions [N, m], for messages."""
    if bounds.actions or not len(actions):  # numbered actions are no range
        return []
    return [bounds.actuator(i) for i in np.flatnonzero(moved_share(actions, bounds) < NARROW).tolist()]


def _narrow(data: LogData, bounds: EnvSpec) -> list[str]:
    share = moved_share(data.actions, bounds)
    odd = np.flatnonzero((share > 0) & (share < NARROW)).tolist()
    named = listed([f"{data.actuator(i)} ({share[i]:.1%})" for i in odd], SHOWN)
    return [f"actions move in a small part of their range: {named}: are they in other units?"] if odd else []


def _endings(data: LogData) -> Finding:
    """Check for time-outs that are logged as deaths."""
    both = int((data.terminated & data.truncated).sum())
    if both:
        return Finding(
            "endings",
            "note",
            f"{count(both, 'episode')} terminated and truncated at once: that counts as terminated (no value beyond)",
        )
    deaths = int(data.terminated.sum())
    lengths = [int((data.episode == data.episode[i]).sum()) for i in np.flatnonzero(data.terminated).tolist()]
    remedy = "if that is a time limit, log it as truncated, else its value counts as zero"
    if deaths > 1 and not data.truncated.any() and len(set(lengths)) == 1 and lengths[0] > 1:
        return Finding(
            "endings", "note", f"every episode is terminated after exactly {count(lengths[0], 'step')}: {remedy}"
        )
    if deaths == 1 and data.terminated[-1] and len(data) > 1:
        return Finding(
            "endings",
            "note",
            "only the last transition of the log is terminated: if recording merely stopped there, log it as truncated, "
            "else its value counts as zero",
        )
    return Finding(
        "endings",
        "ok",
        f"{deaths} terminated, {int(data.truncated.sum())} truncated",
    )


def _rewards(data: LogData) -> Finding:
    largest = float(np.abs(data.rewards).max())
    notes = []
    if len(data) > 1 and float(np.ptp(data.rewards)) == 0.0:
        notes.append(f"every reward is {data.rewards[0]:g}: nothing can be learnt from it")
    elif largest > EXTREME or 0 < largest < 1 / EXTREME:
        notes.append(f"rewards reach {largest:.3g}: set reward_scale so that they are about 1, or to auto")
    return _finding("rewards", notes, f"within ±{largest:.3g}")


def _units(data: LogData, spec: EnvSpec | None, usual: np.ndarray | None) -> list[Finding]:
    """Compare the ranges of sensors with the environment's bounds, and with what it shows."""
    if spec is None:
        return []
    wrong, notes = _other_units(data, spec), list[str]()
    for i, (low, high) in enumerate(zip(spec.observation_low, spec.observation_high, strict=True)):
        values = data.observations[:, i]
        room = FAR_OUTSIDE * (high - low) if np.isfinite(high - low) else 0.0
        share = float(((values < low - room) | (values > high + room)).mean())
        if share:
            text = f"{data.sensor(i)} reaches {_extreme(values, low, high):.6g}, and its bounds are [{low:.6g}, {high:.6g}]"
            (wrong if share > MOSTLY else notes).append(text)
    if usual is not None:
        notes += _other_sizes(data, usual)
    if wrong:
        return [Finding("units", "wrong", f"{listed(wrong, SHOWN)}: other units? (--columns maps them)")]
    return [_finding("units", [f"{listed(notes, SHOWN)}: other units?"] if notes else [], "as the environment's")]


def _other_units(data: LogData, spec: EnvSpec) -> list[str]:
    """Return a text for each sensor and actuator whose unit is not the environment's."""
    found = list[str]()
    for name, theirs, ours in (
        (data.sensor, data.observation_units, spec.observation_units),
        (data.actuator, data.action_units, spec.action_units),
    ):
        if theirs and ours:
            pairs = enumerate(zip(theirs, ours, strict=True))
            found += [
                f"{name(i)} is in {was}, and should be in {unit}" for i, (was, unit) in pairs if was not in ("", unit)
            ]
    return found


def _extreme(values: np.ndarray, low: float, high: float) -> float:
    return float(values.max() if values.max() - high > low - values.min() else values.min())


def _other_sizes(data: LogData, usual: np.ndarray) -> list[str]:
    """Return a text for each sensor whose values are far larger or smaller than the environment's."""
    theirs, ours = np.abs(data.observations).max(axis=0), np.abs(usual).max(axis=0)
    found = []
    for i in np.flatnonzero((theirs > 0) & (ours > 0)).tolist():
        ratio = theirs[i] / ours[i]
        if ratio > UNITS or ratio < 1 / UNITS:
            found.append(f"{data.sensor(i)} is within ±{theirs[i]:.3g}, and the environment shows ±{ours[i]:.3g}")
    return found
