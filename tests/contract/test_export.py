"""An exported policy answers as the run's own does, for every algorithm; wrong input gets one line and leaves nothing."""

import inspect
import io
import json
import pickle
import re
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest

import reverie as rv
import reverie.policy
from cases import ROLLED_OUT
from commands import done, one_object, refusal
from reverie.core.errors import ConfigError, ReverieWarning
from reverie.core.machine_limits import resolved
from reverie.export import onnx_file, policy_file
from reverie.export.policy_file import export_policy
from reverie.policy import Policy
from reverie.training.saved_policy import SavedPolicy

CONTINUOUS = rv.EnvSpec(4, [-1.0, 0.1, -1e3], [3.0, 0.3, 1e4], "line7")
DISCRETE = rv.EnvSpec(4, name="valves", actions=5, first_action=3)
SMALL = {"hidden": (8, 8), "batch_size": 4, "warmup_steps": 4, "updates_per_step": 1}
AGENTS = {
    "naf": rv.NAF(**SMALL),
    "naf without normalisation": rv.NAF(**SMALL, normalisation="none"),
    "naf with normalised observations": rv.NAF(**SMALL, observation_normalisation=True),
    "naf with batch normalisation": rv.NAF(**SMALL, normalisation="batch"),
    "naf with normalised inputs": rv.NAF(**SMALL, normalisation="batch_inputs"),
    "naf with a hard bound": rv.NAF(**SMALL, mean_bound="clip"),
    "ddpg": rv.DDPG(**SMALL),
    "sac": rv.SAC(**SMALL),
    "xqc": rv.XQC(**SMALL, actor_hidden=(8, 8)),
    "xqc with normalised observations": rv.XQC(**SMALL, actor_hidden=(8,), observation_normalisation=True),
    "ppo": rv.PPO(**ROLLED_OUT),
    "dqn": rv.DQN(**SMALL),
    "imagination": rv.Imagination(rv.NAF(**SMALL), rv.LinearGaussian()),
}


@pytest.fixture(scope="module", params=AGENTS)
def run(request, tmp_path_factory):
    """A run of 20 steps, and what its learner predicts."""
    agent = AGENTS[request.param]
    spec = DISCRETE if request.param == "dqn" else CONTINUOUS
    folder = tmp_path_factory.mktemp("run") / "line7"
    generator = np.random.default_rng(0)
    observations = np.concatenate([generator.standard_normal((300, 4)), 1e6 * generator.standard_normal((9, 4))])
    with rv.Learner(agent, spec=spec, out=folder) as learner:
        for step in range(20):
            learner.ask(observations[step])
            learner.tell(-1.0, observations[step + 1], terminated=False, truncated=step % 10 == 9)
        learner.save()
        return folder, observations.astype(np.float32), learner.predict(observations)


@pytest.mark.parametrize("ending", ["npz", "onnx"])
def test_a_file_answers_as_the_learner_does(run, ending, tmp_path):
    folder, observations, wanted = run
    file = tmp_path / f"policy.{ending}"
    facts = one_object("export", folder, "-o", file)
    assert facts["difference"] <= policy_file.TOLERANCE and facts["step"] == 20 and facts["run"] == "line7"
    if ending == "npz":
        found, state = Policy.load(file).predict(observations)
        assert state is None
    else:
        found = onnx_file.answers(file.read_bytes(), observations)
    assert found.shape == wanted.shape
    if facts["actions"]:
        assert found.dtype == np.int64 and set(found.ravel()) <= set(range(3, 8))
        assert np.mean(found == wanted) > 0.99
        return
    width = np.subtract(CONTINUOUS.action_high, CONTINUOUS.action_low)
    assert np.max(np.abs(found - wanted) / width) < 1e-5
    assert (found >= CONTINUOUS.action_low).all() and (found <= CONTINUOUS.action_high).all()


def test_one_observation_gives_one_action(run, tmp_path):
    folder, observations, wanted = run
    done("export", folder, "-o", tmp_path / "policy.npz")
    action, state = Policy.load(tmp_path / "policy.npz").predict(observations[0], state="mine", deterministic=True)
    assert action.shape == wanted[0].shape and state == "mine"
    np.testing.assert_allclose(action, wanted[0], rtol=1e-4, atol=1e-2)


@pytest.fixture
def exported(tmp_path):
    """The file of one policy."""
    with rv.Learner(rv.NAF(**SMALL), spec=CONTINUOUS, out=tmp_path / "run") as learner:
        learner.save()
    done("export", tmp_path / "run", "-o", tmp_path / "policy.npz")
    return tmp_path / "policy.npz"


def test_the_reader_is_under_100_lines_and_has_the_signature_of_sb3():
    assert len(inspect.getsource(reverie.policy).splitlines()) < 100
    parameters = inspect.signature(Policy.predict).parameters
    assert [*parameters] == ["self", "observation", "state", "episode_start", "deterministic"]
    assert parameters["deterministic"].default is True


ALONE = """
import sys
for name in ("reverie", "jax", "gymnasium", "scipy", "msgspec", "safetensors"):
    sys.modules[name] = None  # as if it were not installed
from line7_policy import Policy
print(Policy.load(sys.argv[1]).predict([0.1, 0.2, 0.3, 0.4])[0].tolist())
"""


def test_the_reader_runs_as_a_single_file_with_numpy_alone(exported, tmp_path):
    shutil.copy(reverie.policy.__file__, tmp_path / "line7_policy.py")
    words = [sys.executable, "-c", ALONE, str(exported)]
    found = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    np.testing.assert_allclose(json.loads(found.stdout), Policy.load(exported).predict([0.1, 0.2, 0.3, 0.4])[0])


OLD = """
__version__, registry = "0.29.1", {}
def register(id, **named):
    registry[id] = named
"""


def test_the_reader_imports_beside_an_old_gymnasium(exported, tmp_path):
    (tmp_path / "gymnasium").mkdir()
    (tmp_path / "gymnasium" / "__init__.py").write_text(OLD)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import gymnasium\n"
        "from reverie.policy import Policy; print(gymnasium.__version__, Policy.load(sys.argv[2]).facts['step'])\n"
        "assert not {'jax', 'scipy', 'msgspec'} & {*sys.modules}"
    )
    words = [sys.executable, "-W", "error", "-c", script, str(tmp_path), str(exported)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "0.29.1 0\n"


@pytest.mark.parametrize("observation", [[1.0], np.zeros((2, 5)), np.zeros((1, 1, 4)), 3.0])
def test_an_observation_of_another_shape_is_refused(exported, observation):
    with pytest.raises(ValueError, match=r"give \[4\] or \[batch, 4\]"):
        Policy.load(exported).predict(observation)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_action_comes_of_an_observation_that_is_not_finite(exported, bad):
    with pytest.raises(ValueError, match="not finite"):
        Policy.load(exported).predict([bad, 0, 0, 0])


@pytest.mark.parametrize("observation", [{"x": 1.0}, [object()] * 4, [10**400, 0, 0, 0], {1, 2, 3, 4}])
def test_what_is_no_array_of_numbers_is_refused(exported, observation):
    with pytest.raises(ValueError, match="not an array of numbers"):
        Policy.load(exported).predict(observation)


def test_a_batch_without_rows_has_no_actions(exported):
    action, _ = Policy.load(exported).predict(np.zeros((0, 4)))
    assert action.shape == (0, 3)


def rewritten(file, change):
    """Write a policy's file anew, once `change(facts, constants)` was called."""
    with np.load(file) as held:
        constants = {name: held[name] for name in held.files}
    facts = json.loads(str(constants.pop("facts")))
    change(facts, constants)
    np.savez(file, facts=np.array(json.dumps(facts)), **constants)


DAMAGE = {
    "no steps": lambda facts, constants: facts.pop("steps"),
    "no kind of action": lambda facts, constants: facts.pop("actions"),
    "steps that are a number": lambda facts, constants: facts.update(steps=1),
    "an unknown operation": lambda facts, constants: facts["steps"][0].__setitem__(0, "Conv"),
    "an input of a later step": lambda facts, constants: facts["steps"][0].__setitem__(1, ["action", "c0"]),
    "an attribute that the operation lacks": lambda facts, constants: facts["steps"][0].__setitem__(3, {"to": 1}),
    "a step too few": lambda facts, constants: facts["steps"].pop(),
    "a missing constant": lambda facts, constants: constants.pop("c0"),
    "a constant of another shape": lambda facts, constants: constants.update(c0=np.zeros((7, 7), np.float32)),
    "a constant of text": lambda facts, constants: constants.update(c0=np.array(["x"])),
    "another number of actions": lambda facts, constants: facts.update(action_dim=2),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_program_is_refused_when_it_is_loaded(exported, damage):
    rewritten(exported, DAMAGE[damage])
    with pytest.raises(ValueError, match=r"cannot read a policy from .*policy\.npz, which may be damaged"):
        Policy.load(exported)


class Unpickled:
    def __reduce__(self):
        return pytest.fail, ("it was unpickled",)


def as_npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


OTHER_FILES = {
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "changed bytes": lambda file: file.write_bytes(file.read_bytes()[:500] + b"xyz" + file.read_bytes()[503:]),
    "one array": lambda file: file.write_bytes(as_npy(np.zeros(3))),
    "other arrays": lambda file: np.savez(file, a=np.zeros(3)),
    "facts that are no JSON": lambda file: np.savez(file, facts=np.array("{")),
    "facts that are a list": lambda file: np.savez(file, facts=np.array("[]")),
    "a pickle": lambda file: file.write_bytes(pickle.dumps(Unpickled())),
    "an array of objects": lambda file: np.savez(file, facts=np.array([Unpickled()], object)),
}


@pytest.mark.parametrize("other", OTHER_FILES)
def test_a_file_that_is_no_policy_is_refused(exported, other):
    OTHER_FILES[other](exported)
    with pytest.raises(ValueError, match="cannot read a policy from"):
        Policy.load(exported)


def test_a_file_of_a_later_version_is_refused(exported, monkeypatch):
    monkeypatch.setattr(reverie.policy, "VERSION", 0)
    with pytest.raises(ValueError, match="version 1; this reader reads version 0"):
        Policy.load(exported)


def test_a_file_that_answers_otherwise_is_not_written(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(policy_file, "TOLERANCE", -1.0)
    before = exported.read_bytes()
    for name in ("policy.npz", "new.onnx"):
        assert "nothing was written" in refusal("export", tmp_path / "run", "-o", tmp_path / name)
    assert exported.read_bytes() == before and not (tmp_path / "new.onnx").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "-o", "policy.txt"), "ends in .txt; a policy is written to a file that ends in .onnx or .npz"),
        (("run", "-o", "policy"), ".onnx or .npz"),
        (("run", "-o", "nowhere/policy.npz"), "there is no folder"),
        (("run",), "-o"),
        (("nothing", "-o", "policy.npz"), "holds no run"),
        (("run", "-o", "policy.npz", "--best"), "best.safetensors does not exist yet"),
    ],
)
def test_wrong_input_gets_one_line(exported, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    assert says in refusal("export", *words)


def test_without_onnx_one_line_says_what_to_install(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "pip install onnx" in refusal("export", tmp_path / "run", "-o", tmp_path / "policy.onnx")
    assert not (tmp_path / "policy.onnx").exists()


def test_bounds_are_kept_though_float32_cannot_hold_them():
    spec = rv.EnvSpec(1, [0.1, -0.3], [0.3, 0.7])
    function = policy_file.in_units(lambda x: x, spec, resolved(rv.Limits(), spec))
    for extreme in (-1.0, 1.0, -5.0, 5.0):
        action = np.asarray(function(np.full((1, 2), extreme, np.float32)), float)
        assert (action >= spec.action_low).all() and (action <= spec.action_high).all()


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (500.0, 500.01, "line7: action 1 has the bounds [500.0, 500.01], .* 3e-05 apart there"),
        (0.1, 0.1 + 1e-9, "7e-09 apart there"),
        (-1e300, 1e300, "end before them"),
        (-1e-45, 1e-45, "1e-45 apart there"),
    ],
)
def test_bounds_between_which_float32_is_too_coarse_are_named(tmp_path, low, high, says):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReverieWarning)  # of ranges of very different sizes
        spec = rv.EnvSpec(2, [-1.0, low], [1.0, high], "line7")
        with rv.Learner(rv.NAF(**SMALL), spec=spec, out=tmp_path / "run") as learner:
            learner.save()
        with pytest.raises(ConfigError, match=re.sub(r"([\[\]])", r"\\\1", says)):
            policy_file.export_policy(SavedPolicy(tmp_path / "run"), tmp_path / "policy.npz")
    assert not (tmp_path / "policy.npz").exists()


NAMED = rv.EnvSpec(
    4,
    [-1.0, 0.1, -1e3],
    [3.0, 0.3, 1e4],
    "line7",
    action_names=["a", "b", "c"],
    action_units=["A", "A", "V"],
    observation_units=["mm"] * 4,
)


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A run with box, region and slew, whose mean reaches all of its range."""
    folder = tmp_path_factory.mktemp("limited") / "line7"
    limits = rv.Limits(low={"a": 0.0}, slew={"a": 0.25, "c": 100.0}, region=({"c": 500.0}, 700.0))
    generator = np.random.default_rng(0)
    with rv.Learner(rv.NAF(**SMALL), spec=NAMED, out=folder, limits=limits) as learner:
        for _ in range(12):
            learner.ask(generator.standard_normal(4))
            learner.tell(-1.0, generator.standard_normal(4), terminated=False)
        learner.abort("beam lost")
        learner.save()
    return folder


def test_the_file_holds_box_and_slew(limited, tmp_path):
    file = tmp_path / "policy.npz"
    facts = one_object("export", limited, "-o", file)
    assert (facts["limit_low"], facts["limit_high"]) == ([0.0, 0.1, -200.0], [3.0, 0.3, 1200.0])
    assert facts["slew"] == [0.25, None, 100.0] and facts["action_units"] == ["A", "A", "V"]
    assert facts["ended"].startswith("12 steps learnt; mean return -12 of the last 1 training episode")
    policy, generator = Policy.load(file), np.random.default_rng(1)
    action, state = policy.predict(generator.standard_normal(4))
    for _ in range(50):
        following, state = policy.predict(100 * generator.standard_normal(4), state)
        assert abs(following[0] - action[0]) <= 0.25 and abs(following[2] - action[2]) <= 100.0
        assert (following >= np.float32([0.0, 0.1, -200.0])).all() and (
            following <= np.float32([3.0, 0.3, 1200.0])
        ).all()
        action = following


def test_a_slew_restarts_with_an_episode_and_works_in_batches(limited, tmp_path):
    file = tmp_path / "policy.npz"
    one_object("export", limited, "-o", file)
    policy, seen = Policy.load(file), 100 * np.random.default_rng(2).standard_normal((3, 4))
    free, _ = policy.predict(seen)
    held, state = policy.predict(seen, np.zeros((3, 3)), np.array([True, False, False]))
    np.testing.assert_array_equal(held[0], free[0])
    assert (np.abs(held[1:, 0]) <= 0.25).all() and (np.abs(held[1:, 2]) <= 100.0).all()
    np.testing.assert_array_equal(policy.predict(seen[1], np.zeros(3))[0], held[1])
    np.testing.assert_array_equal(policy.predict(seen[1], np.zeros(3), True)[0], free[1])
    np.testing.assert_array_equal(state, held)


def test_an_onnx_file_with_a_slew_has_a_second_input(limited, tmp_path):
    file, arrays = tmp_path / "policy.onnx", tmp_path / "policy.npz"
    one_object("export", limited, "-o", file)
    one_object("export", limited, "-o", arrays)
    seen = 100 * np.random.default_rng(2).standard_normal((5, 4)).astype(np.float32)
    last = np.array([[0.5, 0.2, 0.0]] * 4 + [[np.nan] * 3], np.float32)
    found = onnx_file.answers(file.read_bytes(), seen, last)
    wanted, _ = Policy.load(arrays).predict(seen, last)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert np.abs(found[:4, 0] - 0.5).max() <= 0.25


def test_a_veto_is_not_in_the_file_and_the_facts_say_so(tmp_path):
    with rv.Learner(
        rv.NAF(**SMALL), spec=CONTINUOUS, out=tmp_path / "run", limits=rv.Limits(veto=json.loads)
    ) as learner:
        learner.save()
    facts = one_object("export", tmp_path / "run", "--trust", "-o", tmp_path / "policy.npz")
    assert facts["veto"] == "not in this file: json:loads"


def test_limits_between_which_a_file_has_no_number_are_refused(tmp_path):
    spec = rv.EnvSpec(2, [-1.0, 0.0], [1.0, 1000.0], name="rig")
    limits = rv.Limits(low=[-1.0, 500.00001], high=[1.0, 500.00002])
    with rv.Learner(rv.NAF(**SMALL), spec=spec, out=tmp_path / "run", limits=limits) as learner:
        learner.save()
    with pytest.raises(
        rv.ConfigError, match=r"rig: action 1 has the limits \[500.00001, 500.00002\].*no number between"
    ):
        export_policy(SavedPolicy(tmp_path / "run"), tmp_path / "p.npz")
