"""What a world shows of itself to imagination and planning."""

from typing import Any

import numpy as np

from reverie.core.task import KnownDynamics
from reverie.domains import DOMAINS, arrays
from reverie.environments.world import EnvAdapter


def known_dynamics_of(world: EnvAdapter) -> KnownDynamics | None:
    """Return a domain's state, formulas and physics; None for a world that shows its observations only."""
    domain: Any = getattr(world.env.unwrapped, "domain", None)
    if domain not in DOMAINS.values():
        return None
    from reverie.domains.plant import MujocoModel  # MuJoCo is an extra

    plant = MujocoModel(domain)  # of its own: the world goes on undisturbed
    return KnownDynamics(
        plant.state_dim,
        len(domain.start(np.random.default_rng(0)).target),
        lambda x, c: arrays.observe(domain, x, c),
        lambda x, u, x_next, c: arrays.reward(domain, x, u, x_next, c),
        lambda x: arrays.terminated(domain, x),
        plant.step,
        plant.derivatives,
        domain,
    )
