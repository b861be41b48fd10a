"""`reverie train`."""

import shlex
from pathlib import Path
from typing import Any

import reverie as rv
from reverie.cli import stopping
from reverie.cli.agents import agent_of, agent_to_go_on_with, differences
from reverie.cli.output import emit, note
from reverie.core.errors import ConfigError
from reverie.core.words import count
from reverie.report.progress import Progress
from reverie.storage.config import Agent, Call, Config
from reverie.storage.journal import records_in
from reverie.storage.reading import exists
from reverie.storage.run import RunDirectory, unused

STEPS = 20_000  # where --steps is left out


def run(options: Any) -> int | None:
    """Learn as the options say."""
    agent, _ = agent_of(options)
    out = Path(options.out) if options.out else _new_directory(options)
    directory = RunDirectory(out)
    if options.resume and options.out is None:
        raise ConfigError("--resume needs --out: the directory of the run to go on with")
    if options.resume and directory.holds_run:
        held = directory.read_config()
        _refuse_other(directory, options, held)
        _refuse_finished(directory, options)
        line = _resume_line(options, _amount(options, directory.read_call()), out)
        stopping.say(lambda how_far: f"interrupted while the run was taken up; it is as it was. To go on:\n{line}")
        learner = _taken_up(directory, options, held.agent)
        if learner.cut_bytes:
            cut = count(learner.cut_bytes, "byte")
            note(f"cut {cut} of a torn record from the end of {directory.journal_file}; kept beside it")
    else:
        line = _resume_line(options, _amount(options, None), out)
        nothing = f"reverie: interrupted; {stopping.NOTHING}"
        stopping.say(lambda how_far: _saved(0, how_far, line) if directory.holds_run else nothing)
        learner = rv.Learner(agent, options.env, seed=options.seed or 0, out=out, tensorboard=options.tensorboard)
    with learner:
        start, amount = _call(directory, learner.steps, options)
        goal, line = start + amount, _resume_line(options, amount, out)
        stopping.say(lambda how_far: _saved(learner.steps, how_far, line))
        try:
            learner.learn(max(0, goal - learner.steps), callbacks=_callbacks(options, goal))
        except rv.WorldError as error:
            raise rv.WorldError(f"{error}; what came before is saved: mend it and go on with --resume") from error
        directory.end_call()
        _report(options, learner)
    return None


def _saved(steps: int, how_far: str, line: str) -> str:
    return f"interrupted at step {steps}{how_far and ', ' + how_far}; all of it is saved. To go on:\n{line}"


def _call(directory: RunDirectory, steps: int, options: Any) -> tuple[int, int]:
    """Return from which step to learn how many.  A call cut short is finished; after a finished one --steps are added."""
    before = directory.read_call() if options.resume else None
    start = steps if before is None else before.start
    amount = _amount(options, before)
    directory.write_call(Call(start, amount))
    return start, amount


def _amount(options: Any, before: Call | None) -> int:
    """Return the steps of a call: those asked for, else those of the call before, which was cut short.

    Where a finished run is but to have other settings, none.
    """
    if options.steps is not None:
        return options.steps
    if before is not None:
        return before.steps
    return 0 if options.resume and _changes(options) else STEPS


def _changes(options: Any) -> bool:
    """Return whether a run is to go on otherwise than it was."""
    return bool(options.settings or options.relearn or options.allow_new_bounds)


def _refuse_finished(directory: RunDirectory, options: Any) -> None:
    """Raise ConfigError where a run did all that it was asked, and the command does not say how much more."""
    if options.steps is not None or _changes(options) or directory.read_call() is not None:
        return
    if steps := records_in(directory.journal_file) if exists(directory.journal_file) else 0:
        raise ConfigError(f"{directory.path} is finished at step {steps}; give --steps M to learn M more")


def _taken_up(directory: RunDirectory, options: Any, held: Agent) -> rv.Learner:
    """Return the run's learner, with the settings that the command changes.  Agent and environment were named by the user."""
    agent = agent_to_go_on_with(options, held)
    return rv.Learner.load(
        directory.path,
        options.env,
        config=agent,
        relearn=options.relearn,
        trust=options.trust,
        allow_new_bounds=options.allow_new_bounds,
    )


def _callbacks(options: Any, goal: int) -> list[Any]:
    every = options.evaluate_every
    if every is None:  # episodes of somebody's own world may cost money: they are spent only when asked for
        own = ":" in options.env
        every = 0 if own else max(1000, goal // 20)
    callbacks: list[Any] = []
    if every:
        callbacks += [rv.Evaluate(every, options.evaluate_episodes), rv.SaveBest()]
    if options.stop_at is not None:
        callbacks.append(rv.StopAtReturn(options.stop_at))
    if not options.quiet:
        callbacks.append(Progress())
    return callbacks


def _refuse_other(directory: RunDirectory, options: Any, held: Config) -> None:
    """Raise ConfigError if the run there is not the one that the command line describes."""
    there: dict[str, tuple[Any, Any]] = {"env": (held.env, options.env)}
    there["seed"] = (held.seed, held.seed if options.seed is None else options.seed)
    other = {name: pair for name, pair in there.items() if pair[0] != pair[1]}
    remedy = "resume with the same, or choose another --out"
    if not other and not options.relearn:
        other = differences(options, held.agent)
        remedy += ", or learn the journal again with --relearn"
    for name, (found, asked) in other.items():
        raise ConfigError(f"{directory.path} holds a run with {name} {found!r}, the command says {asked!r}; {remedy}")


def _new_directory(options: Any) -> Path:
    stem = f"{options.env.replace(':', '-').replace('/', '-')}-{options.agent}-{options.seed or 0}".lower()
    return unused(Path("runs") / stem)


def _resume_line(options: Any, amount: int, out: Path) -> str:
    words = ["reverie", "train", options.agent, options.env, "--steps", str(amount)]
    for name, value in options.settings:
        words += ["--set", f"{name}={value}"]
    for name in ("imagine", "plan"):
        if (value := getattr(options, name)) != "off":
            words += ["--" + name, value]
    for name in ("seed", "evaluate_every", "evaluate_episodes", "stop_at"):
        if (value := getattr(options, name)) is not None:
            words += ["--" + name.replace("_", "-"), str(value)]
    return shlex.join([*words, "--out", str(out), "--resume"])


def _report(options: Any, learner: rv.Learner) -> None:
    recent = list(learner.recent_returns)[-10:]
    mean = sum(recent) / len(recent) if recent else None
    facts = {
        "run": str(learner.out),
        "steps": learner.steps,
        "episodes": learner.episodes,
        "recent_return_mean": mean,
        "best_evaluation": learner.best_return,
        "evaluation_episodes_cut": learner.evaluation_cut,
    }
    lines = [f"{count(learner.steps, 'step')}, {count(learner.episodes, 'episode')}: {learner.out}"]
    if mean is not None:
        lines.append(f"mean return of the last {count(len(recent), 'episode')}, exploring: {mean:.4g}")
    if learner.best_return is not None:
        lines.append(f"best evaluation: {learner.best_return:.4g}")
    emit(options, facts, *lines)
