"""`make demo` runs to its end, in a form that learns for less than a second."""

import runpy
from pathlib import Path

import reverie as rv

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def test_the_demo_trains_scores_draws_and_films(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main = runpy.run_path(str(DEMO))["main"]
    small = rv.NAF(hidden=(4,), warmup_steps=100, batch_size=16)
    monkeypatch.setitem(main.__globals__, "NAF", small)
    monkeypatch.setitem(main.__globals__, "STEPS", 750)  # with one evaluation by the way
    monkeypatch.setitem(main.__globals__, "EPISODES", 1)
    main()
    said = capsys.readouterr().out
    assert "score before" in said and "the best policy, of step" in said
    assert (tmp_path / "runs" / "demo" / "curve.png").stat().st_size > 0
    assert (tmp_path / "runs" / "demo" / "film.mp4").stat().st_size > 0
