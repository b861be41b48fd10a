"""config.json and call.json: whatever is done to them, they are right, or named in one line."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reverie as rv
from reverie.core.errors import ReverieError
from reverie.storage.config import Config
from reverie.storage.run import RunDirectory
from reverie.training import agent_config, provenance

SPEC = rv.EnvSpec(3, [-1.0], [1.0])
AGENT = rv.Imagination(rv.NAF(hidden=(8,)), rv.LinearGaussian())
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -1, 2**63, 2**64, 0]),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["\ud800", "\0", "\ufeff", "NaN", "naf", "x" * 10_000]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
ODD = {
    "empty": b"",
    "mark of byte order": b"\xef\xbb\xbf{}",
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "not UTF-8": b'{"format": 1, "env": "\xff"}',
    "lone surrogate": b'{"format": 1, "env": "\\ud800"}',
    "huge number": b'{"format": 1' + b"0" * 5000 + b"}",
    "huge exponent": b'{"format": 1e999999}',
    "not a number": b'{"format": NaN}',
    "twice": b'{"format": 1, "format": 1}',
    "an array": b"[1]",
    "NULs": bytes(100),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = RunDirectory(tmp_path_factory.mktemp("run"))
    directory.write_config(provenance.configuration(AGENT, None, SPEC, 0, False), sign=False)
    return directory, directory.config_file.read_bytes()


def read(directory, data):
    """Read a config as all that load runs do; return what it is, or None where it is named."""
    directory.config_file.write_bytes(data)
    try:
        config = directory.read_config()
        provenance.algorithm_of(config, directory)
        provenance.spec_of(config, directory)
    except ReverieError as error:
        assert "\n" not in str(error) and len(str(error)) < 1100
        return None
    assert isinstance(config, Config)
    return config


def paths(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from paths(part, (*path, key))


def test_what_is_written_is_read(run):
    directory, data = run
    config = read(directory, data)
    assert config is not None and agent_config.read(config.agent) == AGENT and config.spec is not None
    assert config.spec.value() == SPEC


@pytest.mark.parametrize("name", ODD)
def test_odd_bytes_are_named(run, name):
    directory, _ = run
    assert read(directory, ODD[name]) is None
    directory.call_file.write_bytes(ODD[name])
    with pytest.raises(rv.StorageError, match=r"call\.json"):
        directory.read_call()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_value_anywhere_is_taken_or_named(run, data):
    directory, before = run
    config = json.loads(before)
    *folders, name = data.draw(st.sampled_from([path for path in paths(config) if path]))
    part = config
    for folder in folders:
        part = part[folder]
    how = data.draw(st.sampled_from(["retype", "drop", "deepen"]))
    if how == "drop":
        del part[name]
    else:
        part[name] = [{"a": part[name]}] if how == "deepen" else data.draw(VALUES)
    read(directory, json.dumps(config).encode("utf-8", "surrogatepass"))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_bytes_changed_are_taken_or_named(run, data):
    directory, before = run
    place = data.draw(st.integers(0, len(before)))
    length, more = data.draw(st.integers(0, 40)), data.draw(st.binary(max_size=8))
    read(directory, before[:place] + more + before[place + length :])


@settings(max_examples=100, deadline=None)
@given(value=VALUES | st.fixed_dictionaries({"start": VALUES, "steps": VALUES}))
def test_any_call_is_taken_or_named(run, value):
    directory, _ = run
    directory.call_file.write_bytes(json.dumps(value).encode("utf-8", "surrogatepass"))
    try:
        call = directory.read_call()
        assert call is not None and min(call.start, call.steps) >= 0
    except rv.StorageError as error:
        assert "\n" not in str(error)


BOUNDS = ("action_low", "action_high", "observation_low", "observation_high")
BOUNDED = rv.EnvSpec(3, [-1.0], [1.0], observation_low=[0.0, 0.0, 0.0], observation_high=[1.0, 1.0, 1.0])


@pytest.mark.parametrize("field", BOUNDS)
@pytest.mark.parametrize("change", ["missing", "none", "more", "less"])
@pytest.mark.parametrize("where", ["world", "spec"])
def test_bounds_of_another_number_are_named_with_their_file(where, change, field, tmp_path):
    run = RunDirectory(tmp_path)
    env = "Pendulum-v1" if where == "world" else None
    run.write_config(provenance.configuration(AGENT, env, BOUNDED, 0, False), sign=False)
    facts = json.loads(run.config_file.read_text())
    held = facts[where].pop(field)
    if change != "missing":
        facts[where][field] = {"none": [], "more": [*held, 0.5], "less": held[1:]}[change]
    run.config_file.write_text(json.dumps(facts))
    with pytest.raises(rv.StorageError) as error:
        run.read_config()
    assert str(error.value).startswith(f"{run.config_file} is damaged") and f"$.{where}" in str(error.value)
    assert f"`{field}`" in str(error.value) or f"`{field.replace('low', 'high')}`" in str(error.value)


@pytest.mark.parametrize(("low", "high"), [([0.0], [1.0]), ([0.0] * 3, []), ([], [1.0] * 3), ([0.0] * 4, [1.0] * 4)])
def test_bounds_of_observations_are_one_each_or_none(low, high):
    with pytest.raises(rv.SpaceError, match=r"give both, 3 each, or neither"):
        rv.EnvSpec(3, [-1.0], [1.0], observation_low=low, observation_high=high)


@pytest.mark.parametrize(
    ("place", "name", "value", "said"),
    [
        (("settings",), "zzz", 1, "unknown setting 'zzz'; known: "),
        (("settings",), "batch_sise", 1, "unknown setting 'batch_sise'; did you mean 'batch_size'? It was written by"),
        (("imagination", "settings"), "zzz", 1, "unknown setting 'zzz'; known: "),
        (("imagination", "model", "settings"), "zzz", 1, "unknown setting 'zzz'; known: "),
        ((), "name", "na\0f", "unknown agent 'na\\x00f'; did you mean 'naf'? It was written by another version"),
    ],
)
def test_what_no_class_has_is_named(place, name, value, said, tmp_path):
    run = RunDirectory(tmp_path)
    run.write_config(provenance.configuration(AGENT, None, SPEC, 0, False), sign=False)
    facts = json.loads(run.config_file.read_text())
    part = facts["agent"]
    for folder in place:
        part = part[folder]
    part[name] = value
    run.config_file.write_text(json.dumps(facts))
    with pytest.raises(rv.StorageError) as error:
        provenance.algorithm_of(run.read_config(), run)
    assert str(error.value).startswith(f"{run.config_file}: {said}") and "?;" not in str(error.value)
