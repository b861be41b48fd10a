"""The paper's ten domains (Gu et al. 2016, table 1) and two with one start: for learners, and for planners."""

import importlib

from reverie.domains.domain import Domain

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
)
DOMAINS: dict[str, Domain] = {
    domain.name: domain for file in FILES for domain in importlib.import_module(f"{__name__}.{file}").DOMAINS
}


def register() -> None:
    """Make the domains known to Gymnasium as reverie/Cartpole-v0 …; `import reverie` sees to it."""
    import gymnasium as gym

    for domain in DOMAINS.values():
        if domain.gym_id not in gym.registry:
            gym.register(
                domain.gym_id,
                entry_point="reverie.domains.env:DomainEnv",
                kwargs={"domain": domain.name},
                max_episode_steps=domain.horizon,
                order_enforce=False,  # the environment sees to both itself, and each wrapper costs every step
                disable_env_checker=True,
            )
