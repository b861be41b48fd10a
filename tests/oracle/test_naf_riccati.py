"""On a linear system with quadratic cost, what is learnt is what the discounted Riccati equation says.

max_u Q(x, u) has a closed form there: V(x) = -xᵀ S x, μ(x) = -K x and, since Q(x, u) = V - ½ (u - μ)ᵀ P (u - μ),
P = 2 (R + γ Bᵀ S B) with K = (R + γ Bᵀ S B)⁻¹ γ Bᵀ S A.  No noise, and next states stay within the box of the data.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from reverie.algorithms import ALGORITHMS
from reverie.core.env_spec import EnvSpec
from reverie.core.types import Transition
from reverie.maths import networks, quadratic

GAMMA, COUNT, B = 0.9, 20_000, 100
A, Q = np.array([[0.7, 0.1], [-0.2, 0.5]]), np.diag([1.0, 0.5])
SYSTEMS = {  # B, R
    1: (np.array([[0.2], [0.1]]), np.array([[0.3]])),
    2: (np.array([[0.2, 0.0], [0.1, 0.2]]), np.array([[0.4, 0.1], [0.1, 0.3]])),
}
STAGES = [(1e-3, 3000), (3e-4, 3000)]  # learning rate, updates
GRID = np.array([(a, b) for a in np.linspace(-0.8, 0.8, 9) for b in np.linspace(-0.8, 0.8, 9)], np.float32)


def riccati(m):
    """Return K, P, S of system `m`."""
    b, r = SYSTEMS[m]
    s = solve_discrete_are(GAMMA**0.5 * A, GAMMA**0.5 * b, Q, r)
    h = r + GAMMA * b.T @ s @ b
    return np.linalg.solve(h, GAMMA * b.T @ s @ A), 2.0 * h, s


def experience(m, generator):
    b, r = SYSTEMS[m]
    x, u = generator.uniform(-1, 1, (COUNT, 2)), generator.uniform(-1, 1, (COUNT, m))
    reward = -np.einsum("ki,ij,kj->k", x, Q, x) - np.einsum("ki,ij,kj->k", u, r, u)
    found = Transition(x, u, reward, np.ones(COUNT), x @ A.T + u @ b.T)
    assert np.abs(found.next_observation).max() < 1.0
    return jax.tree.map(lambda part: jnp.asarray(part, jnp.float32), found)


def learnt(name, m, generator):
    """Return the agent and its state after minibatches from a fixed dataset, at a learning rate lowered in stages."""
    data, state, spec = experience(m, generator), None, EnvSpec(2, [-1] * m, [1] * m)
    for number, (rate, updates) in enumerate(STAGES):
        settings = {"hidden": (64, 64), "normalisation": "none", "discount": GAMMA, "target_rate": 0.02}
        config = ALGORITHMS[name](**settings, learning_rate=rate)
        agent = config.build(spec)
        state = agent.init(jax.random.key(0)) if state is None else state

        @jax.jit
        def run(state, rows, agent=agent):
            def one(state, rows):
                return agent.update(state, jax.tree.map(lambda part: part[rows], data))[0], None

            return jax.lax.scan(one, state, rows)[0]

        state = run(state, np.random.default_rng(number).integers(COUNT, size=(updates, 1, B)))
    return agent, state


def gain(agent, state):
    """Return K of the least-squares fit μ(x) = -K x, and μ over the grid."""
    mean = np.asarray(agent.greedy(agent.policy(state), jnp.asarray(GRID)))
    return -np.linalg.lstsq(GRID, mean, rcond=None)[0].T, mean


def apart(found, wanted):
    """Return the relative distance of two arrays."""
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def head(state, name):
    layers, moments = state.params[name], state.moments[name]
    return networks.linear(layers[-1], networks.hidden(layers[:-1], moments, jnp.asarray(GRID))[0])


@pytest.mark.parametrize("m", SYSTEMS)
def test_naf_recovers_gain_curvature_and_value(m, generator):
    k, p, s = riccati(m)
    agent, state = learnt("naf", m, generator)
    fitted, mean = gain(agent, state)
    assert apart(fitted, k) < 0.05
    assert apart(mean, -GRID @ k.T) < 0.05
    lower = np.asarray(quadratic.lower_triangle(head(state, "lower"), m))
    assert apart(lower @ lower.swapaxes(1, 2), np.broadcast_to(p, (len(GRID), m, m))) < 0.05
    value = np.asarray(head(state, "value"))[:, 0]
    assert apart(value, -np.einsum("ki,ij,kj->k", GRID, s, GRID)) < 0.05


def test_ddpgs_actor_recovers_the_gain(generator):
    k, _, _ = riccati(1)
    assert apart(gain(*learnt("ddpg", 1, generator))[0], k) < 0.1
