"""`reverie plan`: its work."""

import importlib.util
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reverie.cli import stopping
from reverie.cli.output import emit, note, room_for
from reverie.cli.plan import EPISODES, HORIZON, ITERATIONS
from reverie.core.checked_settings import coerce
from reverie.core.errors import ConfigError
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.words import count
from reverie.environments.env_factory import make_env
from reverie.report.film import SKETCHED, record, refuse_what_cannot_be_written
from reverie.report.progress import Countdown
from reverie.training.evaluation import play, summary

if TYPE_CHECKING:
    from reverie.planning.policies import EpisodeStart, PlanPolicy

SECONDS = 20.0  # of film
COLUMNS = ("steps", "iteration", "cost", "fall", "expected", "regularisation", "alpha")
HEADS = ("steps", "iteration", "cost", "fall", "expected", "λ", "α")


def plan(options: Any) -> None:
    """Plan, act on the plan in the real environment, and film it."""
    fits = options.method == "pilqr" or options.model == "fitted"
    if fits and options.method == "mpc":
        raise ConfigError("--model fitted goes with --method ilqg; mpc plans with the exact physics")
    if fits and options.model == "exact":
        raise ConfigError("--method pilqr plans with models fitted to real episodes; leave out --model exact")
    if options.settings and options.method != "pilqr":
        raise ConfigError(f"--set goes with --method pilqr; {options.method} has --horizon and --iterations")
    output = _film_file(options)
    stopping.set_message("a plan is not saved")
    with room_for(options, output):
        _run(options, output, fits)


def _run(options: Any, output: Path | None, fits: bool) -> None:
    env = make_env(options.env)
    if not env.has_physics:
        raise ConfigError(f"{options.env} is not a MuJoCo environment; planning needs its physics")
    env.close()
    if fits:
        flights = [_fitted(options, output)]
    else:
        fly = {"ilqg": _ilqg, "mpc": _mpc}[options.method]
        flights = [fly(options, episode, None if episode else output) for episode in range(options.episodes or 1)]
    returns = summary([flight["return"] for flight in flights])
    facts = {"env": options.env, "method": options.method, "model": "fitted" if fits else "exact"}
    facts |= {
        "seed": options.seed,
        "film": None,
        "sketch": False,
        **flights[0],
        "return": returns["mean"],
        "returns": returns["returns"],
    }
    facts |= {"more": flights[1:]}
    lines = [f"{facts['film']}: the first episode"] if facts["film"] else []
    mean = f"return {returns['mean']:.4g}" + (f", mean of {count(len(flights), 'episode')}" if len(flights) > 1 else "")
    emit(options, facts, *lines, mean)


def _ilqg(options: Any, episode: int, output: Path | None) -> dict[str, Any]:
    """Plan a whole episode, follow the plan, and return the results."""
    from reverie.planning.policies import EpisodeStart, FeedbackPolicy, plan_episode

    start = EpisodeStart(options.env, options.seed, episode, options.horizon)
    _say(
        options,
        f"{options.env}, episode {episode} of seed {options.seed}: {count(start.steps, 'step')}, exact dynamics",
    )
    _say(options, _line(HEADS))
    table: list[dict[str, Any]] = []

    def watch(steps: int, row: dict[str, float]) -> None:
        raise_if_interrupted()
        before = table[-1]["iteration"] if table and table[-1]["steps"] == steps else 0
        known = {name: value if math.isfinite(value) else None for name, value in row.items()}
        table.append({"steps": steps, "iteration": before + 1, **known})
        _say(options, _line([table[-1][column] for column in COLUMNS]))

    began = time.perf_counter()
    plan = plan_episode(start, options.iterations or ITERATIONS["ilqg"], options.seed, watch)
    seconds = time.perf_counter() - began
    predicted = start.planning.predict_return(plan.states, plan.actions)
    flight = {"status": plan.status.name, "text": plan.status.text, "good": plan.status.good}
    flight |= {"iterations": len(table), "seconds": seconds, "cost": plan.cost, "predicted": predicted}
    flight |= _fly(FeedbackPolicy(start, plan), options.seed, episode, output)
    _say(options, f"{plan.status.text} ({count(len(table), 'iteration')}, {seconds:.1f} s)")
    _say(options, f"return planned {predicted:.4g}, in the environment {flight['return']:.4g}")
    return {**flight, "actions": plan.actions.tolist(), "table": table}


def _mpc(options: Any, episode: int, output: Path | None) -> dict[str, Any]:
    """Plan again at each step of an episode, and return the results."""
    from reverie.control import mpc
    from reverie.planning.policies import BOUNDED_OPTIONS, EpisodeStart, MPCPolicy

    start = EpisodeStart(options.env, options.seed, episode)
    horizon = min(options.horizon or HORIZON, start.steps)
    settings = mpc.MPCOptions(
        horizon=horizon, iterations=options.iterations or ITERATIONS["mpc"], options=BOUNDED_OPTIONS
    )
    _say(
        options,
        f"{options.env}, episode {episode} of seed {options.seed}: {count(start.steps, 'step')}, {horizon} planned ahead",
    )
    countdown = Countdown(f"mpc {options.env}", start.steps)
    pilot = MPCPolicy(start, settings, options.seed, countdown.show)
    try:
        flight = _fly(pilot, options.seed, episode, output)
    finally:
        countdown.stop()
    statuses = {status.name: number for status, number in pilot.statuses.most_common()}
    flight |= {"steps": len(pilot.seconds), "seconds": sum(pilot.seconds), "statuses": statuses}
    flight |= {"step_seconds_median": float(np.median(pilot.seconds)), "step_seconds_most": max(pilot.seconds)}
    _say(
        options,
        f"{len(pilot.seconds)} plans in {flight['seconds']:.1f} s, median {flight['step_seconds_median']:.3g} s each",
    )
    for status, number in pilot.statuses.most_common():
        _say(options, f"{number:5} {'time' if number == 1 else 'times'} {status.text}")
    return flight


def _fitted(options: Any, output: Path | None) -> dict[str, Any]:
    """Improve a controller on models fitted to real episodes, follow its mean, and return the results."""
    from reverie.planning.fitted import ControllerPolicy
    from reverie.planning.policies import EpisodeStart

    start, episodes = (
        EpisodeStart(options.env, options.seed, steps=options.horizon),
        options.episodes or EPISODES[options.method],
    )
    rounds = options.iterations or ITERATIONS["pilqr" if options.method == "pilqr" else "fitted"]
    progress, settings = _progress(options, start, rounds, episodes)
    _say(
        options,
        f"{options.env}, seed {options.seed}: {count(start.steps, 'step')}, "
        f"{count(episodes, 'real episode')} to each of {count(rounds, 'fit')}",
    )
    _say(options, _line(("iteration", "episodes", "return", "predicted", "KL", "η", "residual", "status")))
    table: list[dict[str, Any]] = []
    controller, status = None, None
    began = time.perf_counter()
    for done in progress:
        raise_if_interrupted()
        controller, status = done.controller, done.update.status
        row = {
            "iteration": len(table) + 1,
            "episodes": (len(table) + 1) * episodes,
            "return": float(np.mean(done.returns)),
        }
        row |= {
            "predicted": done.update.predicted,
            "kl": done.update.kl,
            "eta": done.update.eta,
            "residual": done.update.share,
        }
        table.append({**row, "fit": done.fit.name, "status": status.name})
        _say(options, _line([*row.values(), status.name]))
    assert status is not None
    flight = {"status": status.name, "text": status.text, "good": status.good, "iterations": len(table)}
    flight |= {"real_episodes": rounds * episodes, "seconds": time.perf_counter() - began, "table": table} | settings
    _say(options, f"last: {status.text} ({count(flight['real_episodes'], 'real episode')}, {flight['seconds']:.1f} s)")
    if controller is None:
        raise ConfigError(f"{options.env}: no fit gave a controller: {status.text}")
    return flight | _fly(ControllerPolicy(start, controller), options.seed, 0, output)


def _progress(options: Any, start: "EpisodeStart", rounds: int, episodes: int) -> tuple[Any, dict[str, Any]]:
    """Return the iterator of rounds, and the settings that determine them."""
    from reverie.planning.fitted import improve

    if options.method != "pilqr":
        return improve(start, rounds, episodes, options.seed), {}
    from reverie.control.pilqr_step import PILQR
    from reverie.planning.pilqr import Pilqr

    settings = PILQR(**{name: coerce(PILQR, name, text) for name, text in options.settings})
    progress = improve(start, rounds, episodes, options.seed, lambda task, m: Pilqr(task, m, settings))
    return progress, {"settings": vars(settings)}


def _fly(pilot: "PlanPolicy", seed: int, episode: int, output: Path | None) -> dict[str, Any]:
    if output is None:
        return {"return": play(pilot.greedy, pilot.make(), seed, episode).total}
    played, sketched, _ = record(pilot.greedy, pilot.make, output, seed, SECONDS)
    if sketched:
        note(SKETCHED)
    return {"return": played.total, "film": str(output), "sketch": sketched}


def _film_file(options: Any) -> Path | None:
    """Return the film's path, or None where none was asked for and none can be made."""
    if options.output is not None:
        output = Path(options.output)
        refuse_what_cannot_be_written(output)
        return output
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        note("no film, which needs packages: pip install 'reverie[video]'")
        return None
    return Path(f"{options.env.replace(':', '-').replace('/', '-')}-{options.method}.mp4".lower())


def _say(options: Any, text: str) -> None:
    """Print progress for people, not with --json."""
    if not options.json:
        print(text, flush=True)


def _line(cells: Any) -> str:
    words = [f"{cell:.4g}" if isinstance(cell, float) else "-" if cell is None else str(cell) for cell in cells]
    return "  ".join(word.rjust(9) for word in words)
