"""Checks that a run and its environment are the ones that were learnt with.  Errors name the difference."""

import warnings
from collections.abc import Sequence
from typing import Any

import msgspec

from reverie.core.errors import ConfigError, ReverieWarning, StorageError
from reverie.core.words import count
from reverie.storage.config import FORMAT, Config
from reverie.storage.journal_format import Header
from reverie.storage.reading import convert
from reverie.storage.run import RunDirectory
from reverie.storage.spec import NAMES, Observed, Spec

CLOSE = 1e-6  # of a range's width: tolerance for bounds that went through float32


def identity(config: Config) -> dict[str, Any]:
    """Return what decides the result of learning, for a checkpoint's header."""
    spec = config.env_spec
    agent = msgspec.to_builtins(config.agent)
    found = {"agent": agent, "env": config.env, "seed": config.seed} | ({} if spec is None else _bounds(spec))
    return found | _experience(config)


def _experience(config: Config) -> dict[str, Any]:
    """Return what is learnt from besides real steps; {} where there is nothing."""
    return {} if config.experience is None else {"experience": msgspec.to_builtins(config.experience)}


def _bounds(spec: Spec) -> dict[str, list[float]]:
    return {"action_low": spec.action_low, "action_high": spec.action_high}


def config_facts(config: Config) -> dict[str, Any]:
    """Return the content of config.json, for places from which it can be rebuilt (`rebuilt`)."""
    return msgspec.to_builtins(config.changed(moving=0, call=None, signature=None))


def rebuilt(facts: dict[str, Any], header: Header | None) -> Config:
    """Return the config that `config_facts` described.

    header: the journal's; its description of the environment is the valid one.
    Raises ValueError where the facts do not make a config.
    """
    if "format" not in facts:  # written by an older version: its `identity`
        facts = _from_identity(facts, header)
    config = convert(facts, Config)
    if header is None or header.world is None:
        return config
    return config.changed(**{"world" if config.spec is None else "spec": header.world})


def is_complete(facts: dict[str, Any], config: Config | None) -> bool:
    """Return whether facts that `config_facts` returned are complete; config: what is known of the run otherwise."""
    try:
        agent = rebuilt(facts, None).agent
    except ValueError:
        return False
    if config is None:
        return True
    first = config.history[0].agent if config.history else config.agent
    return first.name != agent.name or set(first.flat()) <= set(agent.flat())


def _from_identity(facts: dict[str, Any], header: Header | None) -> dict[str, Any]:
    found = {"format": FORMAT, "tensorboard": False} | {name: facts.get(name) for name in ("agent", "env", "seed")}
    if found["env"] is None and header is not None:
        bounds = {name: facts.get(name, []) for name in ("action_low", "action_high")}
        found["spec"] = bounds | {"observation_dim": header.observation_dim, "actions": header.actions}
    return found


def require_as_begun(run: RunDirectory, config: Config, header: Header | None) -> None:
    """Raise StorageError where config.json was edited since the run, or its last change of settings, began.

    Before the first checkpoint nothing else says what was to be learnt.
    header: of the journal; one from an older version says nothing.
    """
    agents = [msgspec.to_builtins(chapter.agent) for chapter in config.history]
    now = msgspec.to_builtins(config.agent)
    differences = _differences(now, agents[-1]) if agents else []
    if header is not None and header.begun is not None:
        was = header.begun.get("agent")
        differences += [] if was in agents else _differences(now, was)
        for name in ("env", "seed"):
            differences += _differences({name: getattr(config, name)}, {name: header.begun.get(name)})
        if own := _experience(config):
            differences += _differences(own, {"experience": header.begun.get("experience")})
    spec = config.env_spec
    if spec is not None and header is not None and header.world is not None and not config.moving:
        differences += _differences(_bounds(spec), _bounds(header.world))
    if differences:
        raise _edited(run, differences, "the run was begun")


def _edited(run: RunDirectory, differences: Sequence[str], when: str) -> StorageError:
    named = ", ".join(differences[:3]) or "its agent"
    return StorageError(
        f"{run.config_file} was changed since {when}: {named}; undo that, and change settings with --resume --set "
        "(in Python: Learner.load with config=)"
    )


def _differences(here: Any, there: Any) -> list[str]:
    """Return the differences, by name, in words; a whole part that only `there` has is ignored."""
    if isinstance(here, dict) and isinstance(there, dict):  # older versions wrote less
        there = {name: value for name, value in there.items() if name in here or name == "imagination"}
    now, was = _flat(here), _flat(there)
    names = [name for name in sorted({*now, *was} - {""}) if name not in now or now[name] != was.get(name)]
    return [
        f"{name} is {now[name]!r} and was {was.get(name)!r}" if name in now else _missing(name, was) for name in names
    ]


def _missing(name: str, was: dict[str, Any]) -> str:
    return f"{name} is missing and was {was[name]!r}"


def require_same_run(run: RunDirectory, config: Config, facts: dict[str, Any]) -> None:
    """Raise StorageError where a checkpoint with these `facts` was learnt with other settings than config.json says.

    Checkpoints of older versions do not say.
    """
    found = facts.get("identity")
    last = max((i for i, chapter in enumerate(config.history) if chapter.learnt_from == 0), default=0)
    earlier = [config.changed(agent=chapter.agent) for chapter in config.history[last:]]
    if found is None or any(found | identity(own) == found for own in (config, *earlier)):
        return
    raise _edited(run, _differences(identity(config), found), "its checkpoint was learnt")


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return nested dicts as one flat dict, keyed by the innermost names."""
    if not isinstance(value, dict) or not value:
        return {name: value}
    return {key: v for k, part in value.items() for key, v in _flat(part, "agent" if k == "name" else k).items()}


def require_same_env(where: Any, old: Spec | None, new: Spec, allow_new_bounds: bool) -> bool:
    """Return whether action bounds differ from those in `where` (a file); raise ConfigError unless that is allowed.

    old: what `where` describes; None where an older version wrote no description.
    Raises ConfigError with the first difference also where the layout differs.
    """
    if old is None:
        return False
    if other := _other_layout(old, new):
        raise ConfigError(
            f"{new.name} is not the environment of {where}: {other}; give the same environment, or start a new run"
        )
    moved = _moved_bounds(old, new)
    if moved and not allow_new_bounds:
        raise ConfigError(
            f"{new.name} has other action bounds than {where}: {moved[0]}{_more(moved)}; restore the old ones, or continue "
            "with --allow-new-bounds (in Python: allow_new_bounds=True)"
        )
    return bool(moved)


def warn_of_sensors(where: Any, old: Spec | None, new: Spec) -> None:
    """Warn where a sensor's bounds differ from those in `where` (a file), since its unit may have changed.

    Nothing is scaled by these bounds, so what was learnt stays valid as long as the sensor itself is the same.
    """
    if old is None:
        return
    _warn_of_names(where, old, new)
    if len(old.observation_low) != len(new.observation_low):  # older versions wrote none
        return
    before = zip(old.observation_low, old.observation_high, strict=True)
    now = list(zip(new.observation_low, new.observation_high, strict=True))
    odd = [i for i, was in enumerate(before) if was != now[i]]
    if odd:
        i = odd[0]
        was = old.observation_low[i], old.observation_high[i]
        change = f"{new.value().sensor(i)} was in {_range(*was)} and is in {_range(*now[i])}{_more(odd)}"
        warnings.warn(
            f"{new.name} has other observation bounds than {where}: {change}; nothing is scaled by them, so learning "
            "continues: check that units are the same",
            ReverieWarning,
            stacklevel=3,
        )


def _warn_of_names(where: Any, old: Spec, new: Spec) -> None:
    """Warn where sensors or actuators have other names or units than in `where`."""
    for field in NAMES:
        was, now = getattr(old, field), getattr(new, field)
        odd = [i for i, text in enumerate(was) if now and now[i] != text]
        if odd:
            i, what = odd[0], field.partition("_")[0]
            warnings.warn(
                f"{new.name} has other {what} {field.partition('_')[2]} than {where}: {what} {i} was {was[i]!r} and is "
                f"{now[i]!r}{_more(odd)}; learning continues as before: check that it is the same one, in the same unit",
                ReverieWarning,
                stacklevel=4,
            )


def _range(low: float | None, high: float | None) -> str:
    return f"[{'-inf' if low is None else f'{low:.6g}'}, {'inf' if high is None else f'{high:.6g}'}]"


def _more(found: Sequence[object]) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""


def _other_layout(old: Spec, new: Spec) -> str:
    """Return the first difference other than bounds, or ""."""
    if old.actions != new.actions or len(old.action_low) != len(new.action_low):
        return f"it has {_actions(new)} instead of {_actions(old)}"
    if old.actions and old.first_action != new.first_action:
        return f"its first action is {new.first_action} instead of {old.first_action}"
    if old.observations and new.observations:
        for was, now in zip(old.observations, new.observations, strict=False):
            if was != now:
                return f"its observation has {_part(now)} instead of {_part(was)}"
        extra = (new.observations[len(old.observations) :], old.observations[len(new.observations) :])
        for parts, change in zip(extra, ("has {} in addition", "lacks {}"), strict=True):
            if parts:
                return f"its observation {change.format(_part(parts[0]))}"
    for what in ("observation", "action"):
        was, now = getattr(old, f"{what}_names"), getattr(new, f"{what}_names")
        if was != now and sorted(was) == sorted(now):
            i = next(i for i, name in enumerate(was) if name != now[i])
            return f"its {what}s are in another order: {now[i]!r} is where {was[i]!r} was"
    if old.observation_dim != new.observation_dim:
        return f"its observation has {count(new.observation_dim, 'number')} instead of {old.observation_dim}"
    return ""


def _part(part: Observed) -> str:
    return f"{part.name!r} ({part.kind} {part.shape})"


def _actions(spec: Spec) -> str:
    return f"{count(spec.actions, 'discrete action')}" if spec.actions else f"{len(spec.action_low)} actuators"


def _moved_bounds(old: Spec, new: Spec) -> list[str]:
    """Return a sentence with old and new bounds for each actuator whose bounds differ."""
    found = []
    bounds = zip(old.action_low, old.action_high, new.action_low, new.action_high, strict=True)
    for i, (was_low, was_high, low, high) in enumerate(bounds):
        if max(abs(low - was_low), abs(high - was_high)) > CLOSE * abs(was_high - was_low):
            found.append(
                f"{new.value().actuator(i)} was in [{was_low:.6g}, {was_high:.6g}] and is in [{low:.6g}, {high:.6g}]"
            )
    return found
