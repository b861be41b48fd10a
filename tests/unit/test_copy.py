"""`save(path)`: a copy that is whole or not there at all."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import reverie as rv
from reverie.core.errors import StorageError
from reverie.storage import copy
from reverie.storage.copy import copy_run

SMALL = rv.NAF(hidden=(8,), batch_size=4, warmup_steps=4, updates_per_step=1)
SPEC = rv.EnvSpec(2, [-1.0], [1.0], "cell")


@pytest.fixture
def learner(tmp_path):
    with rv.Learner(SMALL, spec=SPEC, out=tmp_path / "here" / "run") as learner:
        for _ in range(6):
            learner.ask(np.zeros(2))
            learner.tell(0.0, np.zeros(2), False)
        yield learner


def tree(folder):
    return {str(path.relative_to(folder)): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_a_copy_holds_everything_but_what_is_for_the_moment(learner, tmp_path):
    (learner.out / f".config.json.{'0' * 16}.new").write_text("half")
    (learner.out / "notes").mkdir()
    (learner.out / "notes" / "mine.txt").write_text("mine")
    (learner.out / "link").symlink_to("nowhere")
    there = learner.save(tmp_path / "new" / "deep" / "copy")
    assert there == tmp_path / "new" / "deep" / "copy" and not (there / ".lock").exists()
    assert not [path for path in there.rglob(".*")] and (there / "notes" / "mine.txt").read_text() == "mine"
    assert os.readlink(there / "link") == "nowhere"
    with rv.Learner.load(there) as copied:
        assert copied.steps == 6
    (tmp_path / "empty").mkdir()
    (tmp_path / "to empty").symlink_to("empty")
    assert learner.save(tmp_path / "to empty") == tmp_path / "to empty"
    assert (tmp_path / "empty" / "config.json").exists() and (tmp_path / "to empty").is_symlink()
    assert learner.save(learner.out) == learner.out == learner.save()


def make_places(tmp_path, run):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "to run").symlink_to(run)
    (tmp_path / "loop").symlink_to("loop")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("here/run/copy", "it lies within the run itself"),
        ("here/run/checkpoint/deep/copy", "it lies within the run itself"),
        ("to run/copy", "it lies within the run itself"),
        ("here/run/../run/copy", "it lies within the run itself"),
        ("here", "it is a folder that is not empty"),
        (".", "it is a folder that is not empty"),
        ("full", "it is a folder that is not empty"),
        ("file", "it is a file"),
        ("file/copy", "Not a directory"),
        ("pipe", "it is a named pipe"),
        ("dangling", "it is a symbolic link to nowhere"),
        ("loop", "Too many levels of symbolic links"),
        ("a\0b", "no file can have this name"),
        ("x" * 300, "File name too long"),
    ],
)
def test_where_no_copy_can_go_is_named(where, sentence, learner, tmp_path):
    make_places(tmp_path, learner.out)
    before = tree(tmp_path / "full"), sorted(os.listdir(tmp_path)), sorted(os.listdir(learner.out))
    with pytest.raises(StorageError, match=sentence) as error:
        learner.save(f"{tmp_path}/{where}")
    assert "\n" not in str(error.value) and "choose another directory" in str(error.value)
    assert before == (tree(tmp_path / "full"), sorted(os.listdir(tmp_path)), sorted(os.listdir(learner.out)))


@pytest.mark.parametrize("at", [1, 3, 6])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_leaves_no_half_copy(at, error, learner, tmp_path, monkeypatch):
    real, calls = shutil.copy2, []

    def full(source, target):
        calls.append(source)
        if len(calls) == at:
            Path(target).write_bytes(b"half")
            raise error
        return real(source, target)

    monkeypatch.setattr(copy.shutil, "copy2", full)
    with pytest.raises((StorageError, KeyboardInterrupt)) as told:
        learner.save(tmp_path / "copy")
    assert isinstance(told.value, KeyboardInterrupt) or "No space left on device" in str(told.value)
    assert os.listdir(tmp_path) == ["here"] and len(calls) == at
    monkeypatch.undo()
    assert learner.save(tmp_path / "copy") == tmp_path / "copy"


def test_what_appears_meanwhile_is_not_replaced(learner, tmp_path, monkeypatch):
    real = copy._copy

    def slow(source, target):
        real(source, target)
        if source == Path(os.path.realpath(learner.out)):
            (tmp_path / "copy").mkdir()
            (tmp_path / "copy" / "other").write_text("precious")

    monkeypatch.setattr(copy, "_copy", slow)
    with pytest.raises(StorageError, match="not empty"):
        copy_run(learner.out, tmp_path / "copy")
    assert tree(tmp_path / "copy") == {"other": b"precious"} and sorted(os.listdir(tmp_path)) == ["copy", "here"]
