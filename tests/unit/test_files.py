"""Our own files: made beside their place under names that nobody foresees, and never through a link."""

import errno
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reverie.cli.parser import build_parser
from reverie.core.errors import StorageError
from reverie.storage import files
from reverie.storage.files import is_unfinished, make_folder, write_whole
from reverie.storage.run import RunDirectory

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, pipes and modes are POSIX's")


@pytest.fixture
def victim(tmp_path):
    (tmp_path / "victim").write_text("precious")
    yield tmp_path / "victim"
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_trap_under_an_old_name_is_not_stepped_into(tmp_path, victim):
    (tmp_path / "latest.safetensors.new").symlink_to(victim)
    write_whole(tmp_path / "latest.safetensors", b"arrays")
    assert (tmp_path / "latest.safetensors").read_bytes() == b"arrays"


def test_a_trap_under_the_very_name_is_an_error(tmp_path, victim, monkeypatch):
    monkeypatch.setattr(files.secrets, "token_hex", lambda size: "0" * 2 * size)
    (tmp_path / f".file.{'0' * 16}.new").symlink_to(victim)
    with pytest.raises(StorageError, match=r"cannot write .*file: File exists"):
        write_whole(tmp_path / "file", b"bytes")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: path.symlink_to("victim"), "a symbolic link"),
        (lambda path: path.symlink_to("nowhere"), "a symbolic link"),
        (lambda path: path.mkdir(), "a folder"),
        (os.mkfifo, "a named pipe"),
    ],
    ids=["link", "dangling", "folder", "pipe"],
)
def test_only_a_regular_file_is_replaced(tmp_path, victim, make, kind):
    make(tmp_path / "config.json")
    before = os.lstat(tmp_path / "config.json")
    with pytest.raises(StorageError, match=rf"cannot write .*config\.json: it is {kind}, not a file"):
        write_whole(tmp_path / "config.json", b"bytes")
    assert os.lstat(tmp_path / "config.json").st_ino == before.st_ino
    assert sorted(os.listdir(tmp_path)) == ["config.json", "victim"]


def test_what_took_the_place_meanwhile_is_not_replaced_either(tmp_path, victim, monkeypatch):
    def taken(handle):
        (tmp_path / "file").symlink_to(victim)

    monkeypatch.setattr(files.os, "fsync", taken)
    with pytest.raises(StorageError, match="it is a symbolic link"):
        write_whole(tmp_path / "file", b"bytes")
    assert sorted(os.listdir(tmp_path)) == ["file", "victim"]


@pytest.mark.parametrize("where", ["write", "fsync", "replace", "fchmod"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_whatever_stops_a_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, where, error):
    file = tmp_path / "file"
    file.write_bytes(b"old")
    opened = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else None

    def stop(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(files.os, where, stop)
        with pytest.raises((StorageError, KeyboardInterrupt)):
            write_whole(file, b"new")
    assert file.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]
    gc.collect()
    assert opened is None or len(os.listdir("/proc/self/fd")) == opened


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    code = (
        "import os, pathlib, sys; from reverie.storage import files; path = pathlib.Path(sys.argv[1])\n"
        "with files._beside(path, None) as (beside, handle):\n"
        "    print(beside, flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "file")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        beside = Path(process.stdout.readline().strip())
        assert is_unfinished(beside.name)
        write_whole(tmp_path / "file", b"one")
        assert beside.exists()
        process.kill()
        process.wait()
    similar = [tmp_path / name for name in (f".other.{'0' * 16}.new", ".file.new", f".file.{'g' * 16}.new")]
    for path in similar:
        path.write_text("not ours")
    write_whole(tmp_path / "file", b"two")
    assert not beside.exists() and all(path.exists() for path in similar)


def test_long_names_can_be_written(tmp_path):
    for name in ("x" * 255, "é" * 127):
        write_whole(tmp_path / name, b"bytes")
        assert (tmp_path / name).read_bytes() == b"bytes"


def test_every_new_parent_is_on_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b" / "c")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"] and (tmp_path / "a" / "b" / "c").is_dir()
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 3
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "more"):
        with pytest.raises(OSError, match="no folder"):
            make_folder(path)


def test_a_lock_whose_file_an_environment_closed_is_one_sentence(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.open()
    inode = os.stat(run.path / ".lock").st_ino
    (descriptor,) = [fd for fd in range(3, 256) if _inode(fd) == inode]
    os.close(descriptor)
    with pytest.raises(StorageError, match="cannot release"):
        run.close()
    run.close()  # once is enough


def _inode(descriptor):
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return None


@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/a/b", "/proc/x", "{tmp}/file", "{tmp}/file/a"])
def test_a_run_that_has_no_room_is_refused_before_anything_is_imported(place, tmp_path):
    (tmp_path / "file").touch()
    place = Path(place.format(tmp=tmp_path))
    with pytest.raises(OSError):
        make_folder(place)
    with pytest.raises(StorageError, match=f"cannot create {place}: .*; choose another directory"):
        build_parser().parse_args(["train", "naf", "E", "--out", str(place)])
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("place", [".", "a", "a/b/c"])
def test_looking_for_room_leaves_nothing(place, tmp_path):
    build_parser().parse_args(["train", "naf", "E", "--out", str(tmp_path / place)])
    assert not os.listdir(tmp_path)
    make_folder(tmp_path / place)
