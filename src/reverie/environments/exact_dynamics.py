"""Known dynamics of an environment, for imagination and planning."""

from typing import Any

import numpy as np

from reverie.core.known_dynamics import KnownDynamics
from reverie.domains import DOMAINS, batched
from reverie.environments.env_adapter import EnvAdapter


def known_dynamics_of(adapter: EnvAdapter) -> KnownDynamics | None:
    """Return the known dynamics of a domain: state, formulas and physics. None for any other environment."""
    domain: Any = getattr(adapter.env.unwrapped, "domain", None)
    if domain not in DOMAINS.values():
        return None
    from reverie.domains.mujoco_model import MujocoModel  # MuJoCo is an extra

    plant = MujocoModel(domain)  # a separate model, so that the environment is not changed
    return KnownDynamics(
        plant.state_dim,
        len(domain.start(np.random.default_rng(0)).target),
        lambda x, c: batched.observe(domain, x, c),
        lambda x, u, x_next, c: batched.reward(domain, x, u, x_next, c),
        lambda x: batched.terminated(domain, x),
        plant.step,
        plant.derivatives,
        domain,
    )
