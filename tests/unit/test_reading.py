"""What is read is right or named: regular files alone, JSON that fits its schema, one line for whatever does not."""

import os
from typing import Annotated

import msgspec
import pytest

from reverie.core.errors import ConfigError, ReverieError, StorageError, one_line
from reverie.storage import reading


class Facts(msgspec.Struct):
    step: Annotated[int, msgspec.Meta(ge=0)]
    name: str = ""


def test_json_comes_back_as_its_schema(tmp_path):
    (tmp_path / "facts.json").write_text('{"step": 3, "name": "µ"}')
    assert reading.read_json(tmp_path / "facts.json", Facts, "restore it") == Facts(3, "µ")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"step": -1}',
        b'{"step": 1.5}',
        b'{"step": true}',
        b'{"step": "1"}',
        b'{"step": NaN}',
        b'{"step": 1e400}',
        b'{"name": "x"}',
        b'{"step": 1, "name": "\\ud800"}',
        b'{"step": 1, "name": 7}',
        b'{"step": 1, "skipped": "\xff"}',
        b'{"step": 1}\x00',
    ],
    ids=lambda content: content[:30].decode(errors="replace"),
)
def test_json_that_does_not_fit_is_named_in_one_line(tmp_path, content):
    file = tmp_path / "facts.json"
    file.write_bytes(content)
    with pytest.raises(StorageError, match=r"facts\.json is damaged \(.+\); restore it") as told:
        reading.read_json(file, Facts, "restore it")
    assert str(told.value).isprintable() and len(str(told.value)) < 500


def pipe(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def missing(path):
    pass


def loop(path):
    path.symlink_to(path)


def device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("make", [pipe, folder, missing, loop, device])
def test_what_is_no_regular_file_is_named_at_once(tmp_path, make):
    make(tmp_path / "file")
    with pytest.raises(StorageError, match="file"):
        reading.read_whole(tmp_path / "file")


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "\ud800", "a/" * 3000])
def test_names_that_no_file_can_have_are_named(tmp_path, name):
    for ask in (reading.read_whole, reading.exists):
        with pytest.raises(StorageError) as told:
            ask(tmp_path / name)
        assert str(told.value).isprintable() and len(str(told.value)) <= 1010


def test_a_file_larger_than_it_can_be_is_not_read(tmp_path):
    (tmp_path / "file").write_bytes(bytes(11))
    assert len(reading.read_whole(tmp_path / "file", most=11)) == 11
    with pytest.raises(StorageError, match="11 bytes, more than the 10 allowed"):
        reading.read_whole(tmp_path / "file", most=10)


@pytest.mark.parametrize("kind", [ReverieError, ConfigError, StorageError])
@pytest.mark.parametrize("text", ["two\nlines", "a\r\x1b[2Jb\0", "para\u2029graph", "\ud800", "x" * 100_000])
def test_errors_are_one_printable_line(kind, text):
    said = str(kind(text))
    assert said.isprintable() and len(said.splitlines()) == 1 and len(said) < 2000


def test_a_plain_line_is_left_as_it_is():
    assert one_line("μ is 1, “quoted”: mend it") == "μ is 1, “quoted”: mend it"
