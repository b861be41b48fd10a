"""Every function of `control` that programs call, with arguments that fit."""

import numpy as np

from plants import SWING_UP, definite, random_lqr
from reverie.control import box_qp, ilqg, kl_step, kl_step_per_time, lqr, mpc, path_integral, pilqr_step
from reverie.control.controller import Controller, maximum_entropy
from reverie.control.pilqr_step import PILQR, Explained, Sampled

N, M, T, SAMPLES = 3, 2, 4, 5

RANDOM = np.random.default_rng(0)

DYNAMICS, COST = random_lqr(RANDOM, N, M, T, noise=0.1)

OLD = Controller(np.zeros((T, M, N)), np.zeros((T, M)), np.tile(0.3 * np.eye(M), (T, 1, 1)))

START = {"x0_mean": np.ones(N), "x0_cov": np.eye(N)}

SAMPLED = Sampled(np.ones((SAMPLES, N)), np.zeros((SAMPLES, T, M)), RANDOM.random((SAMPLES, T)))

MODEL = Explained(DYNAMICS, COST, np.zeros((SAMPLES, T)))

ONE, BOX = np.ones(M), {"low": -np.ones(M), "high": np.ones(M), "start": np.zeros(M)}

PLANT = {"A": np.eye(N), "B": np.ones((N, M)), "Q": np.eye(N), "R": np.eye(M)}

CALLS = {
    "lqr.infinite": (lqr.infinite, PLANT | {"N": np.zeros((N, M))}),
    "lqr.solve": (lqr.solve, {"dynamics": DYNAMICS, "cost": COST}),
    "lqr.backward": (lqr.backward, {"dynamics": DYNAMICS, "cost": COST}),
    "lqr.moments": (
        lqr.moments,
        {"dynamics": DYNAMICS, "controller": OLD, "x0_mean": np.ones(N), "x0_covariance": np.eye(N)},
    ),
    "lqr.expected_cost": (
        lqr.expected_cost,
        {"dynamics": DYNAMICS, "cost": COST, "controller": OLD, "x0_mean": np.ones(N), "x0_covariance": np.eye(N)},
    ),
    "kl_step_per_time.bounded_steps": (
        kl_step_per_time.bounded_steps,
        {"dynamics": DYNAMICS, "cost": COST, "old": OLD, "bounds": np.ones(T), "eta": np.ones(T), **START},
    ),
    "kl_step_per_time.regulated": (
        kl_step_per_time.regulated,
        {"dynamics": DYNAMICS, "cost": COST, "old": OLD, "eta": np.ones(T)},
    ),
    "kl_step.bounded_step": (
        kl_step.bounded_step,
        {"dynamics": DYNAMICS, "cost": COST, "old": OLD, "bound": 0.1, **START},
    ),
    "kl_step.one_step": (
        kl_step.one_step,
        {"dynamics": DYNAMICS, "cost": COST, "old": OLD, "mode": "plain", **START},
    ),
    "kl_step.augmented": (kl_step.augmented, {"cost": COST, "old": OLD, "eta": 1.0}),
    "kl_step.divergence": (
        kl_step.divergence,
        {"new": OLD, "old": OLD, "means": np.zeros((T, N)), "covariances": np.tile(np.eye(N), (T, 1, 1))},
    ),
    "maximum_entropy": (
        maximum_entropy,
        {"K": OLD.K, "k": OLD.k, "Quu": definite(RANDOM, M, T), "sigma": 0.2, "sigma_min": 0.1, "sigma_max": 0.5},
    ),
    "box_qp.solve": (box_qp.solve, {"H": np.eye(M), "g": ONE, **BOX}),
    "path_integral.costs_to_go": (path_integral.costs_to_go, {"costs": SAMPLED.costs}),
    "path_integral.weights": (path_integral.weights, {"to_go": SAMPLED.costs, "eta": np.ones(T)}),
    "path_integral.divergence": (path_integral.divergence, {"weights": np.full((SAMPLES, T), 1 / SAMPLES)}),
    "path_integral.temperature": (path_integral.temperature, {"to_go": SAMPLED.costs, "bound": 1.0}),
    "path_integral.moved": (
        path_integral.moved,
        {"controller": OLD, "noise": SAMPLED.noise, "weights": np.full((SAMPLES, T), 1 / SAMPLES)},
    ),
    "pilqr_step.explain": (pilqr_step.explain, {"dynamics": DYNAMICS, "cost": COST, "old": OLD, "sampled": SAMPLED}),
    "pilqr_step.residual_share": (pilqr_step.residual_share, {"costs": SAMPLED.costs, "modelled": MODEL.modelled}),
    "pilqr_step.update": (
        pilqr_step.update,
        {"settings": PILQR(), "old": OLD, "sampled": SAMPLED, "model": MODEL, "bounds": np.ones(T)},
    ),
    "ilqg.solve": (ilqg.solve, {"problem": SWING_UP, "x0": np.zeros(4), "U0": np.zeros((T, 1))}),
    "ilqg.solve_on_host": (ilqg.solve_on_host, {"problem": SWING_UP, "x0": np.zeros(4), "U0": np.zeros((T, 1))}),
    "mpc.begin": (mpc.begin, {"actions": np.zeros((T, 1))}),
}
