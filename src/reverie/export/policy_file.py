"""`export_policy`: the greedy policy of a run as a file, in the environment's units, checked before it is put in place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, DivergedError
from reverie.core.limiter import inward
from reverie.core.machine_limits import ResolvedLimits
from reverie.core.words import count
from reverie.export import array_file, onnx_file
from reverie.export.fusing import fused
from reverie.export.program import trace
from reverie.export.run_end import how_it_ended
from reverie.logs.experience_arrays import units_of
from reverie.storage.output_file import output_at, require_ending
from reverie.training.provenance import versions
from reverie.training.saved_policy import SavedPolicy

ENDINGS = (".onnx", ".npz")
CHECKED = 10_000  # random observations on which the file is compared with the policy
TOLERANCE = 1e-5  # largest difference, as a share of an actuator's range
COARSEST = 2 * TOLERANCE  # largest gap between numbers of float32, as a share of the range: rounding errs by half of it
TIES = 1e-3  # share of discrete actions that may differ, where two values are equal up to rounding


class Exported(NamedTuple):
    """What was written."""

    path: Path
    difference: float  # largest one, as a share of an actuator's range; of discrete actions the share that differs
    facts: dict[str, Any]


def export_policy(saved: SavedPolicy, path: Path) -> Exported:
    """Write the greedy policy of `saved` to `path`, and return what was written.

    Observations are normalised, and actions scaled to the environment's units and clipped to its bounds, in the file.
    Raises ConfigError for another ending than .onnx or .npz, bounds between which float32 has too few numbers, limits
    between which it has none, or a policy that cannot be exported; StorageError for a run that does not say in which
    units its actions are; DivergedError where the file's actions differ from the policy's own. Then nothing is written.
    """
    require_ending(path, ENDINGS, "a policy is written to a file that ends in")
    output = output_at(path)
    n, spec = saved.spec.observation_dim, units_of(saved.written.env_spec, saved.run)
    _require_resolved(spec)
    values = saved.limiter(spec).values
    _require_room(spec, values)
    function = in_units(saved.network, spec, values)
    last_dim = 0 if values.slew is None else spec.action_dim
    program = fused(trace(function, n, f"the policy of {saved.config.name}", last_dim))
    facts, observations = facts_of(saved, spec, values), random_observations(n)
    last = None if values.slew is None else random_actions(spec)
    if path.suffix.lower() == ".onnx":
        data = onnx_file.model_bytes(program, facts, (n, spec.action_dim), bool(spec.actions))
        found = onnx_file.answers(data, observations, last)
    else:
        data = array_file.array_bytes(program, facts)
        found = array_file.answers(data, observations, last)
    difference = compared(found, limited(spec.to_world(saved.greedy(observations)), values, last), spec)
    output.write(data)
    return Exported(path, difference, facts)


def random_observations(observation_dim: int) -> np.ndarray:
    """Return observations [CHECKED, n] of many sizes, the same each time."""
    generator = np.random.default_rng(0)
    sizes = 10.0 ** generator.uniform(-2, 2, (CHECKED, 1))
    return (generator.standard_normal((CHECKED, observation_dim)) * sizes).astype(np.float32)


def random_actions(spec: EnvSpec) -> np.ndarray:
    """Return last actions [CHECKED, m] within the bounds, the same each time; some rows have none (NaN)."""
    generator = np.random.default_rng(1)
    actions = generator.uniform(spec.action_low, spec.action_high, (CHECKED, spec.action_dim))
    actions[generator.random(CHECKED) < 0.1] = np.nan
    return actions.astype(np.float32)


def in_units(greedy: Callable[[Any], Any], spec: EnvSpec, limits: ResolvedLimits) -> Callable[..., Any]:
    """Return the function of observations [batch, n] whose result is in the environment's units, within the limits.

    greedy: returns actions in [-1, 1], or the numbers of discrete actions.
    Where there is a slew, the function takes the last actions [batch, m] too; NaN: there is none.
    """
    if spec.actions:
        return lambda x: greedy(x) + np.float32(spec.first_action)
    low, high = np.asarray(spec.action_low), np.asarray(spec.action_high)
    # Limits are rounded towards the inside: an action never leaves them, even by the rounding of float32.
    inner_low, inner_high = inward(limits.low, 1), inward(limits.high, -1)
    half, middle = np.float32(0.5 * (high - low)), np.float32(0.5 * (high + low))

    def within(x: Any) -> Any:
        return jnp.clip(greedy(x) * half + middle, inner_low, inner_high)

    if limits.slew is None:
        return within
    largest = np.float32(np.finfo(np.float32).max)
    slew = inward(np.minimum(limits.slew, 0.5 * largest), -1)

    def slewed(x: Any, last: Any) -> Any:
        action = within(x)
        return jnp.where(last == last, jnp.minimum(jnp.maximum(action, last - slew), last + slew), action)

    return slewed


def limited(actions: np.ndarray, limits: ResolvedLimits, last: np.ndarray | None) -> np.ndarray:
    """Return actions [batch, m], in the environment's units, held within box and slew.  last: see `in_units`."""
    if not len(limits.low):  # discrete
        return actions
    held = actions.clip(limits.low, limits.high)
    if limits.slew is None or last is None:
        return held
    return np.where(np.isnan(last), held, held.clip(last - limits.slew, last + limits.slew))


def _require_resolved(spec: EnvSpec) -> None:
    """Raise ConfigError for bounds between which float32, the numbers of exported files, is too coarse or ends."""
    for index, (low, high) in enumerate(zip(spec.action_low, spec.action_high, strict=True)):
        with np.errstate(over="ignore", invalid="ignore"):
            gap = float(np.spacing(np.float32(max(abs(low), abs(high)))))
        if not gap <= COARSEST * (high - low):  # also where gap is NaN, beyond the largest float32
            reach = f"whose numbers are {gap:.1g} apart there" if gap == gap else "whose numbers end before them"
            raise ConfigError(
                f"{spec.name}: {spec.actuator(index)} has the bounds [{low}, {high}], and a file's actions are float32, "
                f"{reach}; let the environment take this action in another unit, or from another zero"
            )


def _require_room(spec: EnvSpec, limits: ResolvedLimits) -> None:
    """Raise ConfigError for limits between which float32 has no number."""
    for i in np.flatnonzero(inward(limits.low, 1) > inward(limits.high, -1)).tolist():
        raise ConfigError(
            f"{spec.name}: {spec.actuator(i)} has the limits [{limits.low[i]}, {limits.high[i]}], and a file's actions are "
            "float32, which has no number between them; give this actuator more room"
        )


def facts_of(saved: SavedPolicy, spec: EnvSpec, limits: ResolvedLimits) -> dict[str, Any]:
    """Return what a user of the file has to know.  spec: units of its actions.  limits: in the file."""
    installed = versions()
    slew = None if limits.slew is None else [x if np.isfinite(x) else None for x in limits.slew.tolist()]
    written = saved.written.limits
    return {
        "algorithm": saved.config.name,
        "environment": spec.name,
        "observation_dim": saved.spec.observation_dim,
        "action_dim": spec.action_dim,
        "actions": spec.actions,
        "action_low": list(spec.action_low),
        "action_high": list(spec.action_high),
        "observation_names": list(spec.observation_names),
        "observation_units": list(spec.observation_units),
        "action_names": list(spec.action_names),
        "action_units": list(spec.action_units),
        "limit_low": limits.low.tolist(),
        "limit_high": limits.high.tolist(),
        "slew": slew,
        "veto": None if written is None or written.veto is None else f"not in this file: {written.veto}",
        "run": saved.run.path.name,
        "step": saved.step,
        "ended": how_it_ended(saved.run),
        "versions": {name: installed[name] for name in ("reverie", "jax", "numpy")},
    }


def compared(found: np.ndarray, wanted: np.ndarray, spec: EnvSpec) -> float:
    """Return the largest difference between a file's actions and the policy's, as `Exported.difference` has it.

    found, wanted: [CHECKED, m], in the environment's units.  Raises DivergedError where they differ too much.
    """
    if spec.actions:
        share = float(np.mean(wanted != found))
        _require(share <= TIES, f"{share:.2%} of its actions are others")
        return share
    difference = np.abs(wanted - found) / np.subtract(spec.action_high, spec.action_low)
    worst = float(difference.max())
    _require(worst <= TOLERANCE, f"its actions differ by up to {worst:.2g} of an actuator's range")
    outside = int(np.sum((found < spec.action_low) | (found > spec.action_high)))
    _require(not outside, f"{count(outside, 'action')} are outside the bounds")
    return worst


def _require(fine: bool, otherwise: str) -> None:
    if not fine:
        raise DivergedError(f"the exported policy is not the run's: {otherwise}; nothing was written")
