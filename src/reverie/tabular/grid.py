"""Where states lie on paper: what drawings of a table need to know, and the mathematics does not."""

from typing import NamedTuple

import numpy as np


class Grid(NamedTuple):
    """States as cells of one or more maps."""

    cells: np.ndarray  # [maps, rows, columns], the state there; -1: a wall or a cliff, where nobody ever is
    letters: np.ndarray  # [rows, columns] of one character, what is there in all maps: S, G, H …; a blank for nothing
    titles: tuple[str, ...]  # of the maps
    arrows: tuple[str, ...]  # [A], one character for each action
