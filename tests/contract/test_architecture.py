"""Imports point down, and rooms keep to what is theirs."""

import ast
import collections
import importlib.util
import pathlib
import subprocess
import sys

import pytest

ROOMS = ["core", "maths", "tabular", "data", "control", "models", "algorithms", "domains", "environments", "storage"]
ROOMS += [
    "logs",
    "planning",
    "imagination",
    "collecting",
    "training",
    "export",
    "report",
    "experiments",
    "bench",
    "cli",
]
# Rooms above all that the package itself exports: a lower one would import, by that name, what lies above it.
MAY_IMPORT_THE_PACKAGE = ("experiments", "bench", "cli")
SRC = pathlib.Path(__file__).parents[2] / "src" / "reverie"
FILES = sorted(SRC.glob("*/**/*.py"))


def modules_imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: absolute imports only"
            yield from ([f"reverie.{a.name}" for a in node.names] if node.module == "reverie" else [node.module])


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_point_down(path):
    room = path.relative_to(SRC).parts[0]
    for module in modules_imported(path):
        other = module.split(".")[1] if module.startswith("reverie.") else None
        if other in ROOMS:
            assert ROOMS.index(other) <= ROOMS.index(room), f"{room} must not import {other}"


def imports_the_package(code):
    """Return whether a program imports `reverie` itself, or names from it."""
    return any(
        (isinstance(node, ast.Import) and any(alias.name == "reverie" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "reverie")
        for node in ast.walk(ast.parse(code))
    )


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_only_high_rooms_import_the_package_itself(path):
    if path.relative_to(SRC).parts[0] not in MAY_IMPORT_THE_PACKAGE:
        assert not imports_the_package(path.read_text()), "import the module that holds it"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import reverie", True),
        ("import reverie as rv", True),
        ("def late():\n    from reverie import NAF as N", True),
        ("import numpy, reverie", True),
        ("from reverie.core import errors", False),
        ("import reverie.core.errors", False),
    ],
)
def test_imports_of_the_package_are_seen(code, found):
    assert imports_the_package(code) == found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_rooms_keep_to_their_trade(path):
    room = path.relative_to(SRC).parts[0]
    outside = {module.split(".")[0] for module in modules_imported(path)}
    if room in ("core", "maths", "tabular", "data", "control", "models", "algorithms"):
        assert not outside & {"gymnasium", "mujoco", "time", "os", "pathlib"}, (
            "only training and storage touch the world"
        )
    if room in ("domains", "environments", "report"):
        assert "jax" not in outside
    if room == "domains" and path.stem not in ("mujoco_model", "env", "__init__"):
        assert not outside & {"gymnasium", "mujoco"}, (
            "a domain is formulas: physics and Gymnasium are for mujoco_model and env"
        )
    assert "pickle" not in outside


# What opens, decodes or parses, and where alone it may be called.
LEARNERS = ("training/learner.py", "training/run_logger.py", "training/saved_policy.py")
READERS = {
    "open": (
        "storage/files.py",
        "storage/key.py",
        "storage/copy.py",
        "storage/output_file.py",
        "cli/__init__.py",
        "cli/stopping.py",
    ),
    "read_text": (
        "training/provenance.py",
        "training/free_memory.py",
        "report/page_scripts.py",
    ),  # of the system, of the package itself
    "read_bytes": (),
    "read_regular": ("storage/files.py", "storage/journal_format.py", "training/directory_watch.py", "report/film.py"),
    "load": (
        "storage/checkpoint.py",
        "cli/train.py",
        "export/array_file.py",  # of the bytes that it wrote
        "storage/foreign_arrays.py",
        "experiments/execution/worker.py",
        "experiments/execution/sweep_worker.py",
        *LEARNERS,
    ),  # of checkpoints and learners
    "loads": ("storage/reading.py",),
    "decode": ("storage/reading.py", "storage/tables.py"),
    "reader": ("storage/tables.py", "storage/foreign_tables.py"),
    "DictReader": (),
}
DECODES_ITS_OWN = (
    "collecting/messages.py",
    "experiments/execution/missing_runs.py",
    "experiments/execution/local_backend.py",
    "core/errors.py",
    "report/page.py",
    "report/page_scripts.py",
)
SALVAGES = "training/recovery.py"  # reads line by line what the readers refuse


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_files_are_read_in_one_place(path):
    """A new reader belongs into storage, with a schema and a target in tests/fuzz."""
    name = path.relative_to(SRC).as_posix()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        function, value = node.func, getattr(node.func, "value", None)
        called = getattr(function, "attr", getattr(function, "id", ""))
        if called == "open" and isinstance(value, ast.Name) and value.id in ("self", "run", "results", "store"):
            continue  # a directory's own method
        if called == "decode" and (name in DECODES_ITS_OWN or name.startswith("storage/")):
            continue
        if called in READERS and name != SALVAGES:
            assert name in READERS[called], f"{name}:{node.lineno} calls {called}(): read through storage/reading.py"


def test_no_two_modules_share_a_file_name():
    counts = collections.Counter(path.name for path in SRC.rglob("*.py") if path.name != "__init__.py")
    assert not [name for name, count in counts.items() if count > 1]


def test_no_file_is_too_long_to_read_in_one_sitting():
    long = {str(p): n for p in SRC.rglob("*.py") if (n := len(p.read_text().splitlines())) > 400}
    assert not long


def test_help_and_import_load_neither_jax_nor_numpy():
    code = "import sys, reverie, reverie.cli; reverie.cli.build_parser(); "
    code += "print([m for m in ('jax', 'numpy', 'gymnasium') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_every_public_name_is_there():
    import reverie as rv

    assert sorted(rv.__all__) == sorted(rv._HOME)
    for name in rv.__all__:
        assert getattr(rv, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'SAK'"):
        _ = rv.SAK


def test_learning_and_imagining_need_no_mujoco():
    code = """
import sys
sys.modules["mujoco"] = None  # as where the extra is not installed
import reverie as rv
inner = rv.NAF(hidden=(8,), batch_size=4, warmup_steps=0, updates_per_step=1)
agent = rv.Imagination(inner, rv.LinearGaussian(episodes=2), plan="ilqg", rollout_length=2)
with rv.Learner(agent, "worlds:LinearWorld") as learner:
    print(learner.learn(episodes=3).steps)
"""
    tests = pathlib.Path(__file__).parents[1] / "support"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=tests)
    assert done.stdout.strip() == "60", done.stderr


def test_the_picture_of_packages_is_drawn_from_the_imports_of_today():
    folder = SRC.parents[1] / "docs"
    loader = importlib.util.spec_from_file_location("packages", folder / "packages.py")
    assert loader is not None and loader.loader is not None
    packages = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(packages)
    arrows = packages.without_implied(packages.imports())
    assert packages.described(arrows) in (folder / "packages.svg").read_text(), "draw it: python docs/packages.py"
    assert [
        row.split("`")[1] for row in (folder / "architecture.md").read_text().splitlines() if row.startswith("| `")
    ][: len(ROOMS)] == ROOMS
