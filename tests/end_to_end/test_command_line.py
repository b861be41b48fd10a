"""The `reverie` command: what each verb prints, writes and returns."""

import argparse
import dataclasses
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from typing import get_args, get_type_hints

import numpy as np
import pytest

import reverie as rv
from commands import done, one_object, refusal, reverie
from reverie.algorithms import ALGORITHMS
from reverie.cli import VERBS, build_parser
from reverie.core.words import either
from reverie.maths.noises import NOISES
from reverie.models import MODELS
from reverie.storage import checkpoint, journal
from reverie.storage.tables import read_rows
from reverie.tabular.policy_iteration import policy_iteration
from reverie.tabular.q_learning import QLearningSettings as QLearning
from reverie.tabular.value_iteration import value_iteration
from studies.catalogue import MODULES as STUDIES

STEPS = 400  # two of Pendulum's episodes
SETTINGS = ("hidden=16,16", "warmup_steps=50", "updates_per_step=1", "batch_size=16")
SMALL = [word for setting in SETTINGS for word in ("--set", setting)]
TRAIN = ["train", "naf", "Pendulum-v1", *SMALL, "--evaluate-every", "200", "--evaluate-episodes", "1"]
OWN_WORLD = """
import signal

import gymnasium as gym


class Interrupted(gym.wrappers.TimeLimit):
    steps = 0

    def step(self, action):
        type(self).steps += 1
        if self.steps == 70:
            signal.raise_signal(signal.SIGINT)
        return super().step(action)


def make():
    return Interrupted(gym.make("Pendulum-v1").unwrapped, 30)
"""


def episodes_of(run):
    return [
        {name: value for name, value in row.items() if name != "seconds"} for row in read_rows(run / "episodes.csv")
    ]


def arrays_of(run, name="latest"):
    return checkpoint.read(run / "checkpoint" / f"{name}.safetensors")[0]


def assert_same_run(one, other):
    assert episodes_of(one) == episodes_of(other)
    for table in ("metrics.csv", "evaluations.csv"):
        assert (one / table).read_bytes() == (other / table).read_bytes()
    arrays = arrays_of(one), arrays_of(other)
    assert arrays[0].keys() == arrays[1].keys()
    for name in arrays[0]:
        assert arrays[0][name].tobytes() == arrays[1][name].tobytes(), name


def verbs_of(parser):
    """Return the parser of each verb."""
    (verbs,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return verbs.choices


def choices(verb, name):
    (action,) = [action for action in verb._actions if action.dest == name]
    return list(action.choices)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory of a finished run, and the JSON that its command printed."""
    run = tmp_path_factory.mktemp("runs") / "pendulum"
    return run, one_object(*TRAIN, "--steps", STEPS, "--out", run)


@pytest.fixture
def run(trained):
    return trained[0]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb):
    text = done(verb, "--help")
    assert f"usage: reverie {verb}" in text and f"example: reverie {verb}" in text and "--json" in text


def test_the_command_explains_itself_and_names_every_verb():
    text = done("--help")
    assert "example: reverie train" in text
    for verb in VERBS:
        assert re.search(rf"^    {verb}\s", text, re.MULTILINE)


# ---- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_verbs_options_names_and_files(shell):
    pytest.importorskip("shtab")
    text = done("--print-completion", shell)
    for word in (*VERBS, "evaluate-every", "value-iteration", "table1", "naf", "reacher", "dyna-maze"):
        assert word in text, word


COMPLETE = """
eval "$({python} -m reverie --print-completion bash)"
complete -p reverie
ask() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _shtab_reverie; echo "${{COMPREPLY[@]}}"; }}
ask reverie tr
ask reverie train n
ask reverie train naf reacher_
ask reverie solve E --method pol
ask reverie list cart
ask reverie train naf E --evaluate-
"""


def test_bash_completes():
    pytest.importorskip("shtab")
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    words = ["bash", "--norc", "-c", COMPLETE.format(python=shlex.quote(sys.executable))]
    asked = subprocess.run(words, capture_output=True, text=True, check=True)
    assert asked.stdout.splitlines()[1:] == [
        "train",
        "naf",
        "reacher_single",
        "policy-iteration",
        "cartpole",
        "--evaluate-every --evaluate-episodes",
    ]


def test_completion_without_its_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert refusal("--print-completion", "bash").endswith("pip install shtab\n")
    assert "invalid choice: 'fishy'" in refusal("--print-completion", "fishy")


# ---- list and check


def test_list_names_each_algorithm_with_one_line():
    facts = one_object("list")
    assert {"reacher", "gripper_m", "walker2d"} <= facts["domains"].keys()
    assert {"naf", "ddpg", "sac", "xqc", "ppo", "dqn"} <= facts["algorithms"].keys() == {*ALGORITHMS, "auto"} and {
        "domains",
        "models",
        "experiments",
    } <= facts.keys()
    assert all(text and "\n" not in text for group in facts.values() for text in group.values())
    lines = done("list").splitlines()
    for name, text in facts["algorithms"].items():
        assert f"  {name:17} {text}" in lines


def test_list_names_whatever_a_verb_offers():
    facts = one_object("list")
    verbs = verbs_of(build_parser())
    assert list(facts["solvers"]) == choices(verbs["solve"], "method")
    assert list(facts["planners"]) == choices(verbs["plan"], "method")
    (imagine,) = [action for action in verbs["train"]._actions if action.dest == "imagine"]
    assert facts["models"].keys() - {"imagination"} == MODELS.keys() and either(MODELS) in imagine.help
    assert {*facts["experiments"], "all"} == set(choices(verbs["reproduce"], "experiment"))
    assert set(choices(verbs["train"], "plan")) == set(get_args(get_type_hints(rv.Imagination)["plan"]))
    assert list(facts["noises"]) == list(NOISES)
    assert list(facts["studies"]) == list(STUDIES)
    assert facts["callbacks"].keys() == {"Evaluate", "SaveBest", "StopAtReturn", "Progress"}
    names = [name for group in facts.values() for name in group]
    assert len(names) == len(set(names)), "`reverie list NAME` must know which is meant"


def test_list_of_every_name_says_what_it_can_be_set_to():
    for group, members in one_object("list").items():
        assert one_object("list", group) == {group: members}
        for name, text in members.items():
            facts = one_object("list", name)
            assert (facts["name"], facts["group"], facts["text"]) == (name, group, text)
            for setting in facts["settings"]:
                assert setting.keys() >= {"name", "default", "choices", "text"} and setting["text"], (name, setting)
            if group in ("algorithms", "models", "noises", "solvers", "planners") and name != "exact":
                assert facts["settings"], name


def test_list_of_an_agent_shows_each_setting_with_default_and_meaning():
    settings = {setting["name"]: setting for setting in one_object("list", "naf")["settings"]}
    assert settings.keys() == {field.name for field in dataclasses.fields(rv.NAF)}
    assert settings["hidden"]["default"] == [200, 200] and settings["hidden"]["text"] == "Units of each hidden layer."
    assert settings["noise"]["choices"] == list(NOISES) and NOISES.keys() >= {"ou", "gaussian", "precision"}
    lines = done("list", "naf").splitlines()
    assert "  hidden                     200,200      Units of each hidden layer." in lines
    assert "  value_bound                false        Clip V' to" in "\n".join(lines)
    assert "--planning-steps" in done("list", "dyna-q") and "--set stages" in done("list", "pilqr")


def test_list_knows_the_defaults_that_the_verbs_have():
    learning = {field.name: field.default for field in dataclasses.fields(QLearning)}
    for setting in one_object("list", "q-learning")["settings"]:
        assert setting["default"] == learning[setting["name"].removeprefix("--").replace("-", "_")]
    for name, solver in (("value-iteration", value_iteration), ("policy-iteration", policy_iteration)):
        (most,) = [row["default"] for row in one_object("list", name)["settings"] if row["name"] == "--iterations"]
        assert most == inspect.signature(solver).parameters["iterations"].default


def test_list_of_environments_names_gymnasiums_ids():
    facts = one_object("list", "environments")["environments"]
    assert facts["Pendulum-v1"] == "gymnasium.envs.classic_control.pendulum" and "reverie/Reacher-v0" in facts


def test_list_of_an_unknown_name_gets_the_nearest():
    assert refusal("list", "nav") == "reverie: unknown name 'nav'; did you mean 'naf'?\n"


def test_check_of_a_fit_environment():
    facts = one_object("check", "Pendulum-v1", "--steps", "450")
    assert facts["env"] == "Pendulum-v1" and facts["fit"] is True
    assert (facts["observation_dim"], facts["action_low"], facts["action_high"]) == (3, [-2.0], [2.0])
    assert (facts["episodes"], facts["terminated"], facts["truncated"]) == (2, 0, 2)
    assert {finding["topic"]: finding["verdict"] for finding in facts["findings"]}["seeding"] == "ok"
    lines = done("check", "Pendulum-v1", "--steps", "450").splitlines()
    assert lines[0] == "Pendulum-v1" and len(lines) == 1 + len(facts["findings"])


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_check_of_an_unfit_environment_says_why_and_exits_with_2(words):
    status, out, err = reverie("check", "worlds:make_choices", *words)
    assert status == 2 and err.count("\n") == 1
    assert "worlds:make_choices is not fit to learn on" in err and "need a continuous Box, or Discrete" in err
    assert "need a continuous Box" in out
    if words:
        facts = json.loads(out)
        assert facts["fit"] is False and facts["findings"][0]["verdict"] == "wrong"


# ---- train, and what it leaves


def test_train_prints_what_it_did(trained):
    run, facts = trained
    assert (facts["run"], facts["steps"], facts["episodes"]) == (str(run), STEPS, 2)
    returns = [float(row["return"]) for row in read_rows(run / "episodes.csv")]
    assert facts["recent_return_mean"] == pytest.approx(np.mean(returns))
    assert facts["best_evaluation"] == max(float(row["return_mean"]) for row in read_rows(run / "evaluations.csv"))


def test_config_holds_all_that_decides_the_run(run):
    config = json.loads((run / "config.json").read_text())
    wanted = rv.NAF(hidden=(16, 16), warmup_steps=50, updates_per_step=1, batch_size=16)
    assert config["agent"] == {"name": "naf", "settings": json.loads(json.dumps(dataclasses.asdict(wanted)))}
    assert (config["env"], config["seed"], config["tensorboard"]) == ("Pendulum-v1", 0, False)
    assert config["versions"].keys() >= {"python", "reverie", "jax", "mujoco", "gymnasium", "numpy"}
    assert config["versions"]["reverie"] == rv.__version__
    words = [*TRAIN, "--steps", str(STEPS), "--out", str(run), "--json"]
    assert shlex.split(config["command"]) == ["reverie", *words]


def test_tables_and_journal_agree(run):
    text = (run / "episodes.csv").read_text().splitlines()
    assert text[0] == "step,episode,return,length,terminated,truncated,seconds" and len(text) == 3
    _, records, cut = journal.read(run / "experience" / "journal.bin")
    assert cut == 0 and records["step"].tolist() == list(range(1, STEPS + 1))
    for number, row in enumerate(read_rows(run / "episodes.csv"), 1):
        assert (row["step"], row["episode"], row["length"]) == (str(200 * number), str(number), "200")
        assert (row["terminated"], row["truncated"]) == ("0", "1") and float(row["seconds"]) >= 0
        assert float(row["return"]) == sum(records["reward"][200 * (number - 1) : 200 * number].tolist())
    evaluations = read_rows(run / "evaluations.csv")
    assert (run / "evaluations.csv").read_text().startswith("step,episode,return_mean,return_std,returns\n")
    assert [(row["step"], row["episode"]) for row in evaluations] == [("200", "1"), ("400", "2")]
    assert [row["return_mean"] for row in evaluations] == [row["returns"] for row in evaluations]
    metrics = read_rows(run / "metrics.csv")
    assert [(row["step"], row["updates"]) for row in metrics] == [("200", "150"), ("400", "350")]
    assert all(np.isfinite(float(value)) for row in metrics for value in row.values())


def test_checkpoints_are_arrays_behind_a_json_header(run):
    for name in ("latest", "best"):
        data = (run / "checkpoint" / f"{name}.safetensors").read_bytes()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        assert header["__metadata__"]["format"] == "reverie-checkpoint-4"
        arrays, facts = checkpoint.read(run / "checkpoint" / f"{name}.safetensors")
        assert facts["agent"] == "naf" and set(header) - {"__metadata__"} == set(arrays)
    rows = read_rows(run / "evaluations.csv")
    best = max(rows, key=lambda row: float(row["return_mean"]))
    assert facts["steps"] == int(best["step"])
    assert not (run / "tensorboard").exists() and not list(run.rglob("*.new"))


def test_tensorboard_files_are_written_when_asked_for(tmp_path):
    pytest.importorskip("tensorboardX")
    done("train", "naf", "worlds:Line", *SMALL, "--steps", "10", "--out", tmp_path / "run", "--tensorboard")
    (file,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert b"episode/return" in file.read_bytes()


def test_the_same_command_gives_the_same_bytes_and_another_seed_does_not(run, tmp_path):
    done(*TRAIN, "--steps", STEPS, "--out", tmp_path / "again")
    assert_same_run(run, tmp_path / "again")
    done(*TRAIN, "--steps", "200", "--seed", "1", "--out", tmp_path / "other")
    assert episodes_of(tmp_path / "other")[0]["return"] != episodes_of(run)[0]["return"]


def test_half_and_then_half_is_the_whole(run, tmp_path):
    for resume in ([], ["--resume"]):
        done(*TRAIN, "--steps", STEPS // 2, "--out", tmp_path / "parts", *resume)
    assert_same_run(run, tmp_path / "parts")


def test_without_out_a_run_gets_a_directory_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", "naf", "worlds:Line", *SMALL, "--steps", "6", "--seed", "3", "--quiet"]
    folders = [one_object(*words)["run"] for _ in range(2)]
    assert folders == [os.path.join("runs", "worlds-line-naf-3"), os.path.join("runs", "worlds-line-naf-3-2")]
    assert episodes_of(tmp_path / folders[0]) == episodes_of(tmp_path / folders[1])


def test_an_environment_in_the_working_directory_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "found_here.py").write_text("from worlds import Line as make\n")
    assert one_object("train", "naf", "found_here:make", *SMALL, "--steps", "6", "--out", "run")["steps"] == 6
    assert not read_rows(tmp_path / "run" / "evaluations.csv")  # whole episodes of one's own world may cost money


def test_training_stops_at_a_return(tmp_path):
    words = ["train", "naf", "worlds:Probe", *SMALL, "--steps", "50", "--stop-at", "1", "--out", tmp_path / "run"]
    assert one_object(*words)["steps"] == 10  # ten episodes of one step with reward 1


def test_ctrl_c_prints_a_line_that_finishes_what_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "interrupted_world.py").write_text(OWN_WORLD)
    words = ["train", "naf", "interrupted_world:make", *SMALL, "--seed", "2", "--out", "my run"]
    done(*words, "--steps", "40")
    status, out, err = reverie(*words, "--steps", "60", "--stop-at", "0", "--resume")
    assert (status, out) == (130, "")
    *_, message, line = err.splitlines()
    assert message == "interrupted at step 70; everything is saved. To continue:"
    assert checkpoint.read(tmp_path / "my run" / "checkpoint" / "latest.safetensors")[1]["steps"] == 70
    command, *resume = shlex.split(line)
    assert command == "reverie" and resume[resume.index("--stop-at") + 1] == "0.0"
    done(*resume)
    records = journal.read(tmp_path / "my run" / "experience" / "journal.bin")[1]
    assert records["step"].tolist() == list(range(1, 101))


def test_a_resumed_call_that_is_interrupted_keeps_its_number_of_steps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "interrupted_again.py").write_text(OWN_WORLD)
    words = ["train", "naf", "interrupted_again:make", *SMALL, "--out", "run"]
    done(*words, "--steps", "60")
    (tmp_path / "run" / "call.json").write_text('{"start": 0, "steps": 90}\n')  # as a call cut short left it
    status, _, err = reverie(*words, "--resume")
    line = err.splitlines()[-1]
    assert status == 130 and "--steps 90 " in line
    done(*shlex.split(line)[1:])
    assert len(journal.read(tmp_path / "run" / "experience" / "journal.bin")[1]) == 90


def test_a_call_killed_after_its_last_step_is_not_done_twice(tmp_path):
    words = ["train", "naf", "worlds:Probe", *SMALL, "--steps", "20", "--out", tmp_path / "run"]
    assert one_object(*words)["steps"] == 20
    (tmp_path / "run" / "call.json").write_text('{"start": 0, "steps": 20}\n')  # as a kill before its end leaves it
    assert one_object(*words, "--resume")["steps"] == 20
    assert one_object(*words, "--resume")["steps"] == 40  # that one ended: this is another call


# ---- evaluate, video, bench


def test_evaluate_prints_every_return_and_their_interval(run):
    facts = one_object("evaluate", run, "--episodes", "3", "--seed", "4")
    assert (facts["run"], facts["step"], facts["seed"], facts["episodes"]) == (str(run), STEPS, 4, 3)
    assert len(set(facts["returns"])) == 3 and facts["mean"] == pytest.approx(np.mean(facts["returns"]))
    assert facts["std"] == pytest.approx(np.std(facts["returns"], ddof=1))
    half = 4.302652730 * facts["std"] / 3**0.5  # Student's t at 2 degrees of freedom
    assert facts["interval_95"] == pytest.approx([facts["mean"] - half, facts["mean"] + half])
    assert one_object("evaluate", run, "--episodes", "3", "--seed", "4") == facts
    assert one_object("evaluate", run, "--episodes", "1", "--seed", "5")["returns"][0] not in facts["returns"]
    text = done("evaluate", run, "--episodes", "3", "--seed", "4")
    assert text.startswith(f"Pendulum-v1, policy of step {STEPS}, 3 greedy episodes\nmean {facts['mean']:.4g}, ")


def test_a_page_about_one_folder_is_written_there_and_about_several_here(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, other = shutil.copytree(run, tmp_path / "one"), shutil.copytree(run, tmp_path / "other")
    assert one_object("report", one)["report"] == str(one / "report.html") and (one / "report.html").is_file()
    assert one_object("report", one, other)["report"] == "report.html" and (tmp_path / "report.html").is_file()
    assert f"its folders hold runs: reverie report {tmp_path}/*" in refusal("report", tmp_path)


def test_evaluate_repeats_what_training_measured(run):
    rows = read_rows(run / "evaluations.csv")
    assert one_object("evaluate", run, "--episodes", "1")["mean"] == pytest.approx(float(rows[-1]["return_mean"]))
    best = one_object("evaluate", run, "--episodes", "1", "--best")["mean"]
    assert best == pytest.approx(max(float(row["return_mean"]) for row in rows))
    one = one_object("evaluate", run, "--episodes", "1")
    assert one["std"] == 0.0 and one["interval_95"] == [None, None]


def test_evaluate_reads_a_run_that_is_still_learning_and_changes_nothing(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    with rv.Learner.load(tmp_path / "run"):
        before = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
        assert one_object("evaluate", tmp_path / "run", "--episodes", "1")["step"] == STEPS
        assert {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("suffix", ["gif", "mp4"])
def test_video_films_the_policy(run, tmp_path, suffix):
    imageio = pytest.importorskip("imageio.v2")
    pytest.importorskip("pygame")
    film = tmp_path / f"film.{suffix}"
    facts = one_object("video", run, "-o", film, "--seconds", "1")
    assert (facts["film"], facts["step"], facts["sketch"]) == (str(film), STEPS, False)
    assert facts["return"] == pytest.approx(one_object("evaluate", run, "--episodes", "1")["mean"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # imageio forks, and leaves pipes to the garbage collector
        frames = imageio.mimread(film, memtest=False)
    assert len(frames) > 10 and np.abs(np.subtract(frames[0], frames[-1], dtype=float)).max() > 100


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("film.mov", "film.mov ends in .mov; films are .mp4 or .gif"),
        ("film", "film ends in nothing; films are .mp4 or .gif"),
        ("missing/film.gif", "cannot write missing/film.gif"),
        ("missing/film.mp4", "cannot write missing/film.mp4"),
    ],
)
def test_a_film_that_cannot_be_written_is_named(run, tmp_path, monkeypatch, file, says):
    pytest.importorskip("imageio")
    pytest.importorskip("pygame")
    monkeypatch.chdir(tmp_path)
    assert says in refusal("video", run, "-o", file, "--seconds", "0.1")
    assert not list(tmp_path.iterdir())


def test_a_run_without_an_environment_is_evaluated_on_one_that_fits(tmp_path):
    with rv.Learner(rv.NAF(hidden=(8,)), spec=rv.EnvSpec(3, [-2.0], [2.0]), out=tmp_path / "run") as learner:
        learner.save()
    assert "no environment of its own (ask and tell); give one with --env" in refusal("evaluate", tmp_path / "run")
    assert one_object("evaluate", tmp_path / "run", "--env", "Pendulum-v1", "--episodes", "1")["step"] == 0
    says = refusal("evaluate", tmp_path / "run", "--env", "worlds:Line")
    assert "worlds:Line has 2 observations and 1 action, but this run's policy has 3 observations and 1 action" in says
    assert "best.safetensors does not exist yet" in refusal("evaluate", tmp_path / "run", "--best")


def test_bench_measures_ratios_side_by_side():
    facts = one_object("bench", "act", "--rounds", "1")
    assert facts["rounds"] == 1 and facts["machine"].endswith(f"{os.cpu_count()} cores") and "jax" in facts["versions"]
    rows = {row["name"]: row for row in facts["act"]["rows"]}
    assert rows.keys() == {"naf", "greedy", "predict", "exported", "compiled"}
    assert rows["naf"]["time_over_naf"] == 1.0 and all(row["time_over_naf"] > 0 for row in rows.values())


def test_bench_sets_a_domains_steps_beside_bare_physics():
    facts = one_object("bench", "step", "--domains", "walker2d,reacher", "--rounds", "1")
    assert [row["name"] for row in facts["step"]["rows"]] == ["walker2d", "reacher"]
    assert all(0 < row["share"] and row["steps_per_second"] > 0 for row in facts["step"]["rows"])
    assert "unknown domain 'pig'; did you mean 'peg'?" in refusal("bench", "step", "--domains", "pig")
    assert "--domains times steps; leave act out, or write step" in refusal("bench", "act", "--domains", "all")


def test_a_domain_is_learnt_by_its_short_name_and_filmed_by_its_own_camera(tmp_path):
    imageio, run, film = pytest.importorskip("imageio.v2"), tmp_path / "run", tmp_path / "film.gif"
    facts = one_object(
        "train", "naf", "reacher_single", *SMALL, "--steps", "300", "--evaluate-every", "0", "--out", run
    )
    assert facts["episodes"] == 2 and json.loads((run / "config.json").read_text())["env"] == "reacher_single"
    assert -6 < one_object("evaluate", run, "--episodes", "2")["mean"] < 0
    one_object("video", run, "-o", film, "--seconds", "0.5")
    green = [
        ((frame[..., 1] > 90) & (frame[..., 0] < 90) & (frame[..., 2] < 120)).sum() for frame in imageio.mimread(film)
    ]
    assert min(green) > 20  # the target is in every picture


# ---- real processes


def process(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "reverie", *words], capture_output=True, text=True, check=False, **options
    )


def test_a_wrong_word_gets_one_line_and_with_debug_a_traceback(tmp_path):
    wrong = process("train", "naf", "Pendulun-v1", "--out", "run", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "") and not list(tmp_path.iterdir())
    assert wrong.stderr.startswith("reverie: unknown environment 'Pendulun-v1'; did you mean 'Pendulum-v1'? (near it: ")
    assert wrong.stderr.count("\n") == 1
    traced = process("--debug", "train", "naf", "Pendulum-v1", "--steps", "many")
    assert traced.returncode not in (0, 2) and "Traceback (most recent call last)" in traced.stderr
    assert "'many' is no whole number" in traced.stderr


def test_an_output_that_nobody_reads_on_is_no_error():
    listing = subprocess.Popen(
        [sys.executable, "-m", "reverie", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    listing.stdout.close()
    with listing.stderr:
        assert listing.stderr.read() == b""
    assert listing.wait() == 0


def test_python_m_reverie_writes_down_the_command(tmp_path):
    words = ["train", "naf", "Pendulum-v1", "--steps", "0", "--set", "hidden=8", "--out", "run", "--json"]
    finished = process(*words, cwd=tmp_path)
    assert finished.returncode == 0 and json.loads(finished.stdout)["steps"] == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["command"] == " ".join(["reverie", *words])
