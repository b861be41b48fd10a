"""Check whether an environment is fit for learning, and say what to change."""

import time
import zlib
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np

from reverie.core.argument_checks import shown
from reverie.core.errors import ConfigError, ReverieError
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.words import count, listed
from reverie.environments.env_adapter import EnvAdapter
from reverie.environments.env_factory import EnvSource, make_env

FindingKind = Literal["ok", "note", "wrong"]
EXTREME = 100.0  # larger observations are hard to learn from unless they are normalised
SLOW_SECONDS = 0.01  # a longer step counts as slow
MANY = 50  # most entries that are listed
NAMED = 12  # most bounds of a Box that are listed one by one


class Finding(NamedTuple):
    """Result of one check. If something is wrong, the text says what to do."""

    topic: str
    verdict: FindingKind
    text: str


def check(source: EnvSource, steps: int = 1000, seed: int = 0) -> tuple[list[Finding], dict[str, Any]]:
    """Check spaces, bounds, values, seeding, endings and speed.  Returns (findings, the figures behind them).

    source: as `make_env` takes it.  steps: number of steps with random actions.  seed: of resets and actions.
    Raises ConfigError where there is no such environment. Any other error is reported as a finding.
    """
    try:
        adapter = make_env(source)
    except ConfigError:
        raise
    except ReverieError as error:
        return [Finding("spaces", "wrong", str(error))], {}
    try:
        findings = [_spaces(adapter)]
        try:
            first = _rollout(adapter, steps, seed)
            second = _rollout(adapter, min(steps, 200), seed)
        except ReverieError as error:
            return [*findings, Finding("values", "wrong", str(error))], {}
        findings += [_values(first), _seeding(first, second, adapter, seed), _endings(adapter, first), _speed(first)]
        return findings, _figures(adapter, first)
    finally:
        adapter.close()


class _Seen:
    """Summary of observations, which may be large: their range, and a checksum of each to compare trajectories."""

    def __init__(self):
        self.marks = list[int]()
        self.low = self.high = np.zeros(0)

    def add(self, observation: np.ndarray) -> None:
        first = not self.marks
        self.low = observation.copy() if first else np.minimum(self.low, observation, out=self.low)
        self.high = observation.copy() if first else np.maximum(self.high, observation, out=self.high)
        self.marks.append(zlib.crc32((observation + 0.0).tobytes()))  # + 0.0 turns -0 into 0

    @property
    def largest(self) -> float:
        return float(max(-self.low.min(), self.high.max()))


class _Rollout(NamedTuple):
    seen: _Seen
    rewards: np.ndarray
    lengths: list[int]
    terminated: int
    truncated: int
    both: int
    seconds: float


def _rollout(adapter: EnvAdapter, steps: int, seed: int) -> _Rollout:
    generator = np.random.default_rng(seed)
    seen, rewards, lengths = _Seen(), [], []
    seen.add(adapter.reset(seed))
    deaths = timeouts = both = length = 0
    seconds = 0.0
    for number in range(1, steps + 1):
        raise_if_interrupted()
        action = adapter.spec.to_world(adapter.spec.random(generator))
        began = time.perf_counter()
        reward, observation, terminated, truncated = adapter.step(action, number)
        seconds += time.perf_counter() - began
        seen.add(observation)
        rewards.append(reward)
        length += 1
        if terminated or truncated:
            deaths += terminated
            timeouts += truncated
            both += terminated and truncated
            lengths.append(length)
            length = 0
            seen.add(adapter.reset(seed + len(lengths)))
    return _Rollout(seen, np.array(rewards), lengths, deaths, timeouts, both, seconds)


def observed(adapter: EnvAdapter, steps: int, seed: int = 0) -> np.ndarray:
    """Return the observations [K, n] of random steps and of the starts of their episodes.

    Raises WorldError where the environment raises, or returns unusable values.
    """
    generator, episode = np.random.default_rng(seed), 0
    found = [adapter.reset(seed)]
    for number in range(1, steps + 1):
        raise_if_interrupted()
        _, observation, terminated, truncated = adapter.step(
            adapter.spec.to_world(adapter.spec.random(generator)), number
        )
        found.append(observation)
        if terminated or truncated:
            episode += 1
            found.append(adapter.reset(seed + episode))
    return np.stack(found)


def _spaces(adapter: EnvAdapter) -> Finding:
    spec, env = adapter.spec, adapter.env
    seen, action = described(env.observation_space), described(env.action_space)
    size = (
        "" if env.observation_space.shape == (spec.observation_dim,) else f", {count(spec.observation_dim, 'number')}"
    )
    return Finding("spaces", "ok", f"observation {seen}{size}; action {action}{': for dqn' if spec.actions else ''}")


def described(space: gym.Space[Any]) -> str:
    """Return a description of a space: its kind, shape, bounds and dtype, or its parts."""
    if isinstance(space, gym.spaces.Box):
        low, high = space.low.ravel(), space.high.ravel()
        if max(len(set(low.tolist())), len(set(high.tolist()))) > 1 and len(low) > NAMED:
            bounds = f"{low.min():g} … {high.max():g} at most"
        else:
            bounds = f"{_short(low)} … {_short(high)}"
        return f"Box {space.shape} in {bounds} ({space.dtype})"
    parts = []
    if isinstance(space, gym.spaces.Dict):
        parts = [f"{key}: {described(part)}" for key, part in space.spaces.items()]
    elif isinstance(space, gym.spaces.Tuple):
        parts = [described(part) for part in space.spaces]
    return f"{type(space).__name__}({listed(parts)})" if parts else shown(space)


def _short(values: np.ndarray) -> str:
    found = values.tolist()
    return f"{found[0]:g}" if len(set(found)) == 1 else "[" + ", ".join(f"{v:g}" for v in found) + "]"


def _values(first: _Rollout) -> Finding:
    largest = first.seen.largest
    constant = np.flatnonzero(first.seen.low == first.seen.high)
    span = float(np.abs(first.rewards).max())
    notes = []
    if largest > EXTREME:
        notes.append(f"observations reach {largest:.3g}: set observation_normalisation=true, or scale them")
    if len(constant):
        entries = ", ".join(map(str, constant[:MANY].tolist())) + (", …" if len(constant) > MANY else "")
        notes.append(f"observation entries [{entries}] never change: leave them out")
    if span > EXTREME or (0 < span < 0.01):
        notes.append(f"rewards reach {span:.3g}: set reward_scale so that they are about 1, or to auto")
    if float(np.ptp(first.rewards)) == 0.0:
        notes.append(f"every reward is {first.rewards[0]:g}: random actions learn nothing from it")
    if notes:
        return Finding("values", "note", "; ".join(notes))
    return Finding("values", "ok", f"finite; observations within ±{largest:.3g}, rewards within ±{span:.3g}")


def _seeding(first: _Rollout, second: _Rollout, adapter: EnvAdapter, seed: int) -> Finding:
    if first.seen.marks[: len(second.seen.marks)] != second.seen.marks:
        return Finding(
            "seeding",
            "note",
            "the same seed and actions gave another trajectory: runs will not repeat; draw only from self.np_random",
        )
    if np.array_equal(adapter.reset(seed), adapter.reset(seed + 1)):
        return Finding(
            "seeding",
            "note",
            "two seeds gave the same start: fine if the start is fixed, else call super().reset(seed=seed)",
        )
    return Finding("seeding", "ok", "the same seed repeats, another starts elsewhere")


def _endings(adapter: EnvAdapter, first: _Rollout) -> Finding:
    spec = adapter.env.spec
    limit = (spec.max_episode_steps if spec is not None else None) or getattr(adapter.env.unwrapped, "horizon", None)
    if first.both:
        return Finding(
            "endings",
            "note",
            f"{count(first.both, 'episode')} terminated and truncated at once: that counts as terminated (no value beyond)",
        )
    if not first.lengths:
        if limit is None and _unlimited(adapter.env):
            return Finding(
                "endings",
                "wrong",
                f"no episode ended in {count(len(first.rewards), 'step')} and there is no time limit: "
                "wrap it in gymnasium.wrappers.TimeLimit",
            )
        return Finding(
            "endings",
            "ok",
            f"no episode ended in {count(len(first.rewards), 'step')}; the limit is {limit or 'set by a wrapper'}",
        )
    if first.terminated and limit is not None and first.lengths.count(limit) > 0 and not first.truncated:
        return Finding(
            "endings",
            "note",
            f"episodes of full length {limit} are reported as terminated: "
            "a time-out should be truncated, else its value counts as zero",
        )
    mean = sum(first.lengths) / len(first.lengths)
    if first.terminated > 1 and not first.truncated and len(set(first.lengths)) == 1 and first.lengths[0] > 1:
        return Finding(
            "endings",
            "note",
            f"every episode is terminated after exactly {count(int(first.lengths[0]), 'step')}: "
            "if that is a time limit, report it as truncated",
        )
    return Finding(
        "endings",
        "ok",
        f"{count(len(first.lengths), 'episode')} of {mean:.0f} steps on average: "
        f"{first.terminated} terminated, {first.truncated} truncated",
    )


def _unlimited(env: gym.Env) -> bool:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, gym.wrappers.TimeLimit):
            return False
        env = env.env
    return True


def _speed(first: _Rollout) -> Finding:
    each = first.seconds / len(first.rewards)
    if each > SLOW_SECONDS:
        return Finding(
            "speed",
            "note",
            f"{1e3 * each:.1f} ms a step: learning will wait for it; updates_per_step can be raised at little cost",
        )
    return Finding("speed", "ok", f"{1e6 * each:.0f} us a step")


def _figures(adapter: EnvAdapter, first: _Rollout) -> dict[str, Any]:
    return {
        "observation_dim": adapter.spec.observation_dim,
        "action_low": list(adapter.spec.action_low),
        "action_high": list(adapter.spec.action_high),
        "actions": adapter.spec.actions,
        "largest_observation": first.seen.largest,
        "largest_reward": float(np.abs(first.rewards).max()),
        "episodes": len(first.lengths),
        "terminated": int(first.terminated),
        "truncated": int(first.truncated),
        "cut_at": None if first.lengths else len(first.rewards),  # steps of an episode that the check ended
        "seconds_per_step": first.seconds / len(first.rewards),
    }
