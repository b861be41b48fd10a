"""`reverie solve`: its work."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from reverie.cli import stopping
from reverie.cli.output import emit, room_for
from reverie.cli.solve import METHODS, PLANNING_STEPS
from reverie.core.errors import ConfigError
from reverie.core.words import count, mean_of_last, number
from reverie.environments.options import options_of
from reverie.environments.toy_text import DiscreteEnvAdapter
from reverie.report import value_map
from reverie.tabular import policy_iteration
from reverie.tabular.bellman import greedy, optimality
from reverie.tabular.dyna_q import dyna_q
from reverie.tabular.mdp import MDP
from reverie.tabular.q_learning import QLearningSettings, Table
from reverie.tabular.termination import check_discount
from reverie.tabular.value_iteration import value_iteration

PLANNERS = {"value-iteration": value_iteration, "policy-iteration": policy_iteration.policy_iteration}
LEARNERS = ("q-learning", "dyna-q")


def solve(options: Any) -> None:
    """Solve a table, or learn it from samples; print and draw values and policy."""
    output = None if options.output is None else Path(options.output)
    with room_for(options, output):
        _run(options, output)


def _run(options: Any, output: Path | None) -> None:
    _refuse_of_others(options)
    if output is not None:
        value_map.refuse_what_cannot_be_drawn(output)
    check_discount(None, options.discount)
    stopping.set_message("nothing is saved by solving")
    env = DiscreteEnvAdapter(options.env, options.seed, **options_of(options.env, dict(options.settings)))
    try:
        mdp = env.table() if env.has_table or options.method in PLANNERS else None
        check_discount(mdp, options.discount)
        facts = {"env": options.env, "method": options.method, "discount": options.discount}
        facts |= {"states": env.states, "actions": env.actions}
        _say(
            options,
            f"{env.name}: {count(env.states, 'state')}, {count(env.actions, 'action')}, "
            f"discount {number(options.discount)}",
        )
        if options.method in LEARNERS:
            facts |= _learn(options, env, mdp)
        else:
            assert mdp is not None
            facts |= _plan(options, mdp)
    finally:
        env.close()
    terminal = np.zeros(env.states, bool) if mdp is None else mdp.terminal
    values, policy, grid = facts["values"], facts["policy"], env.grid()
    if not options.json:
        value_map.show(grid, values, policy, terminal)
    if output is not None:
        title = f"{env.name}, {options.method}, discount {number(options.discount)}"
        value_map.save(grid, values, policy, terminal, output, title)
        _say(options, f"{output}: the picture")
    facts |= {"picture": output and str(output)}
    if options.json:
        emit(options, {name: _plain(fact) for name, fact in facts.items()})


def _refuse_of_others(options: Any) -> None:
    """Raise ConfigError where an option is given that the method does not use."""
    for name in dict.fromkeys(name for method in METHODS.values() for name in method.options):
        if getattr(options, name) is not None and name not in METHODS[options.method].options:
            readers = [other for other, method in METHODS.items() if name in method.options]
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag} is for {' and '.join(readers)}; leave it out with {options.method}")


def _plan(options: Any, mdp: MDP) -> dict[str, Any]:
    """Return the results of solving the table."""
    began = time.perf_counter()
    limit = {} if options.iterations is None else {"iterations": options.iterations}
    found = PLANNERS[options.method](mdp, options.discount, **limit)
    seconds, start = time.perf_counter() - began, _at_start(mdp, found.values)
    _say(options, f"{'iteration':>10}{'change':>12}")
    for row, change in enumerate(found.changes, 1):
        if _shown(row) or row == len(found.changes):
            _say(options, f"{row:10}{change:12.4g}")
    bound = f", values within {found.bound:.2g}" if found.bound < np.inf else ""
    _say(options, f"{found.status.text} ({count(found.iterations, 'iteration')}, {1e3 * seconds:.3g} ms)")
    _say(options, f"Bellman residual {found.residual:.2g}{bound}; value of the start {start:.6g}")
    facts = {"status": found.status.name, "text": found.status.text, "good": found.status.good}
    facts |= {"iterations": found.iterations, "seconds": seconds, "residual": found.residual, "bound": found.bound}
    facts |= {"start_value": start, "values": found.values, "policy": found.policy}
    return facts | {"changes": found.changes}


def _learn(options: Any, env: DiscreteEnvAdapter, mdp: MDP | None) -> dict[str, Any]:
    """Return the results of learning from samples and, if the table is known, their distance from the optimum."""
    given = {name: getattr(options, name) for name in ("episodes", "learning_rate", "decay", "epsilon")}
    given = {name: value for name, value in given.items() if value is not None}
    settings = QLearningSettings(discount=options.discount, **given)
    steps = 0
    if options.method == "dyna-q":
        steps = PLANNING_STEPS if options.planning_steps is None else options.planning_steps
    _say(options, f"{'episode':>10}{'steps':>10}{'return':>10}")

    def watch(episode: int, length: int, total: float, table: Table) -> None:
        del table
        if _shown(episode + 1) or episode + 1 == settings.episodes:
            _say(options, f"{episode + 1:10}{length:10}{total:10.4g}")

    began = time.perf_counter()
    learnt = dyna_q(env, settings, steps, options.seed, watch)
    seconds = time.perf_counter() - began
    values, policy = learnt.action_values.max(1), greedy(learnt.action_values)
    facts: dict[str, Any] = {"status": learnt.status.name, "text": learnt.status.text, "good": learnt.status.good}
    facts |= {"seed": options.seed, "seconds": seconds}
    facts |= {"episodes": settings.episodes, "learning_rate": settings.learning_rate, "decay": settings.decay}
    facts |= {"epsilon": settings.epsilon, "planning_steps": steps, "steps": int(learnt.lengths.sum())}
    facts |= {"values": values, "policy": policy, "lengths": learnt.lengths, "returns": learnt.returns}
    last = max(1, settings.episodes // 10)
    facts |= {"recent_return_mean": float(learnt.returns[-last:].mean())}
    _say(
        options,
        f"{learnt.status.text} ({count(settings.episodes, 'episode')}, {count(facts['steps'], 'step')}, {seconds:.3g} s)",
    )
    _say(options, f"{mean_of_last(last)}: {facts['recent_return_mean']:.4g}")
    if mdp is not None:
        facts |= _compare(options, mdp, values, policy)
    return facts


def _compare(options: Any, mdp: MDP, values: np.ndarray, policy: np.ndarray) -> dict[str, Any]:
    """Return a comparison of learnt values, their greedy policy and the optimum."""
    learnt = _at_start(mdp, np.where(mdp.terminal, 0.0, values))
    gained = _at_start(mdp, policy_iteration.solve(mdp, policy, options.discount))
    best = _at_start(mdp, value_iteration(mdp, options.discount).values)
    residual = float(np.abs(optimality(mdp, values, options.discount) - values).max())
    worth = f"{gained:.6g}" if np.isfinite(gained) else "none, since it may never end an episode"
    _say(
        options,
        f"value of the start: learnt {learnt:.6g}, of the greedy policy {worth}, at best {best:.6g}; "
        f"Bellman residual {residual:.2g}",
    )
    facts = {"start_value": learnt, "policy_start_value": gained, "optimal_start_value": best}
    return facts | {"residual": residual}


def _at_start(mdp: MDP, values: np.ndarray) -> float:
    """Return the mean value of the start states."""
    begun = mdp.starts > 0
    return float(mdp.starts[begun] @ values[begun])


def _shown(row: int) -> bool:
    """Return whether a row is printed: 1, 2, 5, 10, 20, 50, …"""
    return str(row).rstrip("0") in ("1", "2", "5")


def _plain(fact: Any) -> Any:
    """Return arrays as lists, and None for numbers that JSON does not have."""
    if isinstance(fact, np.ndarray):
        return [_plain(part) for part in fact.tolist()]
    return None if isinstance(fact, float) and not np.isfinite(fact) else fact


def _say(options: Any, text: str) -> None:
    """Print for people, not with --json."""
    if not options.json:
        print(text, flush=True)
