"""Random damage to whatever is read, for a minute in all (FUZZ_SECONDS): named in one line, or taken; never raw.

A failure prints the line that CASES keeps; each kept line is tried first, for ever after.
"""

import os
import pathlib
import time
import traceback

import numpy as np
import pytest

from fuzz.targets import TARGETS, Fixtures
from reverie.core.errors import ReverieError

CASES = pathlib.Path(__file__).with_name("cases.txt")  # lines: target seed
SECONDS = float(os.environ.get("FUZZ_SECONDS", "50"))
KEPT = 20  # failures of a target, after which it stops


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory):
    return Fixtures(tmp_path_factory.mktemp("fuzz"))


def attempt(target, seed, fixtures):
    """Return what went wrong in one try, or nothing."""
    try:
        TARGETS[target](np.random.default_rng(seed), fixtures)
    except ReverieError as error:
        return "" if len(str(error).splitlines()) == 1 else f"more than one line: {error!r}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}\n{''.join(traceback.format_tb(error.__traceback__)[-3:])}"
    return ""


def seeds(target):
    """Yield the seeds kept of a target, then others for its share of the time."""
    kept = [line.split() for line in CASES.read_text().splitlines() if line and not line.startswith("#")]
    yield from (int(seed) for name, seed in kept if name == target)
    first, end = int(os.environ.get("FUZZ_SEED", "0")), time.monotonic() + SECONDS / len(TARGETS)
    while time.monotonic() < end:
        yield first
        first += 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", TARGETS)
def test_whatever_is_read_is_right_or_named(target, fixtures):
    failures, tries = [], 0
    for seed in seeds(target):
        tries += 1
        if wrong := attempt(target, seed, fixtures):
            failures.append(f"{target} {seed}\n    {wrong}")
            if len(failures) == KEPT:
                break
    print(f"{target}: {tries} tries, {len(failures)} failures")
    assert not failures, f"{len(failures)} of {tries} tries; keep these lines in {CASES.name}:\n" + "\n".join(failures)
