"""What a sweep is: a grid of settings, and one cell for each combination and seed."""

import itertools
import math
import random
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from reverie.core.errors import ConfigError
from reverie.core.words import number
from reverie.storage.config import Agent

MOST_CELLS = 10_000
DRAW_SEED = 0  # of `--random N`: the same command draws the same combinations
TUPLE = re.compile(r"\d+(x\d+)+")  # 64x64
CLOSED_BY = {"(": ")", "[": "]", '"': '"', "'": "'"}  # what keeps commas together within a value
ODD = re.compile(r"[^A-Za-z0-9_.+=-]")  # characters that the name of a folder does not get
LONGEST_NAME = 120  # characters of such a name before its seed
WORKER = "reverie.experiments.execution.sweep_worker"  # the module that does a cell

Pair = tuple[str, str]


def values_of(text: str) -> list[str]:
    """Return the values that "a,b,c" lists, as text.

    One value of several numbers is written 64x64, (64,64) or "64,64" with the quotes.  Nothing lists no values.
    """
    return [_plain(part) for part in _parts(text)] if text.strip() else []


def _parts(text: str) -> Iterator[str]:
    """Yield what stands between commas, but for those within brackets or quotes."""
    part, closing = "", ""
    for character in text:
        if character == "," and not closing:
            yield part
            part = ""
            continue
        if closing:
            closing = "" if character == closing else closing
        else:
            closing = CLOSED_BY.get(character, "")
        part += character
    yield part


def _plain(part: str) -> str:
    """Return a value as `--set` of `reverie train` takes it."""
    part = part.strip()
    if len(part) > 1 and part[0] == part[-1] and part[0] in "\"'":
        part = part[1:-1]
    return part.replace("x", ",") if TUPLE.fullmatch(part) else part


def combinations(grid: Sequence[tuple[str, Sequence[str]]], draws: int | None = None) -> list[list[Pair]]:
    """Return the combinations of a grid: (name, value) pairs, one value of each setting.

    draws: so many of them, drawn without replacement.  More draws begin with those that fewer would give.  Raises
    ConfigError where there are none, fewer than `draws`, or more than `MOST_CELLS`.
    """
    for name, values in grid:
        if not values:
            raise ConfigError(f"--set {name}= has no values, so the grid is empty; give --set {name}=A,B,…")
    size = math.prod(len(values) for _, values in grid)
    if draws is not None and draws > size:
        raise ConfigError(f"--random {draws} is more than the {size} combinations of the grid; leave --random out")
    require_few(size if draws is None else draws)
    numbers = range(size) if draws is None else _drawn(size, draws)
    return [_combination(grid, number) for number in numbers]


def require_few(cells: int) -> None:
    """Raise ConfigError where a sweep has too many cells."""
    if cells > MOST_CELLS:
        raise ConfigError(
            f"the grid has {cells:,} cells, and a sweep at most {MOST_CELLS:,}; give fewer values or seeds, or --random N"
        )


def _drawn(size: int, draws: int) -> list[int]:
    generator, found = random.Random(DRAW_SEED), dict[int, None]()
    while len(found) < draws:
        found[generator.randrange(size)] = None
    return list(found)


def _combination(grid: Sequence[tuple[str, Sequence[str]]], number: int) -> list[Pair]:
    """Return combination `number`; the last setting changes first."""
    pairs: list[Pair] = []
    for name, values in reversed(grid):
        number, i = divmod(number, len(values))
        pairs.append((name, values[i]))
    return pairs[::-1]


def in_words(value: Any) -> str:
    """Return a value of a setting as a sweep writes it: 0.001, 64x64, true, none."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "x".join(map(str, value)) or "()"
    return number(value) if isinstance(value, float) else str(value)


def label(settings: Mapping[str, str]) -> str:
    """Return settings in one phrase: learning_rate=0.001 hidden=64x64."""
    return " ".join(f"{name}={value}" for name, value in settings.items())


class SweepCell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run of a sweep: everything that its process needs to know."""

    agent: Agent
    env: str
    settings: dict[str, str]  # those that --set named, sorted, as `in_words` writes them
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    steps: Annotated[int, msgspec.Meta(ge=0)]
    evaluate_every: Annotated[int, msgspec.Meta(ge=0)]  # steps; 0: never
    evaluate_episodes: Annotated[int, msgspec.Meta(ge=1)]
    stop_at: float | None  # the mean return of ten training episodes that is enough
    tensorboard: bool
    command: list[str]  # words of the `reverie train` that does the same

    @property
    def key(self) -> tuple[str, ...]:
        """Its name in tables, in parts."""
        return *filter(None, [label(self.settings)]), f"seed {self.seed}"

    @property
    def folder_name(self) -> str:
        """The name of its run directory: learning_rate=0.001--hidden=64x64--seed-0."""
        settings = "--".join(f"{name}={value}" for name, value in self.settings.items())
        short = ODD.sub("_", settings)[:LONGEST_NAME]
        if short != settings:  # two settings must not share a folder
            short += f"-{zlib.crc32(settings.encode()):08x}"
        return "--".join(filter(None, [short, f"seed-{self.seed}"]))

    @property
    def worker(self) -> str:
        """The module that does it."""
        return WORKER


def seeds_first(by_setting: Sequence[Sequence[SweepCell]]) -> list[SweepCell]:
    """Return the cells of each setting, all of the first seed before those of the next."""
    return list(itertools.chain.from_iterable(zip(*by_setting, strict=True)))
