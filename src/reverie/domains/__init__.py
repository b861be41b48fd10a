"""Control tasks: the ten domains of Gu et al. 2016 (table 1), two variants with a single start, and a point mass."""

import importlib

from reverie.domains.domain import Domain
from reverie.domains.maze import MAZES

FILES = (  # to add a domain, write a file in this folder and its name here
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
    """Register domains and mazes with Gymnasium as reverie/Cartpole-v0 and so on. `import reverie` calls this."""
    import gymnasium as gym

    for domain in DOMAINS.values():
        if domain.gym_id not in gym.registry:
            gym.register(
                domain.gym_id,
                entry_point="reverie.domains.env:DomainEnv",
                kwargs={"domain": domain.name},
                order_enforce=False,  # the environment itself checks order, time limit and values,
                disable_env_checker=True,  # because each wrapper would cost time at every step
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
