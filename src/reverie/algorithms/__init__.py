"""Algorithms by the names that users type. To add one, write its file and one line here."""

from reverie.core.registry import Registry

ALGORITHMS = Registry(
    {
        "naf": "reverie.algorithms.naf:NAF",
        "ddpg": "reverie.algorithms.ddpg:DDPG",
        "sac": "reverie.algorithms.sac:SAC",
        "xqc": "reverie.algorithms.xqc:XQC",
        "ppo": "reverie.algorithms.ppo:PPO",
        "dqn": "reverie.algorithms.dqn:DQN",
    }
)
