"""What the documents say is true: their code runs, their links lead somewhere, their tables match the code."""

import dataclasses
import pathlib
import re

import pytest

import reverie as rv

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def test_the_readmes_own_environment_learns(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    example = blocks(ROOT / "README.md")[0]
    assert 15 <= len(example.strip().splitlines()) <= 30
    names = {"__name__": "readme"}
    exec(compile(example.replace("episodes=30", "episodes=15"), "README.md", "exec"), names)
    names["learner"].close()
    mean, action = capsys.readouterr().out.split(maxsplit=1)
    assert -15 < float(mean) < 0  # full power for ever scores -27, a proportional controller -9.7
    assert 0 <= float(action.strip("[] \n")) <= 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_pages_name_settings_that_exist():
    kinds = (rv.NAF, rv.Imagination, rv.LinearGaussian, rv.Neural)
    fields = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    for page in PAGES:
        for name in re.findall(r"--set (\w+)=", page.read_text()):
            assert name in fields, f"{page.name}: {name}"
