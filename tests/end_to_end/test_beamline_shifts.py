"""The beam line of the examples, from its server to its page: a short form; and twenty kills, among the slow tests."""

import csv
import os

import numpy as np
import pytest

from examples.beamline import __main__ as whole
from examples.beamline import books, kills
from reverie.storage.tables import read_rows


@pytest.fixture(autouse=True)
def compiled_apart(tmp_path, monkeypatch):
    """A killed process may tear what it had compiled: keep that from other tests."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(whole.programs.ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    )


def test_three_shifts_one_kill_and_a_page(tmp_path):
    page = whole.work(tmp_path / "out", points=40, earlier=30, speed=50.0)
    out = page.parent
    text = page.read_text()
    assert "NAF, after shift 3" in text and "response matrix" in text
    assert text.index("What came out") < text.index("Asked and executed") and "asked and executed apart" in text

    count = books.compare(out / "machine.jsonl", out / "learner")
    assert count.good and count.journalled >= 120 and count.acknowledged >= 118  # one kill cuts off one at most
    episodes = read_rows(out / "learner" / "episodes.csv")
    assert sum(int(row["length"]) for row in episodes) <= count.journalled
    with (out / "learner-verified.csv").open(newline="") as table:
        verified = list(csv.DictReader(table))
    assert len(verified) == 3 and all(row["cases"] == "50" for row in verified)

    with (out / "earlier.csv").open(newline="") as table:
        earlier = list(csv.DictReader(table))
    assert len(earlier) >= 30
    assert {
        "step",
        "episode",
        "bpm_1 [mm]",
        "cor_1_readback [A]",
        "cor_1 [A]",
        "next bpm_6 [mm]",
        "asked cor_4 [A]",
    } <= set(earlier[0])
    assert len({row["asked cor_2 [A]"] for row in earlier}) == 1  # the corrector that the poor controller never moves
    assert np.ptp([float(row["cor_1 [A]"]) for row in earlier]) > 0.1


@pytest.mark.slow
def test_twenty_kills_lose_nothing(tmp_path):
    found = kills.endure(tmp_path / "out", kills=20)
    assert found.good, found
    assert found.acknowledged > 100
