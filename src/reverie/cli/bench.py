"""`reverie bench`: arguments and output."""

import argparse
import warnings
from typing import Any

from reverie.bench import BENCHMARKS
from reverie.cli import argument_types as types
from reverie.cli import stopping
from reverie.cli.output import emit
from reverie.core.errors import ConfigError
from reverie.core.interrupts import raise_if_interrupted


def run(options: Any) -> None:
    """Print a table per benchmark: medians, and each entry's time relative to ours."""
    from reverie.bench.benchmark_cases import check_peers, peers_of
    from reverie.bench.physics_benchmark import chosen, domains
    from reverie.training.provenance import machine, versions

    raise_if_interrupted()
    peers = [name for name in options.against.split(",") if name]
    check_peers(peers, options.what)
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # raised by peers
    facts: dict[str, Any] = {
        "machine": machine(),
        "versions": versions(),
        "rounds": options.rounds,
    }
    lines = [f"{facts['machine']}, {options.rounds} interleaved rounds; a ratio is the median of each round's own"]
    if options.domains and options.what not in (None, "step"):
        raise ConfigError(f"--domains times steps; leave {options.what} out, or write step")
    benchmarks = BENCHMARKS
    if options.domains:
        names = chosen(options.domains)
        benchmarks = {"step": lambda peers, rounds: domains(names, rounds)}
    stopping.set_message("a bench saves nothing")
    for name in [options.what] if options.what else benchmarks:
        facts[name] = benchmarks[name]([peer for peer in peers if peer in peers_of(name)], options.rounds)
        for part, rows in facts[name].items():
            if part != "unit":
                which = "" if part == "rows" else f" {part.replace('_', ' ')}"
                lines += ["", f"{name}{which}: {facts[name]['unit']}", *_lines(rows)]
    emit(options, facts, *lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument(
        "what", nargs="?", choices=tuple(BENCHMARKS), metavar="|".join(BENCHMARKS), help="all if left out"
    )
    parser.add_argument(
        "--against",
        default="",
        metavar="sb3,sbx",
        help="peers to measure beside (pip install 'reverie[bench]'); of plan: crocoddyl, mim, diffilqrax; of solve: "
        "mdptoolbox",
    )
    parser.add_argument(
        "--domains", metavar="all|reacher,peg", help="time steps of our domains instead, against bare physics"
    )
    parser.add_argument(
        "--rounds",
        type=types.up_to(10**6, least=1),
        default=15,
        metavar="N",
        help="interleaved rounds; medians count (15)",
    )


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    columns = list(rows[0])
    body = [[row[c] if isinstance(row[c], str) else f"{row[c]:.4g}" for c in columns] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *body]) for i in range(len(columns))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [columns, *body]
    ]
