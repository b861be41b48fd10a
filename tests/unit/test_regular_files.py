"""What stands in a file's place and is none (a pipe, a device, a socket, a folder) is named, never waited for."""

import contextlib
import json
import os
import signal
import socket

import pytest

from reverie.core.errors import StorageError
from reverie.experiments.execution import results_store, worker
from reverie.storage import checkpoint, journal, tables
from reverie.storage.files import open_regular, read_regular
from reverie.storage.run import RunDirectory


def _bind(path):
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(path.parent):  # addresses are short
        server.bind(path.name)


def _results(path):
    path.with_name("settings.json").write_text(
        json.dumps({"format": results_store.FORMAT, "settings": {}, "reverie": "0", "commands": []})
    )
    return results_store.ResultsStore(path.parent)


KINDS = {
    "pipe": (os.mkfifo, "is a named pipe, not a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is (a device|a symbolic link), not a file"),
    "folder": (lambda path: path.mkdir(), "is a folder, not a file"),
    "socket": (_bind, "is a socket, not a file"),
}


READERS = {
    "anything": ("any", read_regular),
    "config.json": ("config.json", lambda path: RunDirectory(path.parent).read_config()),
    "call.json": ("call.json", lambda path: RunDirectory(path.parent).read_call()),
    "a journal": ("journal.bin", journal.read),
    "a journal's sizes": ("journal.bin", journal.read_header),
    "a journal to write": ("journal.bin", lambda path: journal.Journal(path, 3, 1)),
    "a checkpoint": ("latest.safetensors", checkpoint.read),
    "a table": ("episodes.csv", tables.read_rows),
    "a table to write": ("episodes.csv", lambda path: tables.Table(path, ("step",)).append({"step": 1})),
    "settings.json": ("settings.json", lambda path: results_store.ResultsStore(path.parent)),
    "cells.csv": ("cells.csv", _results),
    "cell.json": ("cell.json", lambda path: worker.read(path.parent)),
    "a cell's film": ("film.mp4", lambda path: worker.collect(path.parent, "")),
}


@pytest.fixture(autouse=True)
def no_waiting():
    """Fail instead of waiting for ever."""

    def late(number, frame):
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_named_by_every_reader(tmp_path, reader, kind):
    make, sentence = KINDS[kind]
    name, read = READERS[reader]
    make(tmp_path / name)
    with pytest.raises(StorageError, match=sentence):
        read(tmp_path / name)


def test_a_link_to_a_file_is_read_and_a_missing_file_is_missing(tmp_path):
    (tmp_path / "file").write_bytes(b"here")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link") == b"here"
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "nothing")
    with pytest.raises(StorageError, match="is not a file name"):
        read_regular(str(tmp_path / "a\0b"))
