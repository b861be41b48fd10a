"""Random damage to whatever is read, for a minute in all (FUZZ_SECONDS): named in one line, or taken; never raw.

A failure adds its line to CASES, which is committed; each kept line is tried first, for ever after.
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


def keep(target, seed):
    """Have a failure tried first from now on."""
    line, text = f"{target} {seed}", CASES.read_text()
    if line not in text.splitlines():
        CASES.write_text(f"{text.rstrip()}\n{line}\n")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", TARGETS)
def test_whatever_is_read_is_right_or_named(target, fixtures):
    failures, tries = [], 0
    for seed in seeds(target):
        tries += 1
        if wrong := attempt(target, seed, fixtures):
            failures.append(f"{target} {seed}\n    {wrong}")
            keep(target, seed)
            if len(failures) == KEPT:
                break
    print(f"{target}: {tries} tries, {len(failures)} failures")
    assert not failures, f"{len(failures)} of {tries} tries, kept in {CASES.name}:\n" + "\n".join(failures)


def test_what_failed_once_is_kept_and_tried_first(tmp_path, monkeypatch):
    cases = tmp_path / "cases.txt"
    cases.write_text("# target seed: what once went wrong, tried first\nother 7\n")
    monkeypatch.setattr(f"{__name__}.CASES", cases)
    monkeypatch.setattr(f"{__name__}.SECONDS", 0.2 * len(TARGETS))
    tried = []

    def faulty(generator, fixtures):
        tried.append(draw := int(generator.integers(2**62)))
        if draw in bad:
            raise KeyError(draw)

    monkeypatch.setitem(TARGETS, "faulty", faulty)
    bad = {int(np.random.default_rng(seed).integers(2**62)) for seed in (3, 5)}
    for _ in range(2):  # the second time the same lines are not written again
        with pytest.raises(AssertionError, match=r"kept in cases\.txt:\n\s*faulty 3"):
            test_whatever_is_read_is_right_or_named("faulty", None)
        assert cases.read_text().splitlines()[1:] == ["other 7", "faulty 3", "faulty 5"]
    monkeypatch.setattr(f"{__name__}.SECONDS", 0.0)
    tried.clear()
    with pytest.raises(AssertionError, match="2 of 2 tries"):  # with no time for any other
        test_whatever_is_read_is_right_or_named("faulty", None)
    assert set(tried) == bad
    bad.clear()
    test_whatever_is_read_is_right_or_named("faulty", None)
