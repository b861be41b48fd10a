"""The table of verbs.  Imports nothing heavy: `reverie --help` must answer at once."""

import argparse
import difflib
import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import reverie
from reverie.cli.completion import SHELLS, PrintCompletion
from reverie.core.errors import one_line
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.other_names import called_here, setting_meant

ALIKE = 0.75  # an option to one that does not exist, from 0 to 1: so that it is proposed


class Verb(NamedTuple):
    """A line of the table: reverie.cli.`module` has `add_arguments(parser)` and `run(options)`."""

    module: str
    text: str  # one line for people
    example: str


VERBS = {  # a new verb is a file in this folder and its line here
    "list": Verb(
        "listing",
        "list algorithms, environments, models, planners and studies, with their settings",
        "reverie list naf",
    ),
    "train": Verb(
        "train",
        "learn on an environment, and write a run directory",
        "reverie train naf InvertedDoublePendulum-v5 --steps 15000 --set reward_scale=0.1 --out runs/idp",
    ),
    "sweep": Verb(
        "sweep",
        "compare settings over several seeds",
        "reverie sweep naf Pendulum-v1 --set learning_rate=1e-4,1e-3 --set hidden=64x64,200x200 --seeds 5 --out runs/rates",
    ),
    "evaluate": Verb("evaluate", "score the greedy policy", "reverie evaluate runs/idp --episodes 20"),
    "video": Verb("video", "film the greedy policy", "reverie video runs/idp -o idp.mp4"),
    "export": Verb(
        "export", "write the policy, or the experience, for other programs", "reverie export runs/idp -o idp.onnx"
    ),
    "check": Verb(
        "check", "test whether an environment, or a log, is fit to learn from", "reverie check my_robot:make_env"
    ),
    "plan": Verb(
        "plan", "optimise trajectories, without learning", "reverie plan cartpole --method ilqg -o swing-up.mp4"
    ),
    "solve": Verb(
        "solve",
        "solve a discrete environment, or learn it from samples",
        "reverie solve FrozenLake-v1 --method value-iteration",
    ),
    "reproduce": Verb(
        "reproduce",
        "run the paper's experiments: its tables and figures",
        "reverie reproduce table1 --domains reacher,peg --seeds 3 --out results/mine",
    ),
    "report": Verb(
        "report",
        "write one page about results of `reproduce`, or about runs",
        "reverie report studies/data/paper -o report.html",
    ),
    "watch": Verb("watch", "show the page of a run that is learning, and keep it current", "reverie watch runs/idp"),
    "recover": Verb(
        "recover", "save the intact part of a damaged run", "reverie recover runs/idp -o runs/idp-recovered"
    ),
    "bench": Verb("bench", "measure speed, as ratios taken side by side", "reverie bench update --against sb3,sbx"),
}


class UsageError(Exception):
    """Arguments that do not parse; one line."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line that says where help is, and raise."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message} (see `{self.prog} --help`)")

    def parse_known_args(self, *arguments: Any, **named: Any) -> Any:
        """Return (options, []).  Words that a verb does not know are its own error, so that its own help is named."""
        found, left = super().parse_known_args(*arguments, **named)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}{self._meant(left)}")
        return found, left

    def _meant(self, words: Sequence[str]) -> str:
        """Return what is meant by an option that is unknown, where that can be said."""
        flags = {flag[2:] for action in self._actions for flag in action.option_strings if flag.startswith("--")}
        for word in words:
            name = word[2:].partition("=")[0]
            if not word.startswith("--") or not name:
                continue
            ours = called_here(name, [flag.replace("-", "_") for flag in flags])
            if ours is not None:
                return f"; did you mean --{ours.replace('_', '-')}?"
            if "set" in flags and (setting := setting_meant(name)):
                return f"; a setting is given as --set {setting}=VALUE"
            if close := difflib.get_close_matches(name, flags, n=1, cutoff=ALIKE):
                return f"; did you mean --{close[0]}?"
        return ""


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all verbs; of the verb `only` alone where that is all that will be parsed, which saves imports."""
    parser = Parser(
        prog="reverie",
        description="Sample-efficient continuous control: Q-learning with normalized advantage functions.",
        epilog="example: reverie train naf Pendulum-v1 --steps 3000 --set reward_scale=0.1",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"reverie {reverie.__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks (works anywhere on the line)")
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=SHELLS,
        metavar="|".join(SHELLS),
        help='print what a shell completes this command by: eval "$(reverie --print-completion bash)"',
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=Parser)
    for name, verb in VERBS.items():
        parser_of_verb = _add(verbs, name, verb)
        if only in (None, name):
            module = importlib.import_module(f"reverie.cli.{verb.module}")
            parser_of_verb.set_defaults(run=module.run)
            module.add_arguments(parser_of_verb)
            raise_if_interrupted()
    return parser


def _add(verbs: Any, name: str, verb: Verb) -> Parser:
    """Add a parser of one verb; return it."""
    ending = "" if verb.text[-1] in "?!." else "."
    parser = verbs.add_parser(
        name,
        help=verb.text,
        description=verb.text[0].upper() + verb.text[1:] + ending,
        epilog=f"example: {verb.example}",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout and nothing else")
    return parser
