"""`reverie plan`: tables, films, JSON, and what wrong input gets."""

import pytest

from commands import done, one_object, refusal

SHORT = ["plan", "reacher_single", "--method", "ilqg", "--horizon", 6, "--iterations", 2]


def test_ilqg_prints_its_table_its_status_and_the_real_return(tmp_path):
    film = tmp_path / "arm.gif"
    lines = done(*SHORT, "-o", film).splitlines()
    assert lines[0] == "reacher_single, episode 0 of seed 0: 6 steps, exact dynamics"
    assert lines[1].split() == ["steps", "iteration", "cost", "fall", "expected", "λ", "α"]
    assert [line.split()[:2] for line in lines[2:4]] == [["6", "1"], ["6", "2"]]
    assert lines[-4].endswith("s)") and "iterations" in lines[-4]
    real = lines[-1].removeprefix("return ")
    assert lines[-3] == f"return planned {real}, in the environment {real}"
    assert lines[-2] == f"{film}: the first episode"
    assert film.read_bytes()[:4] == b"GIF8"


def test_json_holds_everything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    facts = one_object(*SHORT, "--episodes", 2, "--seed", 1)
    assert facts["film"] == "reacher_single-ilqg.mp4" and (tmp_path / facts["film"]).stat().st_size > 0
    assert facts["status"] == "MAX_ITERATIONS" and not facts["good"] and facts["text"].startswith("stopped at")
    assert len(facts["actions"]) == 6 and all(abs(u) <= 1 for row in facts["actions"] for u in row)
    assert len(facts["table"]) == facts["iterations"] and facts["table"][-1]["steps"] == 6
    assert facts["table"][-1]["cost"] == pytest.approx(facts["cost"])
    assert facts["returns"] == [pytest.approx(facts["predicted"]), facts["more"][0]["return"]]
    assert facts["return"] == pytest.approx(sum(facts["returns"]) / 2)
    again = one_object(*SHORT, "--seed", 1)
    assert again["actions"] == facts["actions"]


def test_mpc_plans_at_each_step_of_an_environment_of_gymnasiums(tmp_path):
    film = tmp_path / "reacher.mp4"
    facts = one_object("plan", "Reacher-v5", "--method", "mpc", "--horizon", 3, "--iterations", 1, "-o", film)
    assert facts["steps"] == 50 == sum(facts["statuses"].values())
    assert facts["step_seconds_median"] <= facts["step_seconds_most"] <= facts["seconds"]
    assert film.stat().st_size > 0


def test_fitted_models_improve_a_controller_on_real_episodes(tmp_path):
    words = ["plan", "reacher_single", "--method", "ilqg", "--model", "fitted", "--horizon", 30, "--iterations", 3]
    facts = one_object(*words, "-o", tmp_path / "fitted.gif")
    table = facts["table"]
    assert [row["iteration"] for row in table] == [1, 2, 3] and facts["real_episodes"] == 15
    assert all(0 < row["kl"] <= 0.22 + 1e-9 for row in table)  # nats a step, and a tenth over
    assert facts["return"] > table[0]["return"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["Pendulum-v1", "--method", "ilqg"], "Pendulum-v1 is not a MuJoCo environment; planning needs its physics"),
        (["reachr", "--method", "ilqg"], "unknown environment 'reachr'; did you mean 'reacher'?"),
        (["reacher", "--method", "lqg"], "argument --method: invalid choice: 'lqg'"),
        (["reacher"], "the following arguments are required: --method"),
        (["reacher", "--method", "ilqg", "--horizon", "151"], "--horizon 151 is longer than an episode of reacher"),
        (["reacher", "--method", "ilqg", "-o", "film.avi"], "film.avi ends in .avi; films are .mp4 or .gif"),
        (["reacher", "--method", "ilqg", "-o", "no/film.gif"], "cannot write no/film.gif: there is no folder no"),
        (["reacher", "--method", "mpc", "--model", "fitted"], "--model fitted goes with --method ilqg"),
        (["Reacher-v5", "--method", "ilqg", "--model", "fitted"], "fitted models need the reward as a formula"),
    ],
)
def test_wrong_input_gets_one_line(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sentence in refusal("plan", *words, "--json")
