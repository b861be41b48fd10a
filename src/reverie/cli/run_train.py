"""`reverie train`: its work."""

import contextlib
import functools
import shlex
from pathlib import Path
from typing import Any

import reverie as rv
from reverie.cli import stopping
from reverie.cli.agents import agent_of, agent_to_go_on_with, differences
from reverie.cli.auto_agent import AUTO, STEPS, chosen, require_budget, say, steps_of
from reverie.cli.output import emit, note
from reverie.cli.train import usual_evaluate_every
from reverie.core.agent import Algorithm
from reverie.core.errors import ConfigError, ReverieError, with_advice
from reverie.core.words import count, mean_of_last, number, whole_number
from reverie.report.progress import Progress
from reverie.storage.config import Call, Config
from reverie.storage.journal_format import records_in
from reverie.storage.limits_json import read_file
from reverie.storage.reading import exists
from reverie.storage.run import RunDirectory, unused
from reverie.training import trust
from reverie.training.callbacks import usual_callbacks
from reverie.training.collector_turns import require_backend, require_mixing, require_no_clock
from reverie.training.resume_commands import resume_line
from reverie.training.resuming import ResumeOptions, facts_of, header_of
from reverie.training.run_identity import require_as_begun
from reverie.training.train_command import resume_words


def train(options: Any) -> None:
    """Train as the options say."""
    _refuse_without_resume(options)
    agent = functools.partial(_choose, options) if options.agent == AUTO else agent_of(options)[0]
    if options.collectors is not None:  # so that no run is begun that cannot learn
        require_backend(options.backend or "local")
        imagines, rollout = options.imagine not in (None, "off"), getattr(agent, "rollout", 0)
        require_mixing(options.agent, imagines, bool(rollout))
        require_no_clock(options.period is not None, getattr(agent, "update_after", None) == "background")
    limits = None if options.limits is None else read_file(Path(options.limits))
    clock = None if options.period is None else rv.Clock(options.period)
    out = Path(options.out) if options.out else _new_directory(options)
    directory = RunDirectory(out)
    if options.resume and directory.holds_run:
        held = directory.read_config()
        require_as_begun(directory, held, header_of(directory))
        _refuse_other(directory, options, held)
        call = _call(directory, held, options)
        line = _resume_line(options, call.steps, out)
        stopping.set_message(lambda how_far: _while_taken_up(directory, held, options, line))
        if not differences(options, held.agent):  # then the run's other settings stay: its noise may be somebody's
            trust.require(directory, held, options.trust, veto=limits is None, named=_named(options))
        agent = agent_to_go_on_with(options, held.agent)
        consent = options.relearn, options.allow_new_bounds, options.trust
        more: dict[str, Any] = {"limits": limits, "clock": clock, "hang_after": options.hang_after}
        allowed = ResumeOptions(*consent, agent, call=call, **more)
        # Not `load`: the options of a command are more than its arguments.
        learner = rv.Learner._load(out, options.env, None, allowed)  # pyright: ignore[reportPrivateUsage]
        if learner.cut_bytes:
            cut = count(learner.cut_bytes, "byte")
            note(f"cut {cut} of an incomplete record from the end of {directory.journal_file}; they are kept beside it")
    else:
        require_budget(options)
        if options.resume:
            _begin_there(directory, options)
        amount = steps_of(options)
        line = _resume_line(options, amount, out)
        nothing = f"reverie: interrupted; {stopping.NOTHING}"
        stopping.set_message(lambda how_far: _saved(0, how_far, line) if directory.holds_run else nothing)
        more: dict[str, Any] = {"limits": limits, "clock": clock, "hang_after": options.hang_after}
        more |= {"seed": options.seed or 0, "out": out, "tensorboard": options.tensorboard}
        more |= {"experience": _log(options), "pretrain_updates": options.pretrain_updates}
        more |= {} if options.experience_share is None else {"experience_share": options.experience_share}
        learner = rv.Learner(agent, options.env, **more)
        directory.write_call(Call(learner.steps, amount))
    _tell_discount(learner)
    with learner:
        call = directory.read_call() or Call(learner.steps, 0)
        goal = call.start + call.steps
        stopping.set_message(lambda how_far: _saved(learner.steps, how_far, line))
        try:
            steps, callbacks = max(0, goal - learner.steps), _callbacks(options, goal)
            learner.learn(steps, callbacks=callbacks, collectors=options.collectors, backend=options.backend or "local")
        except rv.WorldError as error:
            raise rv.WorldError(
                with_advice(error, "everything before is saved: correct it and continue with --resume")
            ) from error
        directory.end_call()
        if options.resume and goal <= call.start:
            note("no more steps were asked for: --steps M learns M more")
        _report(options, learner)


def _choose(options: Any, spec: rv.EnvSpec) -> Algorithm:
    """Return the settings of the agent that `auto` stands for in an environment."""
    options = chosen(options, spec)
    agent, _ = agent_of(options)
    say(options, options.settings)
    return agent


def _tell_discount(learner: rv.Learner) -> None:
    """Say which discount "auto" is in this environment."""
    if getattr(getattr(learner.config, "agent", learner.config), "discount", None) != "auto":
        return
    limit = learner.spec.max_episode_steps
    why = "nothing limits an episode" if limit is None else f"an episode has at most {count(limit, 'step')}"
    note(f"the discount is {number(learner.trainer.agent.requirements.discount or 0.0)}: {why}")


def _named(options: Any) -> set[str]:
    """Return what the command itself names, to be imported."""
    return {options.agent, options.env, options.imagine, *(value for _, value in options.settings)}


def _refuse_without_resume(options: Any) -> None:
    """Raise ConfigError where an option has no effect without another one, rather than ignore it."""
    for flag in _about_a_run(options):
        if not options.resume:
            raise ConfigError(f"{flag} needs --resume")
    if options.jobs is not None:
        raise ConfigError("--jobs needs --seeds N")
    if options.backend is not None and options.collectors is None:
        raise ConfigError("--backend needs --collectors N or --seeds N")
    if options.experience is None:
        for flag in ("experience_share", "pretrain_updates", "columns", "reward"):
            if getattr(options, flag) is not None:
                raise ConfigError(f"--{flag.replace('_', '-')} needs --from, the logged transitions to learn from")
    if options.resume and options.out is None:
        raise ConfigError("--resume needs --out: the directory of the run to continue")


def _about_a_run(options: Any) -> list[str]:
    """Return the given options that need --resume, as typed."""
    given = {"--relearn": options.relearn, "--allow-new-bounds": options.allow_new_bounds, "--trust": options.trust}
    return [flag for flag, is_given in given.items() if is_given]


def _begin_there(directory: RunDirectory, options: Any) -> None:
    """Report that --resume found no run and begins one.  Raises ConfigError without --steps, which confirms that."""
    if options.steps is None or options.relearn or options.allow_new_bounds:
        raise ConfigError(
            f"{directory.path} holds no run to continue; give the directory that training wrote, or --steps N to start one"
        )
    note(f"{directory.path} holds no run yet: one of {count(options.steps, 'step')} starts there")


def _saved(steps: int, how_far: str, line: str) -> str:
    return f"interrupted at step {steps}{how_far and ', ' + how_far}; everything is saved. To continue:\n{line}"


def _while_taken_up(directory: RunDirectory, held: Config, options: Any, line: str) -> str:
    """Return the message for an interrupt while a run is being resumed, with the command that continues.

    held: config.json before.  If it has changed since, the user's allowed is stored and the command need not repeat it.
    """
    changed = True
    with contextlib.suppress(ReverieError):
        changed = directory.read_config() != held
    if changed:
        return f"interrupted while the journal was learnt again; everything is saved. To continue:\n{line}"
    line = " ".join([line, *_about_a_run(options)])
    return f"interrupted while the run was resumed; it is unchanged. To continue:\n{line}"


def _call(directory: RunDirectory, held: Config, options: Any) -> Call:
    """Return the step from which to learn, and how many steps.

    A call that was cut short is finished; after a finished call --steps are added.  The number is 0 where a finished
    run only gets other settings, or only learns what its journal holds.
    Raises ConfigError where a run is finished and the command does not say how many more steps to learn.
    """
    before = held.call or directory.read_call()
    stands = records_in(directory.journal_file) if exists(directory.journal_file) else 0
    start = stands if before is None else before.start
    steps = options.steps
    if options.budget is not None:
        left = options.budget - start
        if left < (steps or 0):
            raise ConfigError(
                f"{directory.path} stands at step {stands}, which leaves {max(0, options.budget - stands)} of "
                f"--budget {options.budget}; raise the budget, or lower --steps"
            )
        if steps is None and left:  # none is left: as without a budget
            steps = left
    if steps is not None:
        return Call(start, steps)
    if before is not None:
        return before
    if not stands:
        return Call(0, _asked(held.command))
    changes = options.settings or options.relearn or options.allow_new_bounds or held.is_changing
    facts = None if changes else facts_of(directory)
    if facts is not None and facts["steps"] >= stands:
        raise ConfigError(f"{directory.path} is finished at step {stands}; give --steps M to learn M more")
    return Call(start, 0)


def _asked(command: str) -> int:
    """Return the steps asked for by the command that began a run, which was killed before it wrote them down."""
    words = shlex.split(command)
    for flag in ("--steps", "--budget"):
        for word, value in zip(words, [*words[1:], ""], strict=True):
            text = value if word == flag else word.removeprefix(f"{flag}=")
            if word.startswith(flag):
                with contextlib.suppress(ValueError):
                    return whole_number(text.replace("_", ""))  # earlier versions accepted 20_000
    return STEPS


def _callbacks(options: Any, goal: int) -> list[Any]:
    every = options.evaluate_every
    if every is None:
        every = usual_evaluate_every(options.env, goal)
    callbacks = usual_callbacks(every, options.evaluate_episodes, options.stop_at)
    return callbacks if options.quiet else [*callbacks, Progress()]


def _refuse_other(directory: RunDirectory, options: Any, held: Config) -> None:
    """Raise ConfigError if the run there is not the one that the command line describes."""
    if held.env is None:
        raise ConfigError(
            f"{directory.path} is a run of a program of yours (ask and tell); continue it there: "
            f"{resume_line(held, directory.path)}"
        )
    there: dict[str, tuple[Any, Any]] = {"env": (held.env, options.env)}
    there["seed"] = (held.seed, held.seed if options.seed is None else options.seed)
    other = {name: pair for name, pair in there.items() if pair[0] != pair[1]}
    _refuse_other_log(directory, options, held)
    remedy = "resume with the same, or choose another --out"
    if not other and not (options.relearn and options.agent != AUTO):
        other = differences(options, held.agent)
        keeps = "; auto keeps the agent of a run, so name it there" if options.agent == AUTO else ""
        remedy += f", or learn the journal again with --relearn{keeps}"
    for name, (found, asked) in other.items():
        raise ConfigError(
            f"{directory.path} holds a run with {name} {found!r}, but the command has {asked!r}; {remedy}"
        )


def _refuse_other_log(directory: RunDirectory, options: Any, held: Config) -> None:
    """Raise ConfigError if --from and what belongs to it are not those of the run."""
    if options.experience is None:
        return
    own = held.experience
    there: dict[str, tuple[Any, Any]] = {"from": (None if own is None else own.source, options.experience)}
    if own is not None:
        there |= {
            "experience-share": (own.share, options.experience_share),
            "pretrain-updates": (own.pretrain_updates, options.pretrain_updates),
            "reward": (own.reward, options.reward),
        }
    for name, (found, asked) in there.items():
        if asked is not None and found != asked:
            was = f"--{name} {found}" if found is not None else f"no --{name}"
            raise ConfigError(
                f"{directory.path} holds a run with {was}, but the command has --{name} {asked}; the run keeps its logged "
                "transitions: leave out --from, or choose another --out"
            )


def _log(options: Any) -> rv.Log | None:
    """Return the log that the command names, or None."""
    if options.experience is None:
        return None
    return rv.Log(options.experience, options.columns, options.reward)


def _new_directory(options: Any) -> Path:
    stem = f"{options.env.replace(':', '-').replace('/', '-')}-{options.agent}-{options.seed or 0}".lower()
    return unused(Path("runs") / stem)


def _resume_line(options: Any, amount: int, out: Path) -> str:
    return shlex.join(resume_words(vars(options) | {"steps": amount}, options.settings, out))


def _report(options: Any, learner: rv.Learner) -> None:
    recent = list(learner.recent_returns)[-10:]
    mean = sum(recent) / len(recent) if recent else None
    facts: dict[str, Any] = {
        "run": str(learner.out),
        "steps": learner.steps,
        "episodes": learner.episodes,
        "recent_return_mean": mean,
        "best_evaluation": learner.best_return,
        "evaluation_episodes_cut": learner.evaluation_cut,
    }
    ticks = learner.missed_ticks
    if ticks is not None:
        facts["missed_ticks"] = ticks
    lines = [f"{count(learner.steps, 'step')}, {count(learner.episodes, 'episode')}: {learner.out}"]
    if mean is not None:
        lines.append(f"{mean_of_last(len(recent))}, exploring: {mean:.4g}")
    if learner.best_return is not None:
        lines.append(f"best evaluation: {learner.best_return:.4g}")
    if ticks is not None:
        missed = f"{count(ticks['ours'], 'tick')} missed by learning, {ticks['machine']} by the machine"
        lines.append(missed + f"; updates of {count(ticks['owed'], 'step')} are owed")
    emit(options, facts, *lines)
