"""Episodes of systems whose equations are known."""

import numpy as np

from reverie.core.dynamics import Episode


def linear_episodes(generator, number, steps=20, noise=0.0, start=None, spread=None):
    """Return (episodes, A, B, c) of a random stable x' = A x + B u + c + noise, 4 states and 2 actions."""
    A = np.linalg.qr(generator.standard_normal((4, 4)))[0] * 0.9
    B, c = generator.standard_normal((4, 2)), generator.standard_normal(4) * 0.1
    episodes = []
    for _ in range(number):
        x = generator.standard_normal(4) if start is None else start + (spread or 0.0) * generator.standard_normal(4)
        states, actions = [x], generator.uniform(-1, 1, (steps, 2))
        for u in actions:
            x = A @ x + B @ u + c + noise * generator.standard_normal(4)
            states.append(x)
        rewards = 1.0 - (np.array(states[:-1]) ** 2).sum(1) - 0.1 * (actions**2).sum(1)
        episodes.append(Episode(np.array(states), actions, rewards))
    return episodes, A, B, c


def swinging_episodes(generator, number, steps=150, noise=1e-3):
    """Return episodes of a hanging cart-pole (4 states, 1 action) under one plan and action noise of 0.3."""
    plan = np.sin(np.arange(steps) / 15 + 1.0) * 0.5
    episodes = []
    for _ in range(number):
        x = np.array([0.0, np.pi, 0.0, 0.0]) + 0.05 * generator.standard_normal(4)
        states, actions = [x], []
        for planned in plan:
            u = np.clip(planned - 0.1 * (x[0] + x[2]) + 0.3 * generator.standard_normal(1), -1, 1)
            x = cartpole(x, u) + noise * generator.standard_normal(4)
            states.append(x)
            actions.append(u)
        episodes.append(Episode(np.array(states), np.array(actions), np.zeros(steps)))
    return episodes


def cartpole(x, u):
    """Return Barto and Sutton's cart-pole after 0.02 s, θ = 0 upright, force 10 u."""
    (_, angle, _, turn), cart, pole, half = x, 1.0, 0.1, 0.5
    pull = (10 * u[0] + pole * half * turn**2 * np.sin(angle)) / (cart + pole)
    spin = (9.8 * np.sin(angle) - np.cos(angle) * pull) / (half * (4 / 3 - pole * np.cos(angle) ** 2 / (cart + pole)))
    return x + 0.02 * np.array([x[2], turn, pull - pole * half * spin * np.cos(angle) / (cart + pole), spin])
