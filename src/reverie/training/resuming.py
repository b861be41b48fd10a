"""Continuing a run: unchanged, with other settings, or learning from the start of its journal again.

config.json alone decides which it is.  It is replaced as a whole, so a crash leaves either the old settings or the new
ones.  While files still have to be set aside, `moving` in it says so.
"""

import contextlib
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax

from reverie.core.agent import Algorithm
from reverie.core.errors import ConfigError, ReverieWarning, StorageError
from reverie.core.machine_limits import Limits
from reverie.core.words import count
from reverie.storage import checkpoint, conversion, events, limits_json
from reverie.storage.config import Agent, Call, Chapter, Config, is_own
from reverie.storage.episodes import are_mixed
from reverie.storage.files import io_errors, make_folder, sync_folder
from reverie.storage.journal_format import Header, read, read_header, records_in
from reverie.storage.reading import exists
from reverie.storage.run import RunDirectory
from reverie.storage.spec import Spec
from reverie.storage.tables import read_rows
from reverie.training import agent_config, provenance, trust
from reverie.training.clock import Clock
from reverie.training.resume_commands import resume_line
from reverie.training.run_identity import require_as_begun, require_same_env, require_same_run, warn_of_sensors
from reverie.training.trainer import Trainer

# If one of these changes, what was learnt has another meaning, though its arrays may have the same shapes.
MEANING = {
    "discount",
    "reward_scale",
    "observation_normalisation",
    "normalisation",
    "trunk",
    "mean_bound",
    "value_bound",
    "value_limit",
}
MEANING |= {"temperature", "std"}  # they determine the first state
MEANING |= {"fictional_capacity", "plan", "model"}  # settings of imagination
ON_POLICY = {"rollout", "worlds"}


class ResumeOptions(NamedTuple):
    """What the user allows beyond continuing unchanged."""

    relearn: bool = False
    new_bounds: bool = False
    trust: bool = False
    config: Algorithm | None = None  # other settings
    go_back: bool = False  # to the last checkpoint, instead of learning again what the journal holds beyond it
    limits: Limits | None = None  # other limits of the machine
    clock: Clock | None = None  # another pace of the machine
    hang_after: float | None = None  # seconds that a call of the environment may take
    call: Call | None = None  # the steps that this command is to learn, so that --resume finishes them after a kill


def header_of(run: RunDirectory) -> Header | None:
    """Return a journal's header, or None where there is no journal yet."""
    return read_header(run.journal_file) if exists(run.journal_file) else None


def prepare_run(
    run: RunDirectory, held: Config, algorithm: Algorithm, trainer: Trainer, allowed: ResumeOptions
) -> Config:
    """Prepare an open run directory for continuing with these settings; return its new config.

    held: config.json as it was read before.  algorithm: the settings from now on.  trainer: built from them.
    Raises ConfigError or StorageError, with nothing changed, where that is impossible or needs the user's consent.
    """
    if run.read_config() != held:
        raise StorageError(f"{run.config_file} was changed by another process just now; run the command again")
    sign = _may_sign(held, allowed)
    if held.is_changing:
        held = _finish_change(run, held, sign)
    elif exists(_next(run)):  # left by a change that a crash prevented
        _next(run).unlink()
    header, spec = header_of(run), Spec.of(trainer.agent.spec)
    require_as_begun(run, held, header)
    facts = facts_of(run)
    if facts is not None:
        require_same_run(run, held, facts)
    moved = require_same_env(run.config_file, held.env_spec, spec, allowed.new_bounds)
    warn_of_sensors(run.config_file, held.env_spec, spec)
    if header is not None and not moved:
        require_same_env(run.journal_file, header.world, spec, False)
    before, history = held, held.history or [_first_chapter(held)]
    held = _on_other_machine(held, allowed)
    new = agent_config.written(algorithm)
    names = changed(held.agent, new)
    if names or moved or allowed.relearn:
        if trainer.source is not None and header is not None:
            _refuse_mixed(run)
        learnt = 0 if facts is None else facts["steps"]
        return _begin_chapter(run, held, history, new, trainer, allowed, names, moved, learnt)
    if held != before:
        if steps := 0 if header is None else records_in(run.journal_file):
            evaluations = history[-1].evaluations
            chapter = Chapter(steps, steps, held.agent, held.env_spec, held.limits, evaluations, held.clock)
            held = held.changed(history=[*history, chapter])
        run.write_config(held, sign=bool(trust.foreign_code(held)) and sign)
    elif allowed.trust and trust.foreign_code(held) and not is_own(held):
        run.write_config(held, sign=True)
    if allowed.call is not None:
        run.write_call(allowed.call)
    return held


def _may_sign(held: Config, allowed: ResumeOptions) -> bool:
    """Return whether all code that the run names is the user's own, or trusted; code that is added now is theirs."""
    return allowed.trust or is_own(held) or not trust.foreign_code(held)


def _on_other_machine(held: Config, allowed: ResumeOptions) -> Config:
    """Return the config with the limits and the clock that are asked for."""
    limits = held.limits if allowed.limits is None else limits_json.written(allowed.limits)
    clock = held.clock if allowed.clock is None else allowed.clock.written()
    return held.changed(limits=limits, clock=clock)


def _first_chapter(held: Config) -> Chapter:
    return Chapter(0, 0, held.agent, held.env_spec, held.limits, clock=held.clock)


def facts_of(run: RunDirectory) -> dict[str, Any] | None:
    """Return the facts of the latest readable checkpoint, or None.  Damage is reported elsewhere."""
    for file in (run.latest_file, run.previous_file):
        if exists(file):
            with contextlib.suppress(StorageError):
                return checkpoint.read(file)[1]
    return None


def changed(held: Agent, new: Agent) -> dict[str, Any]:
    """Return the new values of the settings that differ, by name."""
    was, now = _flat(held), _flat(new)
    return {name: now.get(name) for name in sorted({*was, *now}) if was.get(name) != now.get(name)}


def _flat(agent: Agent) -> dict[str, Any]:
    found = {"agent": agent.name, "model": None, **agent.flat()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _begin_chapter(
    run: RunDirectory,
    held: Config,
    history: list[Chapter],
    new: Agent,
    trainer: Trainer,
    allowed: ResumeOptions,
    names: dict[str, Any],
    moved: bool,
    learnt: int,
) -> Config:
    """Begin a chapter with other settings or bounds; return the new config.  history: the chapters before."""
    steps = records_in(run.journal_file) if exists(run.journal_file) else 0
    reason = "action bounds" if moved else _reason(held, new, trainer, names, run, allowed.trust)
    if reason and not allowed.relearn and not moved:
        steps_asked = None if allowed.call is None else allowed.call.steps or None
        line = resume_line(held.changed(agent=new), run.path, names, relearn=True, steps=steps_asked)
        raise ConfigError(
            f"{run.path}: a change of {reason} requires learning again from the start of the journal "
            f"({count(steps, 'step')}); to do so (in Python: relearn=True): {line}"
        )
    again = allowed.relearn or moved
    if again:
        _refuse_what_cannot_learn_again(run, trainer)
    spec = Spec.of(trainer.agent.spec)
    evaluations = history[-1].evaluations
    if again:
        evaluations = 0 if moved else len(read_rows(run.evaluations_file))
    config, call = held.changed(agent=new), allowed.call
    if moved:
        aborted = events.aborted_in(run.events_file)
        kept, out = conversion.convert(run.journal_file, _next(run), held.env_spec or spec, spec, aborted)
        taken = f"{count(kept, 'step')} converted to the new action bounds"
        text = f"{run.path}: {taken}; {out} left out, since their actions lie outside them"
        warnings.warn(text, ReverieWarning, stacklevel=2)
        config = config.changed(**({"world": spec} if held.spec is None else {"spec": spec}))
        call = _from_end(call or run.read_call(), steps, kept)
    chapter = Chapter(steps, 0 if again else learnt, new, config.env_spec, held.limits, evaluations, held.clock)
    config = config.changed(history=[*history, chapter], moving=len(history) if again else 0, call=call)
    sign = bool(trust.foreign_code(config)) and _may_sign(held, allowed)
    run.write_config(config, sign)
    return _finish_change(run, config, sign) if config.is_changing else config


def _from_end(call: Call | None, steps: int, kept: int) -> Call | None:
    """Return a call with the same number of steps left, where only `kept` of the `steps` steps remain."""
    if call is None:
        return None
    start = kept - (steps - call.start)
    return Call(max(0, start), call.steps + min(0, start))


def _reason(held: Config, new: Agent, trainer: Trainer, names: dict[str, Any], run: RunDirectory, trusted: bool) -> str:
    """Return the name of the setting whose change makes what was learnt useless, or "".

    Raises StorageError if telling it would import code that the user neither named nor trusts.
    """
    if "agent" in names:
        return "agent"
    for name in names:
        if name in MEANING or name in ON_POLICY or name.startswith("model."):
            return name
    trust.require(run, held, trusted, env=False, named={name for _, name in new.code})
    old = provenance.algorithm_of(held, run).build(trainer.agent.spec)
    was, now = _shapes(old), _shapes(trainer.agent)
    same = jax.tree.structure(was) == jax.tree.structure(now)
    leaves = zip(jax.tree.leaves(was), jax.tree.leaves(now), strict=False)
    if same and all((a.shape, a.dtype) == (b.shape, b.dtype) for a, b in leaves):
        return ""
    return next(iter(names), "settings")


def _shapes(agent: Any) -> Any:
    """Return shapes and dtypes of everything that an agent learns and remembers."""
    key = jax.random.key(0)
    state = jax.eval_shape(agent.init, key)
    return state, jax.eval_shape(agent.begin, state, key)


def _refuse_what_cannot_learn_again(run: RunDirectory, trainer: Trainer) -> None:
    if trainer.agent.requirements.rollout:
        raise ConfigError(
            f"{run.path}: an on-policy agent can learn only from steps of its own policy; learn the journal again "
            "with naf, ddpg, sac, xqc or dqn, or start another run"
        )
    header = header_of(run)
    if header is not None and trainer.state_dim and not header.state_dim:
        raise ConfigError(
            f"{run.path}: its journal has no physical states, which imagination needs in this environment; learn it again "
            "without --imagine, or start another run"
        )
    _refuse_turns(run)


def _refuse_turns(run: RunDirectory) -> None:
    """Raise ConfigError where several environments took turns, since learning again uses a single one."""
    env_count = run.read_config().agent.settings.get("worlds", 1)
    if env_count != 1:
        raise ConfigError(
            f"{run.path} was learnt with {env_count} environments in turns; it cannot be learnt again with one"
        )


def _refuse_mixed(run: RunDirectory) -> None:
    """Raise ConfigError where episodes of several collectors mix, since imagination learns from whole ones in order."""
    if are_mixed(read(run.journal_file)[1]):
        raise ConfigError(
            f"{run.path} was learnt with several collectors, whose episodes mix; imagination needs whole episodes in "
            "order: start another run"
        )


def _next(run: RunDirectory) -> Path:
    return run.journal_file.with_name("journal.next")


def _finish_change(run: RunDirectory, config: Config, sign: bool) -> Config:
    """Do what config.json says is still to be done; return the config afterwards.  Can be repeated after a crash."""
    if config.moving:
        _set_aside(run, config.moving)
    if config.call is not None:
        run.write_call(config.call)
    config = config.changed(moving=0, call=None)
    run.write_config(config, sign)
    return config


def _set_aside(run: RunDirectory, number: int) -> None:
    """Move aside what earlier settings learnt, and put the journal in other bounds in place."""
    with io_errors("set aside files of", run.path):
        folder = run.set_aside(number)
        make_folder(folder)
        files = [file for file in run.latest_file.parent.iterdir() if file.is_file()]
        for file in [*files, run.metrics_file]:
            if exists(file):
                os.replace(file, folder / file.name)
        if exists(_next(run)):
            tables = run.evaluations_file, run.events_file  # with steps and episodes of the old journal
            for file in (run.journal_file, *tables):
                if exists(file) and not exists(folder / file.name):
                    os.link(file, folder / file.name)
            for file in tables:
                file.unlink(missing_ok=True)
            os.replace(_next(run), run.journal_file)
        for touched in (folder, run.latest_file.parent, run.path, run.journal_file.parent):
            sync_folder(touched)


def best_and_last_evaluation(config: Config, evaluations: list[dict[str, Any]]) -> tuple[float | None, int]:
    """Return (best mean return, step of the last evaluation) of the policy that the present settings learnt."""
    own = evaluations[config.history[-1].evaluations if config.history else 0 :]
    return (max(row["return_mean"] for row in own), own[-1]["step"]) if own else (None, 0)
