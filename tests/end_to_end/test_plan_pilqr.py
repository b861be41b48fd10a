"""`reverie plan ENV --method pilqr`: its table, its film, its halves, and what wrong input gets."""

import pytest

from commands import done, one_object, refusal

SHORT = ["plan", "reacher_single", "--method", "pilqr", "--horizon", 20, "--iterations", 3, "--episodes", 6]


def test_it_prints_its_table_and_films_what_came_of_it(tmp_path):
    film = tmp_path / "arm.gif"
    lines = done(*SHORT, "-o", film).splitlines()
    assert lines[0] == "reacher_single, seed 0: 20 steps, 6 real episodes to each of 3 fits"
    assert lines[1].split() == ["iteration", "episodes", "return", "predicted", "KL", "η", "residual", "status"]
    assert [line.split()[:2] for line in lines[2:5]] == [["1", "6"], ["2", "12"], ["3", "18"]]
    assert lines[5].startswith("last: done") and "(18 real episodes" in lines[5]
    assert lines[6] == f"{film}: the first episode" and lines[7].startswith("return ")
    assert film.read_bytes()[:4] == b"GIF8"


def test_json_holds_everything_and_a_seed_decides(tmp_path):
    words = [*SHORT, "--set", "sample_kl=0.5", "-o", tmp_path / "arm.gif"]
    facts = one_object(*words)
    assert facts["model"] == "fitted" and facts["real_episodes"] == 18 and facts["good"]
    assert facts["settings"]["sample_kl"] == 0.5 and facts["settings"]["stages"] == "both"
    for row in facts["table"]:
        assert 0 < row["kl"] and 0 < row["eta"] and 0 <= row["residual"] and row["predicted"] < 0
    again = one_object(*words)
    assert (again["table"], again["return"]) == (facts["table"], facts["return"])
    other = one_object(*words, "--seed", 1)
    assert other["table"] != facts["table"]


def test_path_integrals_alone_predict_nothing(tmp_path):
    facts = one_object(*SHORT, "--set", "stages=pi2", "-o", tmp_path / "arm.gif")
    assert all(row["predicted"] is None and row["residual"] is None and row["kl"] > 0 for row in facts["table"])


def test_one_episode_to_a_fit_is_told(tmp_path):
    words = ["plan", "point_mass", "--method", "pilqr", "--horizon", 10, "--iterations", 1, "--episodes", 1]
    facts = one_object(*words, "--set", "stages=pi2", "-o", tmp_path / "disc.gif")
    assert facts["status"] == "TOO_FEW_SAMPLES" and not facts["good"]


def test_a_jump_of_the_cost_is_found_by_both_stages_and_not_by_lqr_alone(tmp_path):
    words = ["plan", "point_mass", "--method", "pilqr", "--iterations", 6, "-o", tmp_path / "disc.gif"]
    both, lqr = one_object(*words), one_object(*words, "--set", "stages=lqr")
    assert both["return"] > 500  # inside the region for a good while
    assert -60 < lqr["return"] < 0  # at the target, past it


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["point-mass"], "unknown environment 'point-mass'; did you mean 'point_mass'?"),
        (["point_mass", "--set", "stagse=pi2"], "unknown setting 'stagse'; did you mean 'stages'?"),
        (["point_mass", "--set", "stages=pi3"], "stages is 'pi3'; it must be one of 'both', 'lqr', 'pi2'"),
        (["point_mass", "--set", "noise=much"], "noise is 'much'; it must be a finite number"),
        (["point_mass", "--set", "noise"], "argument --set: 'noise' is not of the form name=value"),
        (["point_mass", "--set", "sample_kl=-1"], "sample_kl is -1.0; it must be positive"),
        (["point_mass", "--model", "exact"], "--method pilqr plans with models fitted to real episodes"),
        (["point_mass", "--episodes", "0"], "argument --episodes: 0 is too few; give at least 1"),
        (["Reacher-v5"], "fitted models need the reward as a formula"),
        (["Pendulum-v1"], "Pendulum-v1 is not a MuJoCo environment; planning needs its physics"),
    ],
)
def test_wrong_input_gets_one_line(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sentence in refusal("plan", *words, "--method", "pilqr", "--json")


def test_settings_are_pilqrs_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "--set goes with --method pilqr" in refusal("plan", "peg", "--method", "ilqg", "--set", "stages=pi2")
