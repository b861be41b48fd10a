"""`reverie train`."""

import shlex
from pathlib import Path
from typing import Any

import reverie as rv
from reverie.cli import stopping
from reverie.cli.agents import agent_of
from reverie.cli.output import emit, note
from reverie.core.errors import ConfigError
from reverie.core.words import count
from reverie.report.progress import Progress
from reverie.storage.config import Call
from reverie.storage.run import RunDirectory, unused

STEPS = 20_000  # where --steps is left out


def run(options: Any) -> int | None:
    """Learn as the options say."""
    agent, settings = agent_of(options)
    out = Path(options.out) if options.out else _new_directory(options)
    directory = RunDirectory(out)
    if options.resume and options.out is None:
        raise ConfigError("--resume needs --out: the directory of the run to go on with")
    if options.resume and directory.holds_run:
        _refuse_other(directory, options, settings)
        line = _resume_line(options, _amount(options, directory.read_call()), out)
        stopping.say(lambda how_far: f"interrupted while the run was taken up; it is as it was. To go on:\n{line}")
        learner = rv.Learner.load(out, trust=True)  # agent and environment were named by the user
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
    """Return the steps of a call: those asked for, else those of the call before, which was cut short."""
    if options.steps is not None:
        return options.steps
    return STEPS if before is None else before.steps


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


def _refuse_other(directory: RunDirectory, options: Any, settings: dict[str, Any]) -> None:
    """Raise ConfigError if the run there is not the one that the command line describes."""
    written = directory.read_config()
    held = written.agent.flat()
    there = {"agent": written.agent.name, "env": written.env, "seed": written.seed}
    there["imagine"], there["plan"] = held.get("model", "off"), held.get("plan", "off")
    asked = {
        "agent": options.agent,
        "imagine": options.imagine,
        "plan": options.plan,
        "env": options.env,
        "seed": written.seed if options.seed is None else options.seed,
    }
    for name, value in settings.items():
        found = held.get(name)
        there[name], asked[name] = tuple(found) if isinstance(found, list) else found, value
    for name in there:
        if there[name] != asked[name]:
            raise ConfigError(
                f"{directory.path} holds a run with {name} {there[name]!r}, the command says {asked[name]!r}; "
                "resume with the same, or choose another --out"
            )


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
