"""How each algorithm is tested where all are tested alike: what differs between them, in one table."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import reverie as rv
import worlds
from reverie.algorithms import ALGORITHMS

CONTINUOUS = rv.EnvSpec(2, [-1.0, 0.0], [3.0, 10.0], "line7")
DISCRETE = rv.EnvSpec(2, name="line7", actions=3)
REPLAYED = {
    "hidden": (8,),
    "batch_size": 4,
    "warmup_steps": 4,
    "updates_per_step": 2,
    "learning_rate": 1e-2,
    "replay_capacity": 500,
}
ROLLOUT = {"rollout": 4, "batch_size": 4, "epochs": 2}
ROLLED_OUT = {"hidden": (8,), **ROLLOUT, "learning_rate": 1e-2}
PROBING = {"target_rate": 0.05, "updates_per_step": 4, "warmup_steps": 100}
CALM = {"learn_temperature": False, "temperature": 1e-3}  # then a soft value is a value
FIXED = {"reward_scale": 1.0, "value_limit": 10.0}  # then XQC's values are those of the rewards as they are


class Case(NamedTuple):
    """One algorithm, or a way of running it."""

    algorithm: str
    settings: dict[str, Any]  # small and fast
    probing: dict[str, Any]  # besides networks and discount: learns the probe worlds
    patience: int = 1  # times as many steps for that
    spec: rv.EnvSpec = CONTINUOUS
    line: str = "worlds:Line"
    picky: type = worlds.Nested  # a world that refuses what is not its action
    variants: Sequence[dict[str, Any]] = ({},)  # settings to try besides small networks
    endless: tuple[dict[str, Any], int] = (
        {"target_rate": 0.1},
        1,
    )  # learn values well within so many calls of `update`

    def make(self, **changes: Any) -> Any:
        """Return the algorithm's small settings."""
        return ALGORITHMS[self.algorithm](**(self.settings | changes))

    @property
    def worlds(self) -> int:
        """How many take turns."""
        return self.make().requirements.worlds

    @property
    def has(self) -> set[str]:
        """The names of its settings."""
        return set(ALGORITHMS[self.algorithm].__dataclass_fields__)

    def pushed(self, action: Any) -> Any:
        """Return what an action means to a Probe."""
        return worlds.PUSHES[action] if self.spec.actions else action


CASES = {
    "naf": Case(
        "naf",
        REPLAYED,
        PROBING,
        variants=(
            {},
            {"trunk": "shared", "normalisation": "batch", "value_bound": True},
            {"value_bound": True, "reward_scale": "auto"},
            {"noise": "precision", "mean_bound": "clip"},
        ),
    ),
    "ddpg": Case("ddpg", REPLAYED, PROBING, variants=({}, {"normalisation": "layer", "noise": "gaussian"})),
    "sac": Case(
        "sac",
        REPLAYED,
        PROBING | CALM,
        variants=({}, {"normalisation": "batch"}),
        endless=({"target_rate": 0.1, **CALM}, 1),
    ),
    "xqc": Case(
        "xqc",
        REPLAYED | {"actor_hidden": (8,), "atoms": 11, "discount": 0.99},
        PROBING | CALM | FIXED | {"actor_hidden": (32, 32), "policy_delay": 1},
        variants=({"actor_hidden": (8, 8)}, {"actor_hidden": (8,), "policy_delay": 1, "atoms": 11}),
        endless=({"target_rate": 0.1, "actor_hidden": (16,), **CALM, **FIXED}, 1),
    ),
    "ppo": Case(
        "ppo",
        ROLLED_OUT,
        {"rollout": 64, "std": 0.3},
        8,
        variants=(ROLLOUT, ROLLOUT | {"worlds": 3}),
        endless=({"rollout": 32, "worlds": 2, "batch_size": 64}, 60),
    ),
    "ppo of 3": Case("ppo", ROLLED_OUT | {"worlds": 3}, {"rollout": 64, "worlds": 3, "std": 0.3}, 16),
    "dqn": Case(
        "dqn",
        REPLAYED,
        PROBING,
        1,
        DISCRETE,
        "worlds:Switched",
        worlds.Choosy,
        variants=({}, {"normalisation": "layer", "double": False, "huber": True}),
    ),
}


def those(**wanted: Any) -> list[str]:
    """Return the names of cases that have a setting (`setting=`) or so many worlds (`worlds=`)."""
    return [
        name
        for name, case in CASES.items()
        if wanted.get("worlds", case.worlds) == case.worlds and {wanted.get("setting", "hidden")} <= case.has
    ]
