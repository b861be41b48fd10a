"""Grid mazes as tables of transitions. There are four moves; walls stop them; the goal ends the episode with reward 1.

`#` is a wall, `S` a start, `G` a goal. `environments/maze_env.py` makes a Gymnasium environment of a maze.
"""

from typing import NamedTuple

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left
ARROWS = ("↑", "→", "↓", "←")

TableEntry = tuple[float, int, float, bool]  # probability, next state, reward, terminated; as in Gymnasium's tables


class Maze(NamedTuple):
    """A map, and the probability that a move goes astray."""

    name: str
    gym_id: str
    rows: tuple[str, ...]
    slip: float  # probability that a move goes in one of the other three directions, all equally likely
    text: str  # one line for users


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
    """Return the states that are marked by a letter. States are counted row by row."""
    return [state for state, found in enumerate("".join(rows)) if found == letter]


def move(rows: tuple[str, ...], state: int, direction: int) -> int:
    """Return the state after a move in a direction (0 to 3). A wall or the border stops the move."""
    row, column = divmod(state, len(rows[0]))
    row, column = row + MOVES[direction][0], column + MOVES[direction][1]
    inside = 0 <= row < len(rows) and 0 <= column < len(rows[0])
    return row * len(rows[0]) + column if inside and rows[row][column] != "#" else state


def table(rows: tuple[str, ...], slip: float) -> dict[int, dict[int, list[TableEntry]]]:
    """Return the outcomes of each move in each state: `P[state][action]`, also for walls and goals.

    slip: probability that a move goes in one of the other three directions.
    """

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
