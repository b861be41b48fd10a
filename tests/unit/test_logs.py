"""Logs: what each reader returns, what a log is fitted to, and what is said of one that is wrong."""

import json

import numpy as np
import pytest

import reverie as rv
from commands import one_object, refusal, reverie
from reverie.core.errors import ConfigError, StorageError
from reverie.logs.checked import checked
from reverie.logs.checks import check
from reverie.logs.log import Log, is_log
from reverie.logs.log_data import LogData
from reverie.logs.stored import learnable

PARTS = [("x", "Box", (1,)), ("v", "Box", (1,))]
SPEC = rv.EnvSpec(2, [-2.0], [2.0], "slide", observations=PARTS, observation_low=[-9, -9], observation_high=[9, 9])
HEAD = "step,episode,x,v,action[0],reward,terminated,truncated,next x,next v"
ROWS = """1,1,0,1,0.5,-1,0,0,1,1.5
2,1,1,1.5,-2,-2,0,1,3,4
3,2,5,6,2,-3,0,0,7,8
4,2,7,8,0,-4.5,1,0,8.5,8.75"""


@pytest.fixture
def file(tmp_path):
    """Return a writer of a table: (rows, head) -> its path."""

    def write(rows=ROWS, head=HEAD, name="log.csv"):
        path = tmp_path / name
        path.write_text(f"{head}\n{rows}\n" if rows else f"{head}\n")
        return path

    return write


def read(path, spec=SPEC, **settings):
    return Log(path, **settings).read(spec)


def test_a_table_is_read_by_the_names_of_its_columns(file):
    found = read(file())
    np.testing.assert_array_equal(found.observations, [[0, 1], [1, 1.5], [5, 6], [7, 8]])
    np.testing.assert_array_equal(found.actions, [[0.5], [-2], [2], [0]])
    np.testing.assert_array_equal(found.rewards, [-1, -2, -3, -4.5])
    np.testing.assert_array_equal(found.next_observations, [[1, 1.5], [3, 4], [7, 8], [8.5, 8.75]])
    assert (
        found.terminated.tolist() == [False, False, False, True]
        and found.truncated.tolist() == [False, True] + [False] * 2
    )
    assert found.episode.tolist() == [1, 1, 2, 2] and found.places.tolist() == [2, 3, 4, 5] and not found.notes


def test_permuted_columns_are_the_same_log(file):
    table = [line.split(",") for line in [HEAD, *ROWS.split("\n")]]
    order = np.random.default_rng(0).permutation(10)
    head, *rows = [",".join(line[i] for i in order) for line in table]
    one, two = read(file()), read(file("\n".join(rows), head, "other.csv"))
    for name in ("observations", "actions", "rewards", "next_observations", "terminated", "truncated"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_seen(file, separator):
    found = read(file(ROWS.replace(",", separator), HEAD.replace(",", separator)))
    np.testing.assert_array_equal(found.rewards, [-1, -2, -3, -4.5])


def test_names_and_units_are_mapped(file, tmp_path):
    head = "r,pos_mm,speed,volts"
    path = file("-1,1000,2,1\n-2,2000,3,0\n-3,3000,4,1", head)
    columns = {
        "x": {"column": "pos_mm", "factor": 0.001},
        "v": "speed",
        "action[0]": {"column": "volts", "factor": 3, "offset": -1},
        "reward": {"column": "r", "factor": 10},
    }
    (tmp_path / "columns.json").write_text(json.dumps(columns))
    for given in (columns, tmp_path / "columns.json"):
        found = read(path, columns=given)
        np.testing.assert_allclose(found.observations, [[1, 2], [2, 3]])
        np.testing.assert_allclose(found.next_observations, [[2, 3], [3, 4]])
        np.testing.assert_allclose(found.actions, [[2], [-1]])
        np.testing.assert_allclose(found.rewards, [-10, -20])
        assert found.observation_names == ("pos_mm", "speed")


def test_without_next_columns_each_row_is_followed_by_the_next_one(file):
    """The end of an episode and a gap have no next observation; nothing is learnt from what follows a death."""
    head = "step,episode,x,v,action[0],reward,terminated"
    rows = "1,1,0,0,0,0,0\n2,1,1,1,0,0,0\n3,2,2,2,0,0,0\n5,2,4,4,0,0,0\n6,2,5,5,0,0,1\n7,3,6,6,0,0,0\n8,3,7,7,0,0,0"
    found = read(file(rows, head))
    assert found.places.tolist() == [2, 5, 6, 7]
    np.testing.assert_array_equal(found.next_observations[:, 0], [1, 5, 5, 7])
    assert found.terminated.tolist() == [False, False, True, False]
    assert found.notes == ("1 row before a gap left out, since the next observation is not known",)


def test_gaps_are_seen_by_the_clock_where_steps_are_not_counted(file):
    head = "time,x,v,action[0],reward,terminated"
    times = ["2026-11-29T20:00:00", "2026-11-29T20:00:01", "2026-11-29T20:00:02", "2026-11-29T20:01:00"]
    found = read(file("\n".join(f"{time},{i},0,0,0,0" for i, time in enumerate(times)), head))
    assert found.observations[:, 0].tolist() == [0, 1]
    np.testing.assert_array_equal(found.next_observations[:, 0], [1, 2])


NAMED = rv.EnvSpec(
    2,
    [-2.0],
    [2.0],
    "line7",
    observation_names=["bpm", "speed"],
    observation_units=["mm", ""],
    action_names=["quad"],
    action_units=["A"],
)


def test_units_may_stand_behind_names_and_must_agree(file):
    """As `reverie export` writes them, with what was asked for and who chose, which is for people."""
    head = "bpm [mm],speed,quad [A],reward,terminated,next bpm [mm],next speed,asked quad [A],source"
    path = file("1,2,0.5,-1,0,3,4,0.7,policy\n3,4,1,-2,0,5,6,2,human", head)
    found = read(path, NAMED)
    np.testing.assert_array_equal(found.observations, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(found.actions, [[0.5], [1]])
    assert found.observation_names == ("bpm", "speed") and found.action_units == ("A",) and not found.notes
    assert {finding.verdict for finding in check(found, NAMED)[0] if finding.topic == "units"} == {"ok"}
    assert read(path, None).action_names == ("quad [A]",)
    other = file("1,2,0.5,-1,0,3,4\n3,4,1,-2,0,5,6", head[: head.index(",asked")].replace("mm", "m"), "other.csv")
    with pytest.raises(ConfigError, match=r"column bpm is in m, and should be in mm: other units\?"):
        checked(Log(other), NAMED)
    kept, _ = checked(Log(other, {"bpm": {"column": "bpm", "factor": 1000}}), NAMED)
    np.testing.assert_array_equal(kept.observations, [[1000, 2], [3000, 4]])


def test_a_name_with_two_units_is_no_name(file):
    head = "bpm [mm],bpm [deg],speed,quad,reward,terminated"
    with pytest.raises(ConfigError, match="lacks column bpm; it has bpm"):
        read(file("1,2,3,0.5,-1,0\n3,4,5,1,-2,0", head), NAMED)
    assert read(file("1,2,3,0.5,-1,0\n3,4,5,1,-2,0", head), NAMED, columns={"bpm": "bpm [deg]"}).observations[0, 0] == 2


def npz(tmp_path, **changes):
    arrays = {
        "observations": np.arange(8.0).reshape(4, 2),
        "actions": np.zeros(4),
        "rewards": np.arange(4.0)[:, None],
        "terminals": np.array([0, 0, 0, 1]),
    }
    arrays |= changes
    path = tmp_path / "log.npz"
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def test_arrays_of_other_programs_are_read(tmp_path):
    found = read(npz(tmp_path))
    np.testing.assert_array_equal(found.next_observations, [[2, 3], [4, 5], [6, 7], [6, 7]])
    assert found.actions.shape == (4, 1) and found.rewards.tolist() == [0, 1, 2, 3] and found.terminated[-1]
    found = read(npz(tmp_path, next_observations=np.ones((4, 2)), timeouts=np.array([0, 1, 0, 0])))
    assert (found.next_observations == 1).all() and found.episode.tolist() == [1, 1, 2, 2]


class Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"observations": None}, "lacks the array observations; it has actions, rewards, terminals"),
        ({"actions": np.zeros(3)}, "actions has shape (3,); one is needed for each of the observations, which are 4"),
        ({"actions": np.array(["a", "b", "c", "d"])}, "actions holds <U1, not numbers"),
        ({"rewards": np.zeros((4, 2))}, "rewards has shape (4, 2); give one number for each of 4"),
        ({"observations": np.zeros((0, 2))}, "is empty"),
        ({"next_observations": np.zeros((4, 3))}, "have different sizes"),
        (
            {"rewards": np.array([Evil()] * 4, object)},
            "holds no plain arrays (Object arrays cannot be loaded when allow_pickle",
        ),
        ({"facts": np.array("{")}, "is no log, or its facts are damaged"),
        ({"facts": np.array('{"observation_names": ["a"]}')}, "observations have 2 columns and 1 names"),
        ({"facts": np.array('{"action_low": [1], "action_high": [0]}')}, "its facts are wrong"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, changes, says, capsys):
    with pytest.raises(StorageError) as caught:
        read(npz(tmp_path, **changes))
    assert says in str(caught.value) and "log.npz" in str(caught.value)
    assert "unpickled" not in capsys.readouterr().out


def test_damaged_arrays_are_refused(tmp_path):
    path = npz(tmp_path)
    data = path.read_bytes()
    for damaged in (data[:100], b"", b"PK\x03\x04" + data[60:], data[:-30]):
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match=r"log\.npz is damaged"):
            read(path)


@pytest.mark.parametrize(
    ("rows", "head", "says"),
    [
        ("", HEAD, "is empty: there is no row of data below a row of names"),
        (ROWS, HEAD.replace("v,action[0]", "w,action[0]"), "lacks column v; it has step, episode, x, w"),
        (ROWS, HEAD.replace("x,v,action[0]", "a,b,c"), "lacks columns x, v, action[0]; it has step, episode, a, b, c"),
        (ROWS, HEAD.replace("next v", "nxt v"), "lacks column next v"),
        (ROWS, HEAD.replace("reward", "r"), "lacks column reward"),
        (ROWS, HEAD.replace("next v", "v"), "names column 'v' twice"),
        (ROWS.replace("0.5", "full"), HEAD, "line 2, column action[0]: 'full' is no number"),
        (ROWS.replace("4,2,7", "4,two,7"), HEAD, "line 5, column episode: 'two' is no number"),
        (ROWS.replace("4,2,7", "4,2.5,7"), HEAD, "line 5, column episode: '2.5' is no whole number"),
        (ROWS.replace(",1,0,8.5", ",2,0,8.5"), HEAD, "line 5, column terminated: '2' is neither 0 nor 1"),
        (ROWS + ",3", HEAD, "line 5 has 11 fields, not 10"),
        ('1,"', "a,b", "is damaged: unexpected end of data"),
    ],
)
def test_tables_that_do_not_fit_are_refused(file, rows, head, says):
    with pytest.raises((ConfigError, StorageError)) as caught:
        read(file(rows, head))
    assert says in str(caught.value) and "log.csv" in str(caught.value)


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"\xff\xfe\x00x,v\n1,2\n")
    with pytest.raises(StorageError, match="not text in UTF-8"):
        read(tmp_path / "log.csv")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"x": 3}, "columns is"),
        (7, "columns is 7; give a dict"),
        ({"x": {"column": "a", "factor": 0}}, "columns is"),
        ({"x": {"column": "a", "scale": 2}}, "columns is"),
        ({"x": "nowhere"}, "lacks column nowhere"),
        ({"y": "v"}, "unknown sensor or actuator of slide 'y'"),
    ],
)
def test_a_wrong_mapping_is_refused(file, columns, says):
    with pytest.raises(ConfigError) as caught:
        read(file(), columns=columns)
    assert says in str(caught.value)


def data_of(**changes):
    """Return 40 transitions in which nothing is wrong."""
    generator, n = np.random.default_rng(0), 40
    path = generator.standard_normal((n + 1, 2))
    facts = {
        "name": "log.csv",
        "places": np.arange(2, n + 2),
        "place": "line",
        "observation_names": ("x", "v"),
        "action_names": ("push",),
        "episode": np.repeat([1, 2], n // 2),
        "step": np.arange(1, n + 1),
        "time": None,
        "observations": path[:-1],
        "actions": generator.uniform(-2, 2, (n, 1)),
        "rewards": generator.standard_normal(n),
        "terminated": np.zeros(n, bool),
        "truncated": np.arange(n) % 20 == 19,
        "next_observations": path[1:],
    }
    return LogData(**(facts | changes))


def put(array, places, value):
    found = np.array(array, copy=True)
    found[places] = value
    return found


def test_a_good_log_is_well():
    findings, figures = check(data_of(), SPEC)
    assert [finding.topic for finding in findings] == [
        "columns",
        "values",
        "steps",
        "actions",
        "endings",
        "rewards",
        "units",
    ]
    assert {finding.verdict for finding in findings} == {"ok"}
    assert (figures["transitions"], figures["episodes"], figures["truncated"]) == (40, 2, 2)


GOOD = data_of()
ENDS = np.arange(40) % 20 == 19


@pytest.mark.parametrize(
    ("changes", "topic", "verdict", "says"),
    [
        (
            {"observations": put(GOOD.observations, (7, 1), np.nan)},
            "values",
            "wrong",
            "column v is empty or not finite in line 9",
        ),
        (
            {"rewards": put(GOOD.rewards, [3, 9], np.inf)},
            "values",
            "wrong",
            "the reward is empty or not finite in line 5 (and in 1 more)",
        ),
        ({"actions": put(GOOD.actions, 0, np.nan)}, "values", "wrong", "column push is empty or not finite in line 2"),
        ({"observations": put(GOOD.observations, (slice(None), 0), 4.0)}, "values", "note", "column x never changes"),
        ({"observations": 1000 * GOOD.observations}, "values", "note", "set observation_normalisation=true"),
        (
            {"step": put(GOOD.step, slice(5, None), GOOD.step[5:] + 3)},
            "steps",
            "note",
            "steps jump within an episode in 1 place, first before line 7",
        ),
        (
            {"step": None, "time": np.where(np.arange(40) < 9, 0, 50.0) + np.arange(40)},
            "steps",
            "note",
            "time jumps within an episode in 1 place, first before line 11",
        ),
        ({"step": put(GOOD.step, 5, 1)}, "steps", "note", "steps run backwards within an episode in 1 place"),
        ({"step": put(GOOD.step, 5, 5)}, "steps", "note", "1 transition of 40 equal the one before (line 7 first)"),
        ({"step": np.repeat(np.arange(10), 4)}, "steps", "wrong", "keep one row for each step of the machine"),
        (
            {"next_observations": np.roll(GOOD.next_observations, 1, axis=0)},
            "steps",
            "note",
            "are rows missing, or columns shifted?",
        ),
        (
            {"actions": put(GOOD.actions, 4, 2.5)},
            "actions",
            "note",
            "1 action of 40 lies outside the bounds (column push is 2.5 in line 6, and the bounds are [-2, 2])",
        ),
        ({"actions": 50 * GOOD.actions}, "actions", "wrong", "are they in other units?"),
        (
            {"actions": 0.005 * GOOD.actions},
            "actions",
            "note",
            "actions move in a small part of their range: column push (0.5%)",
        ),
        ({"actions": 0 * GOOD.actions}, "actions", "note", "column push never moves"),
        (
            {"terminated": ENDS, "truncated": 0 * ENDS > 0},
            "endings",
            "note",
            "every episode is terminated after exactly 20 steps",
        ),
        ({"terminated": np.arange(40) == 39}, "endings", "note", "terminated and truncated at once"),
        (
            {"terminated": np.arange(40) == 39, "truncated": np.arange(40) == 19},
            "endings",
            "note",
            "only the last transition of the log is terminated",
        ),
        ({"rewards": np.full(40, 2.0)}, "rewards", "note", "every reward is 2: nothing can be learnt from it"),
        ({"rewards": 1e4 * GOOD.rewards}, "rewards", "note", "set reward_scale"),
        ({"observations": GOOD.observations + np.array([0, 30])}, "units", "wrong", "column v reaches 32"),
        (
            {"observations": put(GOOD.observations, (3, 1), 30.0)},
            "units",
            "note",
            "column v reaches 30, and its bounds are [-9, 9]: other units?",
        ),
    ],
)
def test_what_is_not_well_is_named_with_what_to_do(changes, topic, verdict, says):
    findings, _ = check(data_of(**changes), SPEC)
    found = {finding.topic: finding for finding in findings}[topic]
    assert found.verdict == verdict, found
    assert says in found.text and "\n" not in found.text


def test_units_are_compared_with_what_the_environment_shows():
    spec = rv.EnvSpec(2, [-2.0], [2.0])
    usual = np.random.default_rng(1).standard_normal((50, 2)) * [1.0, 1000.0]
    (finding,) = [found for found in check(data_of(), spec, usual)[0] if found.topic == "units"]
    assert finding.verdict == "note" and "column v is within ±" in finding.text and "column x" not in finding.text


def test_only_what_can_be_learnt_from_is_kept():
    """Actions outside the bounds and single outliers are left out; huge values are clipped."""
    data = data_of(actions=put(GOOD.actions, 4, 2.5), observations=put(GOOD.observations, (9, 0), 1e12))
    kept = learnable(data, SPEC)
    rest = np.delete(np.arange(40), [4, 9])
    np.testing.assert_array_equal(kept.rewards, GOOD.rewards[rest])
    np.testing.assert_array_equal(kept.observations, GOOD.observations[rest].astype(np.float32))
    rows = kept.rows(SPEC)
    np.testing.assert_allclose(rows[:, 2], GOOD.actions[rest, 0] / 2, atol=1e-7)
    assert rows.shape == (38, 7) and (rows[:, 4] == 1).all()


def test_discrete_actions_outside_are_left_out():
    spec = rv.EnvSpec(2, actions=3, first_action=5, observations=PARTS)
    data = data_of(actions=np.tile([5.0, 6.0, 7.0, 8.0, 5.5], 8)[:, None], action_names=("action",))
    kept = learnable(data, spec)
    assert len(kept) == 24 and set(kept.rows(spec)[:, 2]) == {0.0, 1.0, 2.0}
    (finding,) = [found for found in check(data, spec)[0] if found.topic == "actions"]
    assert "column action is 8 in line 5, and they are the whole numbers 5 to 7" in finding.text


def test_rewards_are_computed_again(file):
    def reward(observation, action, after):
        assert observation.shape == (2,) and action.shape == (1,)
        return 10 * after[0] + action[0]

    found = read(file(head=HEAD.replace("reward", "r")), reward=reward)
    np.testing.assert_allclose(found.rewards, [10.5, 28, 72, 85])
    for function, says in (
        (lambda o, a, b: 1 / 0, "raised for line 2"),
        (lambda o, a, b: float("nan"), "gave nan for line 2"),
    ):
        with pytest.raises(ConfigError, match=says):
            read(file(), reward=function)
    with pytest.raises(ConfigError, match="cannot import"):
        read(file(), reward="no_such_module:reward")


def test_wrong_logs_are_refused_before_learning(file):
    with pytest.raises(
        ConfigError, match=r"log\.csv is not fit to learn from: column v is empty or not finite in line 3"
    ):
        checked(Log(file(ROWS.replace("1,1.5,-2", "1,,-2"))), SPEC)
    _, notes = checked(Log(file()), SPEC)
    assert any("only the last transition" in note for note in notes)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (rv.EnvSpec(3, [-2.0], [2.0]), "has 2 sensors (x, v) instead of 3"),
        (rv.EnvSpec(2, [-2.0] * 2, [2.0] * 2), "has 1 actuator (action[0]) instead of 2"),
        (rv.EnvSpec(2, actions=3), "has continuous actions, and world discrete actions"),
        (
            rv.EnvSpec(2, [-2.0], [2.0], observations=[("x", "Box", (1,)), ("w", "Box", (1,))]),
            "lacks sensor w; it has x, v",
        ),
    ],
)
def test_a_run_of_another_machine_is_refused(tmp_path, spec, says):
    begin(tmp_path / "run")
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "run", spec)
    assert says in str(caught.value)


def begin(out, spec=SPEC, steps=30):
    agent = rv.NAF(hidden=(4,), batch_size=4, warmup_steps=100)
    with rv.Learner(agent, spec=spec, out=out) as learner:
        generator = np.random.default_rng(0)
        observation = generator.standard_normal(spec.observation_dim)
        for step in range(steps):
            action = learner.ask(observation)
            observation = generator.standard_normal(spec.observation_dim)
            learner.tell(float(action[0]), observation, False, step % 10 == 9)


def test_a_run_with_permuted_sensors_is_found_by_name(tmp_path):
    begin(tmp_path / "run")
    one = read(tmp_path / "run")
    other = rv.EnvSpec(2, [-4.0], [4.0], observations=PARTS[::-1])
    two = read(tmp_path / "run", other)
    np.testing.assert_array_equal(one.observations, two.observations[:, ::-1])
    np.testing.assert_array_equal(one.actions, two.actions)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("log.csv", True),
        ("a/b.NPZ", True),
        ("minari:x-v0", True),
        ("Pendulum-v1", False),
        ("reacher", False),
        ("package.module:make", False),
        ("x" * 5000, False),
        ("a\0b", False),
    ],
)
def test_logs_are_told_from_environments(text, found):
    assert is_log(text) == found


def test_check_reads_a_log_by_itself_and_against_an_environment(file, tmp_path, monkeypatch):
    begin(tmp_path / "run")
    facts = one_object("check", tmp_path / "run")
    assert facts["fit"] and facts["transitions"] == 30 and facts["observations"] == ["x", "v"]
    monkeypatch.chdir(tmp_path)
    assert one_object("check", file().name)["actions"] == ["action[0]"]
    status, out, err = reverie("check", "log.csv", "--env", "worlds:Line")
    assert (status, out) == (2, "") and "lacks columns observation[0], observation[1]" in err
    columns = {"observation[0]": {"column": "x", "factor": 10}, "observation[1]": "v"}
    (tmp_path / "columns.json").write_text(json.dumps(columns))
    status, out, err = reverie("check", "log.csv", "--env", "worlds:Line", "--columns", "columns.json")
    assert status == 2 and "wrong units" in out and "log.csv is not fit to learn from" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nowhere.csv",), "there is no file nowhere.csv"),
        ((".",), "holds no run"),
        (("Pendulum-v1", "--env", "Pendulum-v1"), "--env is for checking a log"),
        (("minari:no/such-v0",), "there is no Minari dataset no/such-v0"),
        (("minari:",), "lacks the name of a dataset"),
    ],
)
def test_wrong_words_of_check_get_one_line(tmp_path, monkeypatch, words, says):
    if words[0].startswith("minari:"):
        pytest.importorskip("h5py")
        pytest.importorskip("minari")
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    monkeypatch.chdir(tmp_path)
    assert says in refusal("check", *words)
