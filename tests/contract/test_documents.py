"""What the documents say is true: their code and commands run, their links lead somewhere, their tables match the code."""

import dataclasses
import functools
import importlib.util
import itertools
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from typing import Any, NamedTuple

import pytest

import reverie as rv
from reverie.algorithms import ALGORITHMS
from reverie.cli import main
from reverie.control.pilqr_step import PILQR
from reverie.domains import DOMAINS

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
HOW_TOS = sorted((DOCS / "how-to").glob("*.md"))
TOUR = (DOCS / "tour.md").read_text()
SECTIONS = {title: text for title, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TOUR, re.DOTALL | re.MULTILINE)}
AGENDA = [
    *["Recap: MDPs", "Bellman equations", "Q-learning", "Taxonomy", "Deep Q-learning", "Difficulties", "DDPG", "NAF"],
    *["Dyna-Q", "iLQG", "Algorithm 2", "Results", "Outlook", "Critique"],
]
# Rooms whose every module is in the reference.
ROOMS = ("core", "control", "maths", "models", "data", "tabular", "experiments")


class Block(NamedTuple):
    """A fenced block, and what the page's comment says of it in tests: words to add, or OLD -> NEW in Python."""

    cut: str
    language: str
    file: str  # the title, where the block is a file
    text: str


def blocks(text):
    found = re.findall(
        r"(?:<!-- in tests: ([^\n]*?) -->\n)?^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```",
        text,
        re.DOTALL | re.MULTILINE,
    )
    return [Block(*parts) for parts in found]


def without_code(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def command(line, cut):
    words = shlex.split(line)
    assert words[0] == "reverie", line
    assert main([*words[1:], *shlex.split(cut)]) == 0, f"{line} {cut}"


@pytest.fixture
def domains_afterwards_as_before():
    known = dict(DOMAINS)
    yield
    DOMAINS.clear()
    DOMAINS.update(known)


def run_python(block, page):
    old, _, new = block.cut.partition(" -> ")
    assert old in block.text
    names: dict[str, Any] = {"__name__": page.stem}  # each block is copied on its own
    exec(compile(block.text.replace(old, new) if old else block.text, page.name, "exec"), names)
    return names


def test_the_readme_is_two_screens_long():
    assert len(README.read_text().splitlines()) <= 90
    assert all(
        (ROOT / name).stat().st_size < 1_000_000 for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README.read_text())
    )


def test_the_readmes_five_lines_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (block,) = [block for block in blocks(README.read_text()) if block.language == "python"]
    assert len([line for line in block.text.splitlines() if line]) <= 5
    assert "learn(5_000," in block.text and "episodes=10" in block.text
    quick = block.text.replace("learn(5_000,", "learn(220,").replace("episodes=10", "episodes=1")
    names = run_python(Block("", "python", "", quick), README)
    names["learner"].close()
    assert float(capsys.readouterr().out) < 0  # no reward of Pendulum is above 0


def test_the_kettle_of_the_how_to_learns(tmp_path, monkeypatch, capsys, optimised):
    monkeypatch.chdir(tmp_path)
    page = DOCS / "how-to" / "environment.md"
    example = next(block.text for block in blocks(page.read_text()) if "class Kettle" in block.text)
    assert 15 <= len(example.strip().splitlines()) <= 30
    assert "episodes=30" in example
    names = run_python(Block("episodes=30 -> episodes=15", "python", "", example), page)
    names["learner"].close()
    mean, action = capsys.readouterr().out.split(maxsplit=1)
    assert -15 < float(mean) < 0  # full power for ever scores -27, a proportional controller -9.7
    assert 0 <= float(action.strip("[] \n")) <= 2


def test_the_citation_names_this_version_and_the_paper():
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)  # what version 1.2.0 of the format requires
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert citation["references"][0]["url"] == project["urls"]["Paper"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_have_at_most_six_columns(page):
    for row in re.findall(r"^\|.*\|$", without_code(page.read_text()), re.MULTILINE):
        assert len(re.split(r"(?<!\\)\|", row)) - 2 <= 6, row


def pins(text):
    """Return each package's versions: two, where Pythons need different ones."""
    found = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)[^\n]*\\\n    --hash=sha256:", text, re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def test_pins_of_all_requirements_files_agree():
    files = [path.read_text() for path in sorted(ROOT.glob("requirements*.txt"))]
    assert len(files) == 3
    for text in files:
        assert sum(map(len, pins(text).values())) == len(re.findall(r"^\w", text, re.MULTILINE)) > 20  # all are hashed
        assert "http" not in text  # no index: users have their own
    for one, other in itertools.combinations(map(pins, files), 2):
        assert {name: one[name] for name in one.keys() & other} == {name: other[name] for name in one.keys() & other}


def test_algorithm_2_names_functions_that_exist():
    rows = re.findall(r"\[`(\S+): ([\w.]+)`\]\((\S+)\)", (DOCS / "algorithm-2.md").read_text())
    assert len(rows) == 15
    for file, name, link in rows:
        assert link.endswith(file)
        assert f"def {name.rpartition('.')[2]}(" in (DOCS / link).read_text(), f"{file}: {name}"


def test_the_tour_follows_the_talk():
    assert list(SECTIONS) == AGENDA


@pytest.mark.parametrize("section", [title for title, text in SECTIONS.items() if "```sh" in text])
def test_commands_of_the_tour_run(section, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in blocks(SECTIONS[section]):
        if block.language == "sh":
            for line in block.text.splitlines():
                command(line, block.cut)


@pytest.mark.parametrize("section", [title for title in AGENDA if title not in ("Critique",)])
def test_each_section_of_the_tour_has_a_command_or_a_picture(section):
    assert "```sh" in SECTIONS[section] or "![" in SECTIONS[section]
    assert "../src/" in SECTIONS[section] or ".md" in SECTIONS[section]


def test_the_tours_pictures_are_small_and_all_there():
    drawn = {path.name for path in (DOCS / "tour").iterdir()}
    assert drawn == set(re.findall(r"\]\(tour/([^)]+)\)", TOUR))
    assert all(path.stat().st_size < 100_000 for path in (DOCS / "tour").iterdir())


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_how_tos_run(page, tmp_path, monkeypatch, domains_afterwards_as_before):
    """Files are written into the current folder, or into a copy of the package where they belong there."""
    text = page.read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    in_package = any("/" in block.file and ": " not in block.file for block in blocks(text))
    if in_package:
        copy_package(tmp_path)
    for block in blocks(text):
        if ": " in block.file:
            if in_package:
                add_line(tmp_path, block)
        elif block.file:
            (tmp_path / block.file).write_text(block.text)
            importlib.invalidate_caches()
        elif block.language == "python":
            run_python(block, page)
        elif block.language == "sh":
            for line in block.text.splitlines():
                (functools.partial(command_in_copy, tmp_path) if in_package else command)(line, block.cut)


@pytest.mark.parametrize("kind", ["algorithm", "domain", "model", "noise"])
def test_one_file_and_one_line_add_it_to_the_package(kind, tmp_path):
    text = (DOCS / "how-to" / f"{kind}.md").read_text()
    (folder,) = re.findall(r"^Put .*\[`(src/\S+)`\]", text, re.MULTILINE)
    (line,) = [block for block in blocks(text) if ": " in block.file]
    name = re.findall(r'"([\w-]+)"', line.text)[0]
    copy_package(tmp_path)
    for block in blocks(text):
        if block.file.partition(".")[0] == name.replace("-", "_"):
            (tmp_path / folder / block.file).write_text(block.text)
    add_line(tmp_path, line)
    said = command_in_copy(tmp_path, f"reverie list {name}", "")
    assert said.startswith(f"{name}: ") and len(said.splitlines()) > 1


def copy_package(place):
    """Copy the package with its byte code, which Python checks by the times of files, and so need not compile again."""
    shutil.copytree(ROOT / "src", place / "src")
    shutil.copytree(ROOT / "studies", place / "studies", ignore=shutil.ignore_patterns("films", "*.csv"))


def add_line(place, block):
    """Add a block titled "FILE: NAME" at the end of the table NAME."""
    file, _, name = block.file.partition(": ")
    lines = (place / file).read_text().splitlines(keepends=True)
    begin = next(i for i, line in enumerate(lines) if line.startswith((f"{name} = ", f"{name}: ")))
    end = next(i for i, line in enumerate(lines) if i > begin and line[0] in "})")
    end -= lines[end - 1] == "    }\n"  # of a Registry({…})
    (place / file).write_text("".join([*lines[:end], block.text, *lines[end:]]))


def command_in_copy(place, line, cut):
    """Run a command on the copy of the package in `place`; return what it prints."""
    words = [*shlex.split(line), *shlex.split(cut)]
    words = words if words[:2] == ["python", "-m"] else ["python", "-m", *words]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(place / "src"), str(place)])}
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)", without_code(page.read_text())):
        assert (page.parent / target).exists(), target


def test_pages_name_settings_that_exist():
    kinds = (*ALGORITHMS.values(), rv.Imagination, rv.LinearGaussian, rv.Neural, PILQR)
    fields = {field.name for kind in kinds for field in dataclasses.fields(kind)} | {"map_name"}
    fields |= {"noise_fast"}  # of the class in the how-to about noise
    for page in PAGES:
        for name in re.findall(r"--set ([a-z_]+)=", page.read_text()):
            assert name in fields, f"{page.name}: {name}"


def test_every_page_is_in_the_navigation():
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(["index.md", *(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))])


def test_every_public_name_is_in_the_reference():
    pages = [page.read_text() for page in (DOCS / "reference").glob("*.md")]
    listed = re.findall(r"^::: (\S+)$", "\n".join(pages), re.MULTILINE)
    modules = [
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        for room in ROOMS
        for path in (ROOT / "src" / "reverie" / room).rglob("*.py")
        if path.stem != "__init__"
    ]
    wanted = {*(f"reverie.{name}" for name in rv.__all__), *modules, "reverie.domains.domain", "reverie.policy.Policy"}
    wanted |= {"reverie.report.document", "reverie.report.page"}
    assert sorted(listed) == sorted(wanted)


def test_the_site_builds(tmp_path):
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("the site needs packages: pip install 'reverie[docs]'")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    tour = (tmp_path / "tour.html").read_text()
    assert "files/src/reverie/control/lqr.py.html" in tour  # links out of docs/ lead to pages of their own
    assert "lower_triangle" in (tmp_path / "reference" / "maths.html").read_text()
