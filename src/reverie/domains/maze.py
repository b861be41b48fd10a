"""Grid mazes as tables of transitions: four moves, walls that stop them, a goal that ends the episode with reward 1.

`#` is a wall, `S` the start, `G` the goal.  Formulas only; `environments/maze_env.py` makes a Gymnasium environment of one.
"""

from typing import NamedTuple

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left
ARROWS = ("↑", "→", "↓", "←")

TableEntry = tuple[float, int, float, bool]  # probability, next state, reward, terminated: as in Gymnasium's tables


class Maze(NamedTuple):
    """A map, and how often a move goes astray: in each of the other three directions alike."""

    name: str
    gym_id: str
    rows: tuple[str, ...]
    slip: float
    text: str


MAZES = {
    maze.name: maze
    for maze in (
        Maze(
            "dyna-maze",
            "reverie/DynaMaze-v0",
            (
                ".......#G",
                "..#....#.",
                "S.#....#.",
                "..#......",
                ".....#...",
                ".........",
            ),
            0.0,
            "Sutton & Barto 2018, example 8.1: 6 x 9 cells, 14 steps at best",
        ),
        Maze(
            "four-rooms",
            "reverie/FourRooms-v0",
            (
                "#############",
                "#S....#.....#",
                "#.....#.....#",
                "#...........#",
                "#.....#.....#",
                "#.....#.....#",
                "##.####.....#",
                "#.....###.###",
                "#.....#.....#",
                "#.....#.....#",
                "#...........#",
                "#.....#....G#",
                "#############",
            ),
            1 / 3,
            "rooms as in Sutton, Precup & Singh 1999; a third of all moves goes astray",
        ),
    )
}


def find(rows: tuple[str, ...], letter: str) -> list[int]:
    """Return the states, counted row by row, that a letter marks."""
    return [state for state, found in enumerate("".join(rows)) if found == letter]


def move(rows: tuple[str, ...], state: int, direction: int) -> int:
    """Return the state that a move leads to: the same one where a wall or the border is in the way."""
    row, column = divmod(state, len(rows[0]))
    row, column = row + MOVES[direction][0], column + MOVES[direction][1]
    inside = 0 <= row < len(rows) and 0 <= column < len(rows[0])
    return row * len(rows[0]) + column if inside and rows[row][column] != "#" else state


def table(rows: tuple[str, ...], slip: float) -> dict[int, dict[int, list[TableEntry]]]:
    """Return the outcomes of each move from each state, walls and goals included."""

    def outcome(state: int, direction: int, probability: float) -> TableEntry:
        after = move(rows, state, direction)
        there = "".join(rows)[after] == "G"
        return probability, after, float(there), there

    def outcomes(state: int, action: int) -> list[TableEntry]:
        if "".join(rows)[state] in "#G":
            return [(1.0, state, 0.0, True)]
        astray = [outcome(state, other, slip / 3) for other in range(4) if other != action and slip > 0]
        return [outcome(state, action, 1.0 - slip), *astray]

    return {s: {a: outcomes(s, a) for a in range(4)} for s in range(len(rows) * len(rows[0]))}
