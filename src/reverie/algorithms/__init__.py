"""The algorithms, by the name users type.  Adding one is its file and one line here."""

from reverie.algorithms.ddpg import DDPG
from reverie.algorithms.dqn import DQN
from reverie.algorithms.naf import NAF
from reverie.algorithms.ppo import PPO
from reverie.algorithms.sac import SAC

ALGORITHMS = {"naf": NAF, "ddpg": DDPG, "sac": SAC, "ppo": PPO, "dqn": DQN}
