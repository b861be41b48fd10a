"""A checkpoint whose checksum holds, with anything in it that no learner writes: named, never learnt from, never acted on."""

import copy
import json
import shutil

import numpy as np
import pytest

import reverie as rv
from reverie.core.errors import StorageError
from reverie.storage import checkpoint
from reverie.training.saved_policy import SavedPolicy

SMALL = {"hidden": (4,), "batch_size": 4, "warmup_steps": 0, "updates_per_step": 1}
PLAIN = rv.NAF(**SMALL)
AGENTS = {
    "plain": PLAIN,
    "dreaming": rv.Imagination(PLAIN, rv.LinearGaussian(episodes=2), plan="ilqg", rollout_length=2),
}
NAN = float("nan")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each agent, three episodes long and a bit."""
    folder = tmp_path_factory.mktemp("runs")
    for name, agent in AGENTS.items():
        with rv.Learner(agent, "worlds:LinearWorld", out=folder / name) as learner:
            learner.learn(63)
    return folder


@pytest.fixture
def run(runs, tmp_path):
    """Return a function that copies a run."""

    def copied(name):
        shutil.copytree(runs / name, tmp_path / "run", ignore=shutil.ignore_patterns(".lock"))
        return tmp_path / "run"

    return copied


def crafted(path, change):
    """Change the latest checkpoint of a run, arrays or facts, and give it the checksum that it should have."""
    file = path / "checkpoint" / "latest.safetensors"
    arrays, facts = checkpoint.read(file)
    arrays = {name: np.array(value) for name, value in arrays.items()}
    facts = copy.deepcopy(facts)
    change(arrays, facts)
    text = json.dumps(facts, sort_keys=True)
    header = {"format": checkpoint.FORMAT, "facts": text, "crc": str(checkpoint._checksum(text, arrays))}
    file.write_bytes(checkpoint.safetensors.numpy.save(arrays, header))
    return file


def assert_refused(path, act=True):
    before = (path / "checkpoint" / "latest.safetensors").read_bytes()
    journal = (path / "experience" / "journal.bin").read_bytes()
    for load in (SavedPolicy,) if act else (rv.Learner.load,):  # one schema for both, and acting compiles nothing
        with pytest.raises(StorageError, match="latest") as told:
            load(path)
        text = str(told.value)
        assert text.isprintable() and ("delete it" in text or "another" in text or "restore" in text), text
    assert (path / "checkpoint" / "latest.safetensors").read_bytes() == before
    assert (path / "experience" / "journal.bin").read_bytes() == journal


def setting(place, value):
    """Return a change that puts a value at "a/b/c" of the facts; a value that is `del` takes it away."""

    def change(arrays, facts):
        *way, last = place.split("/")
        for name in way:
            facts = facts[name]
        if value is del_:
            del facts[last]
        else:
            facts[last] = value

    return change


class Deleted:
    """Stands for a fact that is not there."""

    def __repr__(self):
        return "deleted"


del_ = Deleted()
COUNTS = ("steps", "episodes", "updates", "minibatches", "owed", "metric_count")
ODD = (-1, 1.5, NAN, "1", None, [], True, 2**70, 10**300)


@pytest.mark.parametrize("value", [*ODD, del_], ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("name", COUNTS)
def test_a_count_that_is_none(run, name, value):
    path = run("plain")
    crafted(path, setting(name, value))
    assert_refused(path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("episodes", 64), ("updates", 64), ("owed", 64), ("metric_count", 64), ("steps", 0),
        ("agent", "sac"), ("agent", 7), ("agent", del_),
        ("in_episode", []), ("in_episode", [True, True]), ("in_episode", [1]), ("in_episode", True), ("in_episode", del_),
        ("crc", -1), ("crc", 2**32), ("crc", "1"), ("crc", 1), ("crc", del_),
        ("metric_sums", []), ("metric_sums", [NAN] * 4), ("metric_sums", [1.0] * 99), ("metric_sums", "ab"),
        ("metric_sums", [None]), ("metric_sums", del_),
        *(
            (f"{name}/{part}", value)
            for name in ("noise_generator", "sample_generator")
            for part, value in (
                ("bit_generator", "MT19937"), ("bit_generator", None), ("state", 7), ("state/state", -1),
                ("state/state", 2**128), ("state/inc", 2**200), ("state/inc", "1"), ("state/inc", NAN), ("has_uint32", 2),
                ("has_uint32", -1), ("uinteger", 2**32), ("uinteger", -5), ("state/state", del_), ("uinteger", del_),
            )
        ),
        ("noise_generator", None), ("sample_generator", del_), ("noise_generator", []),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_facts_that_cannot_be(run, place, value):
    path = run("plain")
    crafted(path, setting(place, value))
    # Who only acts needs no metrics, and knows of one world.
    assert_refused(path, act=not place.startswith(("metric_sums", "in_episode", "crc", "agent", "steps")))


@pytest.mark.parametrize("value", [NAN, np.inf])
@pytest.mark.parametrize("which", range(0, 40, 5))
def test_arrays_that_are_not_finite(run, which, value):
    path = run("plain")

    def change(arrays, facts):
        names = sorted(name for name, array in arrays.items() if array.dtype.kind == "f" and array.size)
        arrays[names[which % len(names)]].flat[-1] = value

    crafted(path, change)
    assert_refused(path)


def arrays_changed(change):
    return lambda arrays, facts: arrays.update(change(arrays))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dreams/low", np.zeros(99)), ("dreams/high", np.zeros(())), ("dreams/memory", np.zeros((1, 1))),
        ("dreams/fictional", np.zeros((3, 1), np.float32)), ("dreams/fictional", np.zeros(3, np.float32)),
        ("dreams/old0/states", np.zeros((2, 1))), ("dreams/old0/actions", np.zeros((500, 1))), ("dreams/old0/rewards", NAN),
        ("dreams/old0/context", np.zeros(5)), ("dreams/now/states", np.zeros(())), ("dreams/now/rewards", np.zeros(77)),
        ("dreams/old0/odd", np.zeros(1)), ("dreams/dynamics/F", np.zeros((1, 1, 1))), ("dreams/dynamics/more", np.zeros(1)),
        ("dreams/plan/K", np.zeros((1, 9, 9))), ("dreams/plan/more", np.zeros(2)), ("dreams/plan/k", np.full(3, NAN)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_dreams_that_do_not_go_together(run, name, value):
    path = run("dreaming")
    crafted(path, arrays_changed(lambda arrays: {name: np.asarray(value)}))
    assert_refused(path, act=False)


@pytest.mark.parametrize(
    "gone", ["dreams/low", "dreams/fictional", "dreams/old0/states", "dreams/dynamics/F", "dreams/plan/K"]
)
def test_dreams_of_which_a_part_is_missing(run, gone):
    path = run("dreaming")
    crafted(path, lambda arrays, facts: arrays.pop(gone))
    assert_refused(path, act=False)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((f"dreams/{name}", value) for name in ("episodes", "fits", "added", "imagined") for value in (-1, 0.5, None, del_)),
        ("dreams/added", 1), ("dreams/trust", NAN), ("dreams/trust", 2.0), ("dreams/status", 99), ("dreams/known", 1),
        ("dreams/report", []), ("dreams/report", {"nrmse_1": "x"}), ("dreams/generator", {}), ("dreams", del_), ("dreams", 7),
        ("plan/eta", 0.0), ("plan/eta", NAN), ("plan/failures", -1), ("plan/improve", 1), ("plan", []), ("plan", del_),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_facts_of_dreams_that_cannot_be(run, place, value):
    path = run("dreaming")
    crafted(path, setting(place, value))
    assert_refused(path, act=False)


@pytest.mark.parametrize("name", AGENTS)
def test_a_checkpoint_that_was_not_touched_is_taken(run, name):
    path = run(name)
    crafted(path, lambda arrays, facts: None)
    with rv.Learner.load(path) as learner:
        assert learner.steps == 63
        learner.learn(3)
    assert SavedPolicy(path).step == 66


@pytest.mark.parametrize(
    "content",
    [
        (2**60).to_bytes(8, "little") + b"{}",
        (2**63).to_bytes(8, "little"),
        (2).to_bytes(8, "little") + b"{}",
        *(
            len(text).to_bytes(8, "little") + text
            for text in (
                json.dumps({"__metadata__": {"format": checkpoint.FORMAT, "facts": facts, "crc": "0"}, **arrays}).encode()
                for facts in ("{}", "[" * 100_000, "7", "")
                for arrays in (
                    {},
                    {"a": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}},
                    {"a": {"dtype": "F32", "shape": [2**31, 2**31], "data_offsets": [0, 0]}},
                    {"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}},
                    {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
                )
            )
        ),
        *(
            len(text).to_bytes(8, "little") + text
            for text in (b"[" * 100_000, b"null", b'{"__metadata__": 7}', b'{"__metadata__": {"format": 4}}', b"{}")
        ),
    ],
    ids=lambda content: content[8:60].decode(errors="replace"),
)  # fmt: skip
def test_a_header_that_promises_what_there_is_not(tmp_path, content):
    (tmp_path / "latest.safetensors").write_bytes(content)
    with pytest.raises(StorageError, match="latest") as told:
        checkpoint.load(tmp_path / "latest.safetensors", {"a": np.zeros(1, np.float32)})
    assert str(told.value).isprintable()
