"""The algorithms, by the name users type.  Adding one is its file and one line here."""

from reverie.algorithms.ddpg import DDPG
from reverie.algorithms.naf import NAF

ALGORITHMS = {"naf": NAF, "ddpg": DDPG}
