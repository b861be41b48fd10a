"""The algorithms, by the name users type.  Adding one is its file and one line here."""

from reverie.core.registry import Registry

ALGORITHMS = Registry(
    {
        "naf": "reverie.algorithms.naf:NAF",
        "ddpg": "reverie.algorithms.ddpg:DDPG",
        "sac": "reverie.algorithms.sac:SAC",
        "ppo": "reverie.algorithms.ppo:PPO",
        "dqn": "reverie.algorithms.dqn:DQN",
    }
)
