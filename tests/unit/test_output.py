"""`-o FILE`: files whole or not at all, links followed, and what is no file never replaced."""

import os
import socket
import stat
import threading

import pytest

from reverie.cli import main
from reverie.core.errors import ConfigError, StorageError
from reverie.storage import output_file
from reverie.storage.output_file import output_at, require_ending
from reverie.storage.run import RunDirectory

pytestmark = pytest.mark.skipif(os.name != "posix", reason="devices, pipes and links are POSIX's")


@pytest.fixture
def run(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.open()
    directory.close()
    directory.config_file.write_text("{}")
    return directory


def refused(path, sentence):
    """It cannot be written, said in one line before anything is done."""
    with pytest.raises(StorageError, match=sentence) as error:
        output_at(path)
    assert "\n" not in str(error.value) and "choose another -o" in str(error.value)


def test_a_file_is_written_and_keeps_its_mode(tmp_path):
    file = tmp_path / "page.html"
    before = os.umask(0o027)
    try:
        output_at(file).write(b"new")
        assert stat.S_IMODE(file.stat().st_mode) == 0o640  # as any program would
        file.chmod(0o604)
        output_at(file).write(b"newer")
    finally:
        os.umask(before)
    assert file.read_bytes() == b"newer" and stat.S_IMODE(file.stat().st_mode) == 0o604
    assert os.listdir(tmp_path) == ["page.html"]


@pytest.mark.parametrize("name", ["x.png", "x.md", "x.html.gz", "x.mp4"])
def test_a_page_is_not_written_into_a_file_of_another_kind(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", "nowhere", "-o", name]) == 2
    assert capsys.readouterr().err == f"reverie: {name} ends in .{name.split('.')[-1]}; pages are .html or .htm\n"


def test_endings_are_those_of_their_kind_in_either_case(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("x.html", "x.HTM", "x", "pipe.png"):
        require_ending(tmp_path / name, (".html", ".htm"), "pages are", bare=True)
    require_ending(tmp_path / "x.MP4", (".mp4", ".gif"), "films are")
    for name in ("x.png", "x", "mp4"):
        with pytest.raises(ConfigError, match=r"ends in (nothing|\.png); films are \.mp4 or \.gif"):
            require_ending(tmp_path / name, (".mp4", ".gif"), "films are")


def test_a_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "page.html").write_text("old")
    (tmp_path / "middle").symlink_to("there/page.html")
    (tmp_path / "page.html").symlink_to("middle")
    (tmp_path / "folder").symlink_to("there")
    output_at(tmp_path / "page.html").write(b"new")
    assert (tmp_path / "page.html").is_symlink() and (tmp_path / "middle").is_symlink()
    assert (tmp_path / "there" / "page.html").read_bytes() == b"new"
    output_at(tmp_path / "folder" / "other.html").write(b"other")
    assert sorted(os.listdir(tmp_path / "there")) == ["other.html", "page.html"]


def test_what_cannot_be_written_is_named_beforehand(tmp_path):
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "dangling", "it is a symbolic link to nowhere, where there is nothing")
    refused(tmp_path / "one", "Too many levels of symbolic links")
    refused(tmp_path / "file" / "page.html", "Not a directory")
    refused(tmp_path / "missing" / "page.html", "there is no folder")
    refused(tmp_path, "it is a folder")
    refused(tmp_path / ("x" * 300), "File name too long")
    refused(f"{tmp_path}/a\0b", "no file can have this name")
    refused("/proc/self/fd/987654", "no such file is open")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        refused(tmp_path / "socket", "it is a socket")


@pytest.mark.skipif(not hasattr(os, "mknod") or os.geteuid() != 0, reason="needs the right to make devices")
def test_a_disk_is_refused(tmp_path):
    os.mknod(
        tmp_path / "disk", 0o600 | stat.S_IFBLK, os.makedev(240, 0)
    )  # a number for experiments: nothing is behind it
    refused(tmp_path / "disk", "it is a device")


@pytest.mark.parametrize("device", ["/dev/full", "/dev/null"])
def test_a_device_is_written_to_and_stays_one(tmp_path, device):
    if not os.path.exists(device):
        pytest.skip(f"needs {device}")
    before = os.stat(device)
    (tmp_path / "link.html").symlink_to(device)
    for path in (device, tmp_path / "link.html"):
        place = output_at(path)
        assert place.file is None  # it is not going to be replaced
        if device == "/dev/full":
            with pytest.raises(StorageError, match="No space left on device; choose another -o"):
                place.write(b"x" * 10)
        else:
            place.write(b"x" * 10)
    now = os.stat(device)
    assert stat.S_ISCHR(now.st_mode) and (now.st_rdev, now.st_ino) == (before.st_rdev, before.st_ino)


def test_a_pipe_takes_all_bytes_and_stays_one(tmp_path):
    pipe, found = tmp_path / "pipe.mp4", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    output_at(pipe).write(b"y" * 300_000)  # more than a pipe holds
    reader.join()
    assert found == [b"y" * 300_000] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_pipe_that_nobody_reads_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(output_file, "READER_SECONDS", 0.0)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="no program reads it; choose another -o"):
        output_at(tmp_path / "pipe").write(b"z")


def test_own_open_files_are_written_to_where_they_stand(tmp_path):
    file = tmp_path / "log"
    with open(file, "w") as log:
        log.write("before ")
        log.flush()
        (tmp_path / "link").symlink_to(f"/proc/self/fd/{log.fileno()}")
        for path in (f"/dev/fd/{log.fileno()}", tmp_path / "link"):
            place = output_at(path)
            assert place.file is None and not place.is_stdout
            place.write(b"page ")
        log.write("after")
    assert file.read_text() == "before page page after"
    first, second = socket.socketpair()
    with first, second:
        output_at(f"/proc/{os.getpid()}/fd/{first.fileno()}").write(b"page")
        assert second.recv(10) == b"page"


def test_nothing_that_a_run_lives_from_is_overwritten(run, tmp_path):
    (tmp_path / "link").symlink_to(run.config_file)
    for file in run.own_files:
        refused(file, "the run in .*run needs it")
    refused(tmp_path / "link", "the run in .*run needs it")
    (tmp_path / "victim").write_text("precious")
    (run.path / "film.mp4").symlink_to(tmp_path / "victim")
    refused(run.path / "film.mp4", "it is a symbolic link within a run's directory")
    output_at(run.path / "page.html").write(b"page")
    assert (run.path / "page.html").read_bytes() == b"page" and (tmp_path / "victim").read_text() == "precious"


SOLVE = ("solve", "FrozenLake-v1", "--method", "value-iteration", "-o")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (SOLVE, "map.png"),
        (("plan", "reacher", "--method", "ilqg", "-o"), "film.gif"),
        (("video", "{run}", "-o"), "film.mp4"),
        (("report", "{run}", "-o"), "page.html"),
    ],
    ids=["solve", "plan", "video", "report"],
)
def test_every_verb_asks_the_same_place(words, name, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.symlink("nowhere", name)
    assert main([word.format(run=run.path) for word in words] + [name]) == 2
    errors = capsys.readouterr().err
    if words[0] == "video":  # the run is looked at first, and this one is empty
        return
    assert errors.count("\n") == 1 and f"cannot write {name}: it is a symbolic link to nowhere" in errors
    assert os.path.islink(name)


def test_a_picture_goes_to_a_device_too(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    (tmp_path / "map.png").symlink_to("/dev/null")
    assert main([*SOLVE, str(tmp_path / "map.png")]) == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode) and (tmp_path / "map.png").is_symlink()


VERBS = [("report", "x.html"), ("video", "x.mp4"), ("video", "x.gif"), ("plan", "x.mp4"), ("solve", "x.png")]


def written_to(verb, output):
    words = {"report": ["nowhere"], "video": ["nowhere"], "plan": ["reacher", "--method", "ilqg"]}
    return main([verb, *words.get(verb, ["FrozenLake-v1", "--method", "value-iteration"]), "-o", output])


@pytest.mark.parametrize(("verb", "name"), VERBS)
@pytest.mark.parametrize("form", ["{}/", "{}//", "new/{}/"])
def test_a_slash_at_the_end_names_a_folder(verb, name, form, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(written_to(verb, form.format(name)))
    assert ended.value.code == 2 and not os.listdir(tmp_path)
    assert f"{form.format(name)!r} is the name of a folder; give a file" in capsys.readouterr().err


@pytest.mark.parametrize(("verb", "name"), [v for v in VERBS if v[0] != "video"])  # which reads the run first
def test_a_folder_is_called_one_whatever_it_ends_in(verb, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("od", "od.pdf", name):
        os.mkdir(folder)
        assert written_to(verb, folder) == 2
        assert capsys.readouterr().err == f"reverie: cannot write {folder}: it is a folder; choose another -o\n"


@pytest.mark.parametrize(("verb", "name"), [v for v in VERBS if v[0] != "video"])  # which reads the run first
def test_an_ending_alone_is_no_name(verb, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for hidden, said in ((name[1:], "is only an ending; put a name before it"), (".pdf", "ends in .pdf; ")):
        assert written_to(verb, hidden) == 2
        assert f"reverie: {hidden} {said}" in capsys.readouterr().err
    assert not os.listdir(tmp_path)
