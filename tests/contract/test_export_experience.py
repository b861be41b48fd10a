"""The experience of a run, written as CSV, NumPy arrays and a Minari dataset, is what the program told, in its units."""

import csv
import json
import shutil
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import reverie as rv
from commands import done, one_object, refusal
from reverie.storage import checkpoint

PARTS = [("joints", "Box", (2,)), ("valve", "Discrete", (1,))]
SPECS = {
    "continuous": rv.EnvSpec(3, [-2.0, 0.1], [2.0, 0.3], "line7", observations=PARTS),
    "discrete": rv.EnvSpec(3, name="valves", actions=4, first_action=-1),
}
ENDS = [(False, False), (False, True), (False, False), (True, False), (False, False)]  # the last episode stays open


@pytest.fixture(params=SPECS)
def told(request, tmp_path):
    """A run, and the rows that its program told it."""
    spec = SPECS[request.param]
    agent = (rv.DQN if spec.actions else rv.NAF)(hidden=(4,), batch_size=2, warmup_steps=50)
    rows, generator = [], np.random.default_rng(0)
    with rv.Learner(agent, spec=spec, out=tmp_path / "run") as learner:
        observation = generator.standard_normal(3).astype(np.float32)
        for step, (terminated, truncated) in enumerate(ENDS):
            action = learner.ask(observation)
            after, reward = generator.standard_normal(3).astype(np.float32), 1e5 / 3 * step
            learner.tell(reward, after, terminated, truncated)
            rows.append((observation, action, reward, terminated, truncated, after))
            observation = generator.standard_normal(3).astype(np.float32) if terminated or truncated else after
    return tmp_path / "run", spec, rows


def columns_of(rows):
    return [np.stack([np.asarray(row[index]) for row in rows]) for index in range(6)]


def test_arrays_are_what_was_told(told, tmp_path):
    run, spec, rows = told
    facts = one_object("export", run, "-o", tmp_path / "data.npz", "--experience")
    assert (facts["steps"], facts["episodes"]) == (5, 3)
    with np.load(tmp_path / "data.npz", allow_pickle=False) as found:
        observations, actions, rewards, terminated, _, after = columns_of(rows)
        np.testing.assert_array_equal(found["observations"], observations)
        np.testing.assert_array_equal(found["next_observations"], after)
        np.testing.assert_allclose(found["actions"], actions, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(found["rewards"], rewards)
        np.testing.assert_array_equal(found["terminated"], terminated)
        np.testing.assert_array_equal(found["truncated"], [False, True, False, False, True])  # the open one was cut off
        np.testing.assert_array_equal(found["episode"], [1, 1, 2, 2, 3])
        held = json.loads(str(found["facts"]))
    assert held["action_low"] == list(spec.action_low) and held["observation_names"] == facts["observations"]


def test_a_table_reads_back_to_the_same_numbers(told, tmp_path):
    run, spec, rows = told
    done("export", run, "-o", tmp_path / "data.csv")
    with open(tmp_path / "data.csv", newline="") as file:
        found = list(csv.DictReader(file))
    seen, sent = spec.sensor_names, spec.actuator_names
    for row, (observation, action, reward, terminated, _, after) in zip(found, rows, strict=True):
        assert [np.float32(row[name]) for name in seen] == observation.tolist()
        assert [np.float32(row[f"next {name}"]) for name in seen] == after.tolist()
        np.testing.assert_allclose([float(row[name]) for name in sent], action, rtol=0, atol=1e-6)
        assert float(row["reward"]) == reward and int(row["terminated"]) == terminated
    assert [row["truncated"] for row in found] == ["0", "1", "0", "0", "1"]


def test_columns_have_the_names_of_sensors():
    plain, discrete = SPECS["continuous"], SPECS["discrete"]
    assert (plain.sensor_names, plain.actuator_names) == (
        ("joints[0]", "joints[1]", "valve"),
        ("action[0]", "action[1]"),
    )
    assert discrete.sensor_names == ("observation[0]", "observation[1]", "observation[2]")
    assert discrete.actuator_names == ("action",)


def test_minari_loads_the_dataset(told, tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    minari = pytest.importorskip("minari")
    run, spec, rows = told
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    done("export", run, "-o", "minari:line7/shift3-v0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = minari.load_dataset("line7/shift3-v0")
    assert (data.total_episodes, data.total_steps) == (3, 5)
    first = next(iter(data))
    np.testing.assert_array_equal(first.observations, [rows[0][0], rows[1][0], rows[1][5]])
    np.testing.assert_allclose(np.reshape(first.actions, (2, -1)), [rows[0][1], rows[1][1]], atol=1e-6)
    assert first.truncations.tolist() == [False, True] and first.terminations.tolist() == [False, False]
    if not spec.actions:
        assert data.spec.action_space.low.tolist() == list(spec.action_low)
    assert "already exists" in refusal("export", run, "-o", "minari:line7/shift3-v0")
    assert minari.load_dataset("line7/shift3-v0").total_steps == 5


def test_a_dataset_for_which_there_is_no_room_is_not_begun(told, tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000))
    folder, *_ = told
    assert f"but {tmp_path}/datasets has only 0.01 MB left; make room" in refusal(
        "export", folder, "-o", "minari:line7-v0"
    )
    assert not (tmp_path / "datasets" / "line7-v0").exists()


def test_a_dataset_that_fails_leaves_nothing(told, tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))

    def fails(name, *_, **__):
        (tmp_path / "minari" / name / "data").mkdir(parents=True)
        raise OSError("no space left on device")

    monkeypatch.setattr(minari, "create_dataset_from_buffers", fails)
    assert "no space left" in refusal("export", told[0], "-o", "minari:half-v0")
    assert not (tmp_path / "minari" / "half-v0").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-o", "data.parquet", "--experience"), ".csv or .npz"),
        (("-o", "data.onnx", "--experience"), "minari:NAME, or to a file that ends in .csv or .npz"),
        (("-o", "minari:"), "lacks the name of a dataset"),
        (("-o", "data.csv", "--best"), "--best and --trust are for policies"),
        (("-o", "nowhere/data.csv"), "there is no folder"),
        (("-o", "minari:a~b-v0"), "Malformed dataset ID"),
        (("-o", "minari:x"), "x has no version; give for example minari:x-v0"),
    ],
)
def test_wrong_input_gets_one_line(told, tmp_path, monkeypatch, words, says):
    if "minari:a~b-v0" in words:
        pytest.importorskip("h5py")
        pytest.importorskip("minari")
    monkeypatch.chdir(tmp_path)
    assert says in refusal("export", told[0], *words)


def test_each_episode_of_environments_in_turns_has_one_end(tmp_path):
    """Transitions of several environments alternate in the journal."""
    agent = rv.PPO(hidden=(4,), worlds=3, rollout=8, batch_size=8, epochs=1)
    with rv.Learner(agent, env="Pendulum-v1", out=tmp_path / "run") as learner:
        learner.learn(650)
    facts = one_object("export", tmp_path / "run", "-o", tmp_path / "data.npz", "--experience")
    with np.load(tmp_path / "data.npz") as found:
        ends, episode = found["terminated"] | found["truncated"], found["episode"]
        assert facts["episodes"] == len(np.unique(episode)) == 6
        assert sorted(episode[ends]) == [1, 2, 3, 4, 5, 6]
        for number in range(1, 7):
            own = episode == number
            after, before = found["next_observations"][own][:-1], found["observations"][own][1:]
            np.testing.assert_array_equal(after, before)
            assert ends[own][-1]


def test_a_run_that_does_not_say_its_units_is_refused(tmp_path):
    """Old versions wrote no bounds: neither to config.json, nor to the journal, nor to checkpoints."""
    run = tmp_path / "run"
    with rv.Learner(rv.NAF(hidden=(4,), warmup_steps=50), env="Pendulum-v1", out=run) as learner:
        learner.learn(3)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({name: value for name, value in config.items() if name != "world"}))
    journal = run / "experience" / "journal.bin"
    line, _, records = journal.read_bytes().partition(b"\n")
    header = {name: value for name, value in json.loads(line).items() if name not in ("world", "begun")}
    journal.write_bytes(json.dumps(header).encode() + b"\n" + records)
    arrays, facts = checkpoint.read(run / "checkpoint" / "latest.safetensors")
    checkpoint.save(run / "checkpoint" / "latest.safetensors", arrays, facts | {"identity": None, "config": None})
    for output in ("data.csv", "policy.npz"):
        said = refusal("export", run, "-o", tmp_path / output)
        assert "does not say what its actions' units are" in said and not (tmp_path / output).exists()


def test_a_run_without_a_step_has_nothing_to_export(tmp_path):
    rv.Learner(rv.NAF(hidden=(4,)), spec=SPECS["continuous"], out=tmp_path / "run").close()
    assert "no experience yet" in refusal("export", tmp_path / "run", "-o", tmp_path / "data.csv")
    assert not (tmp_path / "data.csv").exists()


def test_a_folder_without_a_run_has_nothing_to_export(tmp_path):
    assert "holds no run" in refusal("export", tmp_path / "nothing", "-o", tmp_path / "data.csv")


def test_two_columns_of_one_name_are_refused(tmp_path):
    spec = rv.EnvSpec(1, [-1.0], [1.0], observations=[("reward", "Box", (1,))])
    with rv.Learner(rv.NAF(hidden=(4,)), spec=spec, out=tmp_path / "run") as learner:
        learner.ask([0.0])
        learner.tell(0.0, [0.0], False)
    assert "same name" in refusal("export", tmp_path / "run", "-o", tmp_path / "data.csv")


def test_without_minari_one_line_says_what_to_install(told, monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    assert "pip install 'reverie[minari]'" in refusal("export", told[0], "-o", "minari:x-v0")
