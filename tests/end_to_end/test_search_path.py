"""The current folder holds the user's modules, and nothing there takes the place of an installed one."""

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from reverie import cli, search_path
from reverie.core.errors import ConfigError
from reverie.environments.env_factory import make_env
from reverie.environments.imports import imported

REVERIE = Path(sysconfig.get_path("scripts")) / "reverie"
STARTS = {"-m": [sys.executable, "-m", "reverie"], "command": [str(REVERIE)]}


def run(words, folder, **more):
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, env=os.environ, check=False, **more)


@pytest.fixture(scope="module")
def strays(tmp_path_factory):
    """A folder in which every module of Python and of its packages has a namesake that ends the program."""
    folder = tmp_path_factory.mktemp("strays")
    bare = folder.parent / "bare-of-strays"
    (bare / "bare").mkdir(parents=True, exist_ok=True)
    (bare / "bare" / "__init__.py").touch()
    (bare / "bare" / "__main__.py").write_text("import sys; print(*sys.modules, sep='\\n')")
    python_alone = set(run([sys.executable, "-m", "bare"], bare).stdout.split())  # before any program has a say
    names = {*sys.stdlib_module_names, *importlib.metadata.packages_distributions()} - python_alone
    for name in names - {"reverie", "__main__"}:
        if name.isidentifier():
            (folder / f"{name}.py").write_text(f"raise SystemExit('stray {name}')")
    assert len(list(folder.iterdir())) > 200
    return folder


@pytest.mark.parametrize("start", STARTS)
def test_stray_files_are_never_imported(strays, start, tmp_path):
    words = ["train", "naf", "reacher", "--steps", "1", "--quiet", "--out", str(tmp_path / "run")]
    found = run([*STARTS[start], *words], strays)
    assert found.returncode == 0, found.stderr


def test_stray_files_are_not_imported_by_cells_either(strays, tmp_path):
    (tmp_path / "cell.json").write_text("{}")
    reading, writing = os.pipe()  # a cell ends where its standard input does
    try:
        found = run(
            [sys.executable, "-m", "reverie.experiments.execution.worker", str(tmp_path)], strays, stdin=reading
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert found.returncode == 2 and "cell.json is damaged" in found.stderr


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        (["python", "-m", "reverie", "list"], True),
        (
            ["python", "-X", "dev", "-m", "reverie.experiments.execution.worker"],
            False,
        ),  # read as of "dev": then nothing is changed
        (["python", "-u", "-mreverie"], True),
        (["python", "-m", "pytest", "reverie"], False),
        (["python", "-m", "reveries"], False),
    ],
)
def test_only_a_process_that_starts_this_package_is_changed(words, ours, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", words)
    monkeypatch.setattr(sys, "argv", ["-m", *words[3:]])
    assert search_path.started_by_module_switch() == ours
    monkeypatch.setattr(sys, "argv", [str(REVERIE)])
    assert not search_path.started_by_module_switch()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [part for part in sys.path if part])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


def test_what_lies_in_the_current_folder_is_found_last(here):
    (here / "my_beam.py").write_text("import my_beam_parts\nmake_env = my_beam_parts.make")
    (here / "my_beam_parts.py").write_text("make = dict")
    before = list(sys.path)
    assert imported("my_beam:make_env", "environment") is dict
    assert sys.path == [*before, str(here)]


def test_a_module_that_registers_an_environment_is_found_there(here):
    text = "import gymnasium, worlds\ngymnasium.register('Mine-v0', entry_point=worlds.Faulty)"
    (here / "my_worlds.py").write_text(text)
    assert make_env("my_worlds:Mine-v0").spec.observation_dim == 3
    (here / "json.py").write_text("raise SystemExit('the stray was imported')")
    with pytest.raises(ConfigError, match=r"hides .*json\.py"):
        make_env("json:Mine-v0")


def test_packages_in_the_current_folder_are_found(here):
    (here / "my_line").mkdir()
    (here / "my_line" / "__init__.py").touch()
    (here / "my_line" / "envs.py").write_text("make = dict")
    assert imported("my_line.envs:make", "environment") is dict
    assert imported("my_line.envs:make", "environment") is dict  # again: it stands among the modules now


@pytest.mark.parametrize("name", ["numpy", "safetensors", "gymnasium", "json", "code", "sys", "reverie", "worlds"])
@pytest.mark.parametrize("as_package", [False, True])
def test_a_name_that_an_installed_module_has_is_refused(here, name, as_package):
    file = here / name / "__init__.py" if as_package else here / f"{name}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text("raise SystemExit('the stray was imported')")
    with pytest.raises(ConfigError, match=r"is installed .* and hides .*rename yours, or put this folder first"):
        imported(f"{name}:make_env", "environment")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("raise SystemExit", "cannot import 'my_module' for agent 'my_module:It': SystemExit"),
        ("raise SystemExit(0)", "cannot import 'my_module' for agent 'my_module:It': SystemExit: 0"),
        ("1 / 0", "cannot import 'my_module' for agent 'my_module:It': ZeroDivisionError: division by zero"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("def f(:", "SyntaxError"),
        ("class Item: pass", "unknown name in module my_module 'It'; did you mean 'Item'?"),
        ("Item = 1", "unknown name in module my_module 'It'; nothing in it can be the agent"),
        ("def __getattr__(name): return 1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(here, text, sentence):
    (here / "my_module.py").write_text(text)
    with pytest.raises(ConfigError) as caught:
        imported("my_module:It", "agent")
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source", [":make", "..:make", ".:x", "a..b:x", "no_such_module:x", "my module:x", "a\0b:x", ":"]
)
def test_names_that_are_none_are_one_sentence(here, source):
    with pytest.raises(ConfigError):
        imported(source, "environment")


def test_a_current_folder_that_is_gone_changes_nothing(here, capsys):
    (here / "gone").mkdir()
    os.chdir(here / "gone")
    (here / "gone").rmdir()
    assert imported("math:sqrt", "function")(4) == 2
    assert cli.main(["evaluate", "nowhere"]) == 2
    assert "nowhere holds no run" in capsys.readouterr().err
