"""`python -m studies list | run NAME | plot NAME | tables NAME | verdict NAME`."""

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from reverie.core.errors import ConfigError, ReverieError, one_line, unknown
from reverie.core.interrupts import EXIT_STATUS
from reverie.storage.files import io_errors
from studies.catalogue import find, table
from studies.doc_tables import rewritten
from studies.runner import environment, fill
from studies.store import DATA, Store
from studies.study import DOCS, ROOT, Cell, Row, Study
from studies.worker import WRONG

VERBS = {
    "list": "all studies: question, command, minutes, where they are quoted",
    "run": "compute the cells that the data lack",
    "plot": "draw a study's pictures in docs/ again, from its data",
    "tables": "write a study's tables in the docs again, from its data",
    "verdict": "say what came out, from the data",
}


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (see `{self.prog} --help`)")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = _Parser(prog="python -m studies", description="The studies behind the figures of the docs.")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    made = {
        verb: verbs.add_parser(verb, help=text, description=f"Print or do: {text}.") for verb, text in VERBS.items()
    }
    for verb in ("run", "plot", "verdict"):
        made[verb].add_argument("name", metavar="NAME", help="of a study (`python -m studies list`)")
        made[verb].add_argument(
            "--data", type=Path, default=DATA, metavar="DIR", help="folder of the data (studies/data)"
        )
    made["tables"].add_argument("name", metavar="NAME", help="of a study")
    run = made["run"]
    run.epilog = "example: python -m studies run imagine domain=reacher_single variant=plain,recent --seeds 2"
    run.add_argument("cells", nargs="*", metavar="COLUMN=VALUE", help="these cells alone, for instance seed=0,1")
    run.add_argument("--seeds", type=_whole, metavar="N", help="the first so many seeds alone")
    run.add_argument("--jobs", type=_whole, default=1, metavar="N", help="cells at a time (1)")
    run.add_argument("--python", default=sys.executable, metavar="PATH", help="the interpreter of the cells (this one)")
    plot = made["plot"]
    plot.epilog = "example: python -m studies plot tour ilqg"
    plot.add_argument("pictures", nargs="*", metavar="PICTURE", help="these alone, for instance ilqg")
    plot.add_argument("--out", type=Path, default=DOCS, metavar="DIR", help="where pictures go (docs)")
    return parser


def parsed(words: list[str]) -> argparse.Namespace:
    """Return the options.  Names may also follow an option (`run NAME --jobs 2 seed=0`); argparse alone refuses that."""
    parser = build_parser()
    options, rest = parser.parse_known_args(words)
    names = {"run": "cells", "plot": "pictures"}.get(options.verb)
    if not rest:
        return options
    if names is None or any(word.startswith("-") for word in rest):
        return parser.parse_args(words)  # which says what is wrong
    setattr(options, names, [*getattr(options, names), *rest])
    return options


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def list_studies(options: argparse.Namespace) -> None:
    """Print the table."""
    del options
    print(table())


def run(options: argparse.Namespace) -> None:
    """Fill the data of a study, and print what came."""
    study = find(options.name)
    if not study.columns and (options.cells or options.seeds):
        raise ConfigError(f"{study.name} has no cells to choose from: leave out {' '.join(options.cells) or '--seeds'}")
    if study.measure is not None:
        print(json.dumps(study.measure(), indent=2))
    elif study.commands:
        for command in study.commands:
            _reverie(*shlex.split(command), "--out", str(options.data / study.name))
    elif study.columns:
        cells = study.chosen(options.cells, options.seeds)
        fill(study, Store(study, options.data), cells, options.jobs, _tell, options.python)
        verdict(options)
    else:
        raise ConfigError(f"{study.name} has pictures alone: python -m studies plot {study.name}")


def _tell(cell: Cell, row: Row) -> None:
    print(*cell, *(f"{column} {value}" for column, value in row.items()), flush=True)


def _reverie(*words: str) -> None:
    status = subprocess.run([sys.executable, "-m", "reverie", *words], env=environment(), check=False).returncode
    if status:
        raise ConfigError(f"`reverie {shlex.join(words)}` ended with status {status}")


def plot(options: argparse.Namespace) -> None:
    """Draw the pictures of a study.  The paper also has a page, that of `reverie report`."""
    study = find(options.name)
    if study.commands and not options.pictures:
        _reverie("report", str(options.data / study.name), "-o", "report.html")
    known = {Path(name).stem: name for name in study.pictures}
    if not known:
        raise ConfigError(f"{study.name} has no pictures; its figures: python -m studies verdict {study.name}")
    for name in options.pictures:
        if name not in known:
            raise unknown(f"picture of {study.name}", name, known)
    rows = Store(study, options.data).rows()
    for name in options.pictures or known:
        path = options.out / known[name]
        with io_errors("write", path, "choose another --out"):
            path.parent.mkdir(parents=True, exist_ok=True)
            study.pictures[known[name]](rows, path)
        print(path, flush=True)


def tables(options: argparse.Namespace) -> None:
    """Write the tables of a study in the docs again."""
    study = find(options.name)
    if not study.tables:
        raise ConfigError(
            f"{study.name} has no tables in the docs; its figures: python -m studies verdict {study.name}"
        )
    for name in study.quoted:
        path = ROOT / name
        before = path.read_text()
        after = rewritten(before, study)
        if after != before:
            with io_errors("write", path, "make it writable"):
                path.write_text(after)
            print(_short(path), flush=True)


def verdict(options: argparse.Namespace) -> None:
    """Print what a study asked, and what came out."""
    study = find(options.name)
    store = Store(study, options.data)
    rows = store.rows()
    if study.columns and not rows:
        raise ConfigError(f"{study.name} has no data in {store.folder} yet: python -m studies run {study.name}")
    print(f"{study.name}: {study.question}\nScored: {study.scored}.")
    if study.columns:
        done = len(study.cells) - len(store.missing(study.cells))
        print(f"Data: {_short(store.folder)}, {done} of {len(study.cells)} cells; seeds: {_seeds(study)}.\n")
    if study.verdict is None:
        verb = "run" if study.measure else "plot"
        print(f"It keeps no data.  python -m studies {verb} {study.name}")
        return
    for line in study.verdict(rows):
        print(line)


def _short(path: Path) -> Path:
    """Return a path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _seeds(study: Study) -> str:
    if isinstance(study.seeds, int):
        return str(study.seeds)
    return ", ".join(f"{name} {number}" for name, number in study.seeds.items())


RUN: dict[str, Any] = {"list": list_studies, "run": run, "plot": plot, "tables": tables, "verdict": verdict}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status: 0 done, 2 wrong input (one line on stderr), 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and not words[0].startswith("-") and words[0] not in VERBS:
            raise unknown("verb", words[0], VERBS)
        options = parsed(words)
        RUN[options.verb](options)
    except ReverieError as error:
        print(f"studies: {one_line(str(error))}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        print("interrupted: finished cells are kept; the same command continues", file=sys.stderr)
        return EXIT_STATUS
    except BrokenPipeError:  # the reader has seen enough (`… list | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
