"""The verbs and their arguments.  Imports nothing heavy: `reverie --help` must answer at once."""

import argparse
import importlib
from collections.abc import Callable
from typing import Any, NoReturn

import reverie
from reverie.cli import arguments
from reverie.core.errors import one_line
from reverie.core.interrupts import look

VERBS = ("list", "train", "evaluate", "video", "check", "plan", "solve", "reproduce", "report", "recover", "bench")


class UsageError(Exception):
    """Arguments that do not parse; one line."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line that says where help is, and raise."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")

    def parse_known_args(self, *arguments: Any, **named: Any) -> Any:
        """Return (options, []).  Words that a verb does not know are its own error, so that its own help is named."""
        found, left = super().parse_known_args(*arguments, **named)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return found, left


class _Newest(argparse.Action):
    """Gather name=value pairs; of a name that is given twice the last value counts, as with every other option."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Add a pair in the place of the one before."""
        before = [pair for pair in getattr(namespace, self.dest) if pair[0] != values[0]]
        setattr(namespace, self.dest, [*before, values])


def _later(module: str) -> Callable[[argparse.Namespace], int | None]:
    """Return a function that imports reverie.cli.`module` only when called, and runs it."""

    def run(options: argparse.Namespace) -> int | None:
        verb = importlib.import_module(f"reverie.cli.{module}")
        look()
        return verb.run(options)

    return run


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = _Parser(
        prog="reverie",
        description="Sample-efficient continuous control: Q-learning with normalized advantage functions.",
        epilog="example: reverie train naf Pendulum-v1 --steps 3000 --set reward_scale=0.1",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"reverie {reverie.__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks (works anywhere on the line)")
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)

    def add(name: str, module: str, text: str, example: str) -> Any:
        verb = verbs.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ("" if text[-1] in "?!." else "."),
            epilog=f"example: {example}",
            allow_abbrev=False,
        )
        verb.set_defaults(run=_later(module))
        verb.add_argument("--json", action="store_true", help="print one JSON object on stdout and nothing else")
        return verb

    add("list", "listing", "algorithms, domains, mazes, dynamics models and experiments", "reverie list --json")

    train = add(
        "train",
        "train",
        "learn, and write a run directory",
        "reverie train naf InvertedDoublePendulum-v5 --steps 15000 --set reward_scale=0.1 --out runs/idp",
    )
    train.add_argument("agent", metavar="AGENT", help="naf, ddpg, sac, ppo or dqn, or package.module:Class")
    train.add_argument(
        "env", metavar="ENV", help="a domain (`reverie list`), a Gymnasium id, or package.module:callable"
    )
    train.add_argument("--steps", type=arguments.whole, metavar="N", help="steps to learn for (20000)")
    train.add_argument("--seed", type=arguments.seed, default=None, metavar="S", help="decides every random draw (0)")
    train.add_argument("--out", type=arguments.folder, metavar="DIR", help="the run directory (one under runs/)")
    _add_settings(train, "a setting of the agent, of imagination or of its model")
    train.add_argument(
        "--imagine",
        choices=("off", "linear", "neural", "exact", "recent"),
        default="off",
        metavar="MODEL",
        help="learn from imagined rollouts too: linear, neural, exact; recent: no model, the last real episodes again (off)",
    )
    train.add_argument(
        "--plan",
        choices=("off", "ilqg", "mpc"),
        default="off",
        metavar="ilqg|mpc",
        help="let a planner drive a share of the episodes: ilqg on the fitted model, mpc on exact physics (off)",
    )
    train.add_argument(
        "--resume",
        action="store_true",
        help="go on in DIR: finish a call that was cut short, or learn N steps more; with --set, with other settings",
    )
    for flag, text in (
        ("--relearn", "with --resume: learn the journal again from its start, as the command says"),
        ("--allow-new-bounds", "with --resume: take the journal over into other action bounds"),
        ("--trust", "with --resume: import what the run names besides AGENT and ENV"),
    ):
        train.add_argument(flag, action="store_true", help=text)
    train.add_argument(
        "--evaluate-every",
        type=arguments.whole,
        metavar="N",
        help="steps between evaluations; 0: none (a twentieth of the steps; none for package.module:callable)",
    )
    train.add_argument(
        "--evaluate-episodes",
        type=arguments.up_to(10**6, least=1),
        default=5,
        metavar="N",
        help="greedy episodes each (5)",
    )
    train.add_argument(
        "--stop-at", type=arguments.number, metavar="RETURN", help="stop once 10 episodes' mean return reaches it"
    )
    train.add_argument("--tensorboard", action="store_true", help="write the numbers for TensorBoard too")
    train.add_argument("--quiet", action="store_true", help="no progress bar")

    def add_run(verb: Any) -> None:
        verb.add_argument("run_directory", type=arguments.path, metavar="RUN", help="the directory that training wrote")
        verb.add_argument("--best", action="store_true", help="the best evaluated policy instead of the latest")
        verb.add_argument("--env", metavar="ENV", help="the environment, where the run has none of its own")
        verb.add_argument(
            "--allow-new-bounds",
            action="store_true",
            help="act in a world whose action bounds are other than learnt in",
        )
        verb.add_argument("--trust", action="store_true", help="import what the run names, wherever it came from")
        verb.add_argument("--seed", type=arguments.seed, default=0, metavar="S", help="decides how episodes start (0)")

    evaluate = add("evaluate", "evaluate", "how good is the greedy policy?", "reverie evaluate runs/idp --episodes 20")
    add_run(evaluate)
    evaluate.add_argument(
        "--episodes", type=arguments.up_to(10**8, least=1), default=10, metavar="N", help="whole episodes (10)"
    )

    video = add("video", "video", "the greedy policy on film", "reverie video runs/idp -o idp.mp4")
    add_run(video)
    video.add_argument(
        "-o", "--output", type=arguments.file, metavar="FILE", help="FILE.mp4 or FILE.gif (film.mp4 in RUN)"
    )
    video.add_argument(
        "--seconds", type=arguments.seconds, default=20.0, metavar="S", help="cut the film after so long (20)"
    )

    check = add("check", "check", "is this environment fit to learn on?", "reverie check my_robot:make_env")
    check.add_argument(
        "env", metavar="ENV", help="a domain (`reverie list`), a Gymnasium id, or package.module:callable"
    )
    check.add_argument(
        "--steps", type=arguments.up_to(10**7, least=1), default=1000, metavar="N", help="random steps to try (1000)"
    )

    plan = add(
        "plan", "plan", "trajectory optimisation on its own", "reverie plan cartpole --method ilqg -o swing-up.mp4"
    )
    plan.add_argument(
        "env",
        metavar="ENV",
        help="a domain (`reverie list`), or a MuJoCo environment: an id, or package.module:callable",
    )
    plan.add_argument(
        "--method",
        choices=("ilqg", "mpc", "pilqr"),
        required=True,
        help="one plan for a whole episode; a new one at each step; or LQR on fitted models and path integrals on the rest",
    )
    plan.add_argument(
        "--model",
        choices=("exact", "fitted"),
        help="the environment's own physics, or linear models fitted to real episodes (exact; pilqr: fitted)",
    )
    _add_settings(plan, "a setting of pilqr, such as stages=pi2 (docs/pilqr.md)")
    plan.add_argument(
        "--seed", type=arguments.seed, default=0, metavar="S", help="decides starts and first controls (0)"
    )
    plan.add_argument(
        "--horizon",
        type=arguments.up_to(10**5, least=1),
        metavar="H",
        help="steps planned (ilqg: the whole episode; mpc: 50 ahead)",
    )
    plan.add_argument(
        "--iterations",
        type=arguments.positive,
        metavar="N",
        help="at most, to a plan (ilqg: 100; mpc: 3); fits (fitted: 10; pilqr: 20)",
    )
    plan.add_argument(
        "--episodes",
        type=arguments.up_to(10**4, least=1),
        metavar="N",
        help="starts, one by one (1); real episodes to a fit (fitted: 5; pilqr: 20)",
    )
    plan.add_argument(
        "-o", "--output", type=arguments.file, metavar="FILE", help="FILE.mp4 or FILE.gif (ENV-METHOD.mp4)"
    )

    _add_solve(add)
    _add_reproduce(add)

    recover = add(
        "recover", "recover", "save what is whole of a damaged run", "reverie recover runs/idp -o runs/idp-recovered"
    )
    recover.add_argument(
        "run_directory", type=arguments.path, metavar="RUN", help="the damaged directory; nothing in it is changed"
    )
    recover.add_argument("-o", "--output", type=arguments.path, metavar="DIR", help="a new directory (RUN-recovered)")

    bench = add("bench", "bench", "speed, as ratios measured side by side", "reverie bench update --against sb3,sbx")
    bench.add_argument(
        "what",
        nargs="?",
        choices=("update", "step", "act", "fit", "plan", "imagine", "solve"),
        metavar="update|step|act|fit|plan|imagine|solve",
        help="all if left out",
    )
    bench.add_argument(
        "--against",
        default="",
        metavar="sb3,sbx",
        help="peers to measure beside (pip install 'reverie[bench]'); of plan: crocoddyl, mim, diffilqrax; of solve: "
        "mdptoolbox",
    )
    bench.add_argument(
        "--domains", metavar="all|reacher,peg", help="time steps of our domains instead, against bare physics"
    )
    bench.add_argument(
        "--rounds",
        type=arguments.up_to(10**6, least=1),
        default=15,
        metavar="N",
        help="interleaved rounds; medians count (15)",
    )
    return parser


def _add_settings(verb: argparse.ArgumentParser, text: str) -> None:
    verb.add_argument(
        "--set", type=arguments.pair, action=_Newest, default=[], metavar="NAME=VALUE", dest="settings", help=text
    )


def _add_solve(add: Callable[..., Any]) -> None:
    solve = add(
        "solve",
        "solve",
        "solve a discrete environment, or learn it from samples",
        "reverie solve FrozenLake-v1 --method value-iteration",
    )
    solve.add_argument(
        "env",
        metavar="ENV",
        help="FrozenLake-v1, Taxi-v4, CliffWalking-v1, dyna-maze, or whatever else has Discrete spaces",
    )
    solve.add_argument(
        "--method",
        choices=("value-iteration", "policy-iteration", "q-learning", "dyna-q"),
        required=True,
        help="the first two need a table of transitions, the others learn from samples",
    )
    solve.add_argument("--discount", type=arguments.number, default=0.99, metavar="G", help="γ, from 0 to 1 (0.99)")
    solve.add_argument(
        "--iterations", type=arguments.positive, metavar="N", help="at most (100000; policy-iteration: 1000)"
    )
    solve.add_argument("--episodes", type=arguments.up_to(10**8, least=1), metavar="N", help="to learn from (500)")
    solve.add_argument("--learning-rate", type=arguments.number, metavar="A", help="α (0.1)")
    solve.add_argument(
        "--decay", type=arguments.number, metavar="D", help="α = A / N(s, a)^D after N updates (0: constant)"
    )
    solve.add_argument("--epsilon", type=arguments.number, metavar="E", help="share of actions drawn at random (0.1)")
    solve.add_argument(
        "--planning-steps", type=arguments.up_to(10**6), metavar="N", help="of dyna-q, after each real step (5)"
    )
    solve.add_argument("--seed", type=arguments.seed, default=0, metavar="S", help="decides every random draw (0)")
    _add_settings(solve, "an option of the environment, such as map_name=8x8")
    solve.add_argument("-o", "--output", type=arguments.file, metavar="FILE.png", help="draw values and policy")


def _add_reproduce(add: Callable[..., Any]) -> None:
    reproduce = add(
        "reproduce",
        "reproduce",
        "the paper's tables and figures again",
        "reverie reproduce table1 --domains reacher,peg --seeds 3 --out results/mine",
    )
    reproduce.add_argument(
        "experiment",
        choices=("table1", "table2", "fig2", "fig3", "fig4", "fig5", "all"),
        metavar="table1|table2|fig2|fig3|fig4|fig5|all",
        help="which; all of them fill one report",
    )
    reproduce.add_argument(
        "--domains", type=arguments.names, default=[], metavar="reacher,peg", help="these alone (all)"
    )
    reproduce.add_argument("--variants", type=arguments.names, default=[], metavar="naf,ddpg", help="these alone (all)")
    reproduce.add_argument(
        "--seeds", type=arguments.up_to(10_000, least=1), default=5, metavar="N", help="seeds 0 to N - 1 (5)"
    )
    reproduce.add_argument(
        "--episodes", type=arguments.up_to(10**8, least=1), metavar="N", help="real ones to a cell (as the paper)"
    )
    reproduce.add_argument("--search", action="store_true", help="run the paper's 18 configurations of each agent too")
    reproduce.add_argument("--backend", default="local", metavar="local|ray", help="where cells run (local)")
    reproduce.add_argument(
        "--jobs", type=arguments.up_to(10_000, least=1), metavar="N", help="local: so many at a time (one per core)"
    )
    reproduce.add_argument(
        "--out", type=arguments.path, default="reproduction", metavar="DIR", help="the folder of results (reproduction)"
    )
    reproduce.add_argument("--dry-run", action="store_true", help="say what would run, and for how long")
    reproduce.add_argument("--quiet", action="store_true", help="no progress")

    report = add(
        "report",
        "report",
        "one page about results of `reproduce`, or about runs",
        "reverie report studies/data/paper -o report.html",
    )
    report.add_argument(
        "directories", type=arguments.path, nargs="+", metavar="DIR", help="folders of `reproduce`, or run directories"
    )
    report.add_argument(
        "-o", "--output", type=arguments.file, default="report.html", metavar="FILE.html", help="the page (report.html)"
    )
