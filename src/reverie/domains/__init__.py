"""The paper's ten domains (Gu et al. 2016, table 1), two with one start, and a point mass: for learners, and for planners."""

import importlib

from reverie.domains.domain import Domain
from reverie.domains.maze import MAZES

FILES = (  # a new domain is a file in this folder and its name here
    "cartpole",
    "reacher",
    "peg",
    "gripper",
    "gripper_m",
    "canada2d",
    "cheetah",
    "swimmer6",
    "ant",
    "walker2d",
    "point_mass",
)
DOMAINS: dict[str, Domain] = {
    domain.name: domain for file in FILES for domain in importlib.import_module(f"{__name__}.{file}").DOMAINS
}


def register() -> None:
    """Make domains and mazes known to Gymnasium as reverie/Cartpole-v0 …; `import reverie` sees to it."""
    import gymnasium as gym

    for domain in DOMAINS.values():
        if domain.gym_id not in gym.registry:
            gym.register(
                domain.gym_id,
                entry_point="reverie.domains.env:DomainEnv",
                kwargs={"domain": domain.name},
                order_enforce=False,  # the environment itself sees to this, its time-out and its checks:
                disable_env_checker=True,  # each wrapper would cost every step
            )
    for maze in MAZES.values():
        if maze.gym_id not in gym.registry:
            gym.register(
                maze.gym_id,
                entry_point="reverie.environments.maze_env:MazeEnv",
                kwargs={"maze": maze.name},
                order_enforce=False,
                disable_env_checker=True,
            )
