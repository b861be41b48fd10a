import errno
import os

import jax.numpy as jnp
import numpy as np
import pytest

from reverie.core.errors import StorageError
from reverie.storage import checkpoint, files

TREE = {"state": [jnp.arange(6.0).reshape(2, 3), jnp.asarray(7, jnp.int32)], "memory": np.ones(2, np.float32)}
FACTS = {"steps": 12, "noise": {"state": 2**120 + 1}, "rate": 0.1}


@pytest.fixture
def path(tmp_path):
    checkpoint.save(tmp_path / "latest.safetensors", TREE, FACTS)
    return tmp_path / "latest.safetensors"


def test_round_trip_is_exact(path):
    tree, facts = checkpoint.load(path, TREE)
    assert facts == FACTS
    np.testing.assert_array_equal(tree["state"][0], TREE["state"][0])
    assert tree["state"][1].shape == () and tree["state"][1].dtype == np.int32 and tree["state"][1] == 7


def test_an_array_of_an_older_name_is_found(tmp_path):
    bounds = np.float32([-1.0, 2.0])
    checkpoint.save(tmp_path / "old.safetensors", {"state": {"rewards": bounds}}, FACTS)
    tree, _ = checkpoint.load(tmp_path / "old.safetensors", {"state": {"bounds": bounds}})
    np.testing.assert_array_equal(tree["state"]["bounds"], bounds)
    tree, _ = checkpoint.load(
        tmp_path / "old.safetensors", {"state": {"rewards": bounds}}
    )  # an agent's of the user's own
    np.testing.assert_array_equal(tree["state"]["rewards"], bounds)


def test_any_flipped_byte_is_found(path):
    data = path.read_bytes()
    for i in range(len(data)):
        path.write_bytes(data[:i] + bytes([data[i] ^ 0x11]) + data[i + 1 :])
        with pytest.raises(StorageError, match=r"latest\.safetensors"):
            checkpoint.load(path, TREE)


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95pickle", b"x" * 1000])
def test_foreign_files_are_named(path, content):
    path.write_bytes(content)
    with pytest.raises(StorageError, match="damaged, or is not a checkpoint"):
        checkpoint.load(path, TREE)


@pytest.mark.parametrize(
    "like, says",
    [
        ({**TREE, "more": np.ones(1)}, "more is missing"),
        ({"state": TREE["state"]}, "holds memory, which this agent does not have"),
        ({**TREE, "memory": np.ones(3, np.float32)}, r"memory is float32\[2\], this agent has float32\[3\]"),
        ({**TREE, "memory": np.ones(2, np.float64)}, "float64"),
    ],
)
def test_another_agents_checkpoint_is_refused(path, like, says):
    with pytest.raises(StorageError, match=says):
        checkpoint.load(path, like)


def test_a_failed_write_leaves_the_old_one(path, monkeypatch):
    before = path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StorageError, match=r"cannot write .*latest\.safetensors: No space left"):
        checkpoint.save(path, TREE, {"steps": 13})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["latest.safetensors"]
