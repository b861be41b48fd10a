"""Positions of states on a map, for drawings of tables."""

from typing import NamedTuple

import numpy as np


class Grid(NamedTuple):
    """States as cells of one or more maps."""

    cells: np.ndarray  # [maps, rows, columns], the state of each cell; -1: none, for a wall or a cliff
    letters: np.ndarray  # [rows, columns], one character for each cell in all maps: S, G, H …; blank: nothing
    titles: tuple[str, ...]  # of the maps
    arrows: tuple[str, ...]  # [A], one character for each action
