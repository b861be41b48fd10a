"""Drawings of tables: what stands in which cell."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from reverie.core.errors import ReverieError
from reverie.environments.toy_text import DiscreteEnvAdapter
from reverie.report import value_map
from reverie.tabular.value_iteration import value_iteration

LAKE = """\
 S ←     ↑     ↑     ↑  
 .542  .499  .471  .457 
   ←   H       ←   H    
 .558   0    .358   0   
   ↑     ↓     ←   H    
 .592  .643  .615   0   
 H       →     ↓   G    
  0    .742  .863   0   
"""


def solved(name, discount):
    world = DiscreteEnvAdapter(name)
    mdp = world.table()
    found = value_iteration(mdp, discount)
    return world.grid(), found.values, found.policy, mdp.terminal


def test_the_map_of_frozen_lake_is_printed_as_drawn_by_hand(capsys):
    value_map.show(*solved("FrozenLake-v1", 0.99))
    assert capsys.readouterr().out == LAKE


def test_walls_are_blank_and_all_lines_are_alike(capsys):
    value_map.show(*solved("four-rooms", 0.9))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 13 and {len(line) for line in lines} == {6 * 13}
    assert not lines[0].strip() and lines[2][:12] == " " * 6 + " S ↓  "


def test_walls_and_cliffs_have_no_colour_and_no_value(monkeypatch):
    for name in ("four-rooms", "CliffWalking-v1"):
        grid, values, policy, terminal = solved(name, 0.9)
        out = io.StringIO()
        console = Console(file=out, force_terminal=True, color_system="truecolor", highlight=False, soft_wrap=True)
        monkeypatch.setattr(value_map, "Console", lambda console=console, **_: console)
        value_map.show(grid, values, policy, terminal)
        rows = [re.findall(r"(\x1b\[[\d;]*m)?([^\x1b]+)(?:\x1b\[0m)?", line) for line in out.getvalue().splitlines()]
        for number, states in enumerate(grid.cells[0]):
            for line in rows[2 * number : 2 * number + 2]:
                coloured = "".join(("x" if style else " ") * len(text) for style, text in line)
                assert coloured == "".join((" " if state < 0 else "x") * 6 for state in states)
    assert "".join(text for _, text in rows[6]) == " S ↑  " + 10 * " C    " + " G    "
    assert not "".join(text for _, text in rows[7])[6:66].strip()


def test_what_a_cliff_is_worth_does_not_stretch_the_colours():
    grid, values, _, _ = solved("CliffWalking-v1", 0.9)
    inside = values[[state for state in grid.cells.ravel() if state >= 0]]
    values = np.where(np.isin(np.arange(len(values)), grid.cells), values, -1e9)
    assert value_map._range(grid, values) == (inside.min(), inside.max())


def test_cells_of_a_taxi_belong_to_its_titles():
    grid, values, policy, _ = solved("Taxi-v4", 1.0)
    assert grid.cells.shape == (16, 5, 5) and len(set(grid.cells.ravel())) == 400
    at = dict(zip(grid.titles, grid.cells, strict=True))
    assert values[at["aboard, to R"][0, 0]] == 20 and grid.arrows[policy[at["aboard, to R"][0, 0]]] == "-"
    assert values[at["aboard, to R"][1, 0]] == 19 and grid.arrows[policy[at["aboard, to R"][1, 0]]] == "↑"
    assert grid.arrows[policy[at["at G, to R"][0, 4]]] == "+"
    for letter, (row, column) in {"R": (0, 0), "G": (0, 4), "Y": (4, 0), "B": (4, 3)}.items():
        assert grid.letters[row, column] == letter


def test_many_maps_are_cut_short_and_a_table_without_map_is_listed(capsys):
    value_map.show(*solved("Taxi-v4", 1.0))
    assert capsys.readouterr().out.splitlines()[-1] == "… 12 more maps: -o FILE.png draws all"
    values = np.arange(30.0)
    value_map.show(None, values, np.arange(30) % 2, values == 2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["state", "value", "action"]
    assert lines[1].split() == ["1", "1", "1"] and lines[2].split() == ["2", "2", "-"] and len(lines) == 22
    assert lines[-1] == "… 9 more states with a value that is not 0: --json lists all"


@pytest.mark.parametrize(("name", "discount"), [("FrozenLake-v1", 0.99), ("Taxi-v4", 1.0), (None, None)])
def test_a_saved_picture_changes_with_the_values(name, discount, tmp_path):
    pixels = pytest.importorskip("matplotlib.image")
    table = (None, np.arange(9.0), np.arange(9) % 2, np.arange(9) == 0) if name is None else solved(name, discount)
    file = value_map.save(*table, tmp_path / "table.png", "a title")
    picture = pixels.imread(file)
    assert min(picture.shape[:2]) > 200 and np.ptp(picture[..., :3]) > 0.5
    other = value_map.save(table[0], -table[1], *table[2:], tmp_path / "other.png", "a title")
    assert (pixels.imread(other).shape != picture.shape) or (pixels.imread(other) != picture).any()


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("map.jpg", "map.jpg ends in .jpg; pictures are .png"),
        ("map", "map ends in nothing; pictures are .png"),
        ("no/map.png", "cannot write no/map.png: there is no folder no"),
    ],
)
def test_what_cannot_be_drawn_is_named(file, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReverieError, match=sentence):
        value_map.refuse_what_cannot_be_drawn(value_map.Path(file))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5420, ".542"),
        (-0.5, "-.5"),
        (-13.0, "-13"),
        (7.93, "7.93"),
        (12345.0, "1e+04"),
        (0.0, "0"),
        (-np.inf, "-inf"),
    ],
)
def test_values_in_five_characters(value, text):
    assert value_map.short(value) == text and len(text) <= 5
