"""Path integrals: temperature and weights against SciPy and closed forms, the update against Gaussians multiplied by hand."""

import numpy as np
import pytest
import scipy.optimize

from reverie.control import path_integral
from reverie.control.controller import Controller
from reverie.control.path_integral import costs_to_go, divergence, moved, temperature, weights
from reverie.core.status import Status

N, T = 20, 6


@pytest.fixture
def to_go(generator):
    ranks = generator.permuted(np.repeat(np.arange(float(N))[:, None], T, axis=1), axis=0)
    return (ranks + 0.3 * generator.uniform(size=(N, T))) ** 1.5 * np.array([1.0, 1e-6, 1e6, 3.0, 0.1, 1.0])


def dual(eta, costs, bound):
    """Return g(η), written out."""
    return eta * bound + eta * np.log(np.mean(np.exp(-(costs - costs.min()) / eta))) - costs.min()


def test_costs_to_go_are_sums_of_what_is_still_to_come():
    assert costs_to_go(np.array([[1.0, 2.0, 4.0], [0.0, -1.0, 3.0]])).tolist() == [[7.0, 6.0, 4.0], [2.0, 2.0, 3.0]]


@pytest.mark.parametrize("bound", [1e-3, 0.3, 1.0, 2.5])
def test_the_samples_kl_is_its_bound(to_go, bound):
    found = temperature(to_go, bound)
    w = weights(to_go, found.eta)
    assert found.status == Status.DONE
    np.testing.assert_allclose(w.sum(0), 1.0, rtol=1e-14)
    assert (w >= 0).all()
    written_out = [sum(p * np.log(p * N) for p in column if p > 0) for column in w.T]
    np.testing.assert_allclose(written_out, bound, atol=1e-8)
    np.testing.assert_allclose(found.kl, written_out, atol=1e-12)


@pytest.mark.parametrize("bound", [0.3, 1.0])
def test_it_minimises_the_dual(to_go, bound):
    found = temperature(to_go, bound)
    for costs, eta in zip(to_go.T, found.eta, strict=True):
        unit = costs.std()
        best = scipy.optimize.minimize_scalar(
            lambda log_eta, c=costs / unit: dual(np.exp(log_eta), c, bound), bounds=(-6, 6), method="bounded",
            options={"xatol": 1e-10},
        )  # fmt: skip
        np.testing.assert_allclose(eta, unit * np.exp(best.x), rtol=1e-5)
        h = 1e-4 * eta  # elsewhere, too, the slope of g is ε - KL
        slope = (dual(2 * eta + h, costs, bound) - dual(2 * eta - h, costs, bound)) / (2 * h)
        assert slope == pytest.approx(bound - divergence(weights(costs[:, None], 2 * eta))[0], rel=1e-5)


def test_two_samples_by_hand():
    better = 1 / (1 + np.exp(-1.5))  # of costs 0 and 3 at η = 2
    bound = better * np.log(2 * better) + (1 - better) * np.log(2 * (1 - better))
    assert temperature(np.array([[0.0], [3.0]]), bound).eta[0] == pytest.approx(2.0, rel=1e-6)


def test_constants_do_not_matter_and_units_scale_the_temperature(to_go):
    plain = temperature(to_go, 1.0)
    moved_up, scaled = temperature(to_go + 7.0 * to_go.std(0), 1.0), temperature(1e5 * to_go, 1.0)
    np.testing.assert_allclose(moved_up.eta, plain.eta, rtol=1e-7)
    np.testing.assert_allclose(scaled.eta, 1e5 * plain.eta, rtol=1e-9)
    np.testing.assert_allclose(weights(1e5 * to_go, scaled.eta), weights(to_go, plain.eta), rtol=1e-7)


@pytest.mark.parametrize("bound", [np.log(N), 10.0])
def test_a_bound_that_few_samples_cannot_reach_lets_the_best_win(to_go, bound):
    found = temperature(to_go, bound)
    assert found.status == Status.INACTIVE and (found.kl <= bound).all()
    np.testing.assert_allclose(found.eta, 1e-3 * to_go.std(0))
    w = weights(to_go, found.eta)
    assert (w.argmax(0) == to_go.argmin(0)).all() and w.max(0).min() > 0.99


def test_several_best_samples_share():
    costs = np.array([[0.0], [0.0], [5.0], [9.0]])
    found = temperature(costs, 0.7)  # log 4/2 = .693 is all that these four can say
    assert found.status == Status.INACTIVE and found.kl[0] == pytest.approx(np.log(2))
    np.testing.assert_allclose(weights(costs, found.eta)[:, 0], [0.5, 0.5, 0.0, 0.0], atol=1e-12)


def test_where_all_cost_the_same_nothing_is_preferred(to_go):
    to_go[:, 2] = 3.0
    found = temperature(to_go, 1.0)
    assert found.status == Status.DONE and np.isinf(found.eta[2]) and found.kl[2] == 0
    np.testing.assert_array_equal(weights(to_go, found.eta)[:, 2], np.full(N, 1 / N))
    assert temperature(np.ones((N, T)), 1.0).status == Status.INACTIVE


@pytest.mark.parametrize(
    ("costs", "status"),
    [
        (np.ones((1, T)), Status.TOO_FEW_SAMPLES),
        (np.full((N, T), np.nan), Status.NONFINITE_MODEL),
        (np.where(np.eye(N, T), np.inf, 0.0), Status.NONFINITE_MODEL),
    ],
)
def test_what_cannot_be_weighted_is_told_and_moves_nothing(costs, status):
    found = temperature(costs, 1.0)
    assert found.status == status and np.isinf(found.eta).all()


def test_a_search_cut_short_says_so(to_go):
    assert temperature(to_go, 1.0, halvings=4).status == Status.MAX_ITERATIONS


# ---- the update


def one_step(k, chol):
    return Controller(np.ones((1, len(k), 3)), np.array([k]), np.array([chol]))


def test_a_linear_cost_moves_the_mean_as_gaussians_are_multiplied(generator):
    """N(k, Σ) exp(-gᵀu/η) is N(k - Σ g/η, Σ)."""
    chol, g, eta = np.array([[0.5, 0.0], [0.3, 0.2]]), np.array([1.0, -2.0]), 0.8
    old = one_step(np.array([0.1, 0.4]), chol)
    noise = generator.standard_normal((200_000, 1, 2))
    costs = (old.k[0] + noise[:, 0] @ chol.T) @ g
    for centred in (True, False):
        new = moved(old, noise, weights(costs[:, None], np.array([eta])), damping=1.0, centred=centred)
        np.testing.assert_allclose(new.k[0], old.k[0] - chol @ chol.T @ g / eta, atol=0.01)
        np.testing.assert_allclose(new.chol, old.chol, rtol=0.02)
        np.testing.assert_array_equal(new.K, old.K)


@pytest.mark.parametrize("damping", [1.0, 2.0, 10.0])
def test_a_quadratic_cost_shrinks_the_variance_as_gaussians_are_multiplied(generator, damping):
    """N(0, σ²) exp(-½ a u²/η) has variance σ²/(1 + a σ²/η); of that factor the power 1/damping is kept."""
    sigma, a, eta = 0.5, 6.0, 0.7
    noise = generator.standard_normal((200_000, 1, 1))
    costs = 0.5 * a * (sigma * noise[:, 0]) ** 2
    new = moved(one_step(np.zeros(1), sigma * np.eye(1)), noise, weights(costs, np.array([eta])), damping)
    factor = (1 + a * sigma**2 / eta) ** (-1 / damping)
    np.testing.assert_allclose(new.chol[0, 0, 0] ** 2, sigma**2 * factor, rtol=0.02)


def test_weights_that_say_nothing_move_nothing_unless_taken_literally(generator):
    old = one_step(np.array([0.1, 0.4]), np.array([[0.5, 0.0], [0.3, 0.2]]))
    noise, even = generator.standard_normal((N, 1, 2)), np.full((N, 1), 1 / N)
    for a, b in zip(moved(old, noise, even), old, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)
    literal = moved(old, noise, even, damping=1.0, centred=False)
    np.testing.assert_allclose(literal.k[0], old.k[0] + old.chol[0] @ noise[:, 0].mean(0), rtol=1e-12)
    shrunk = np.sqrt(noise[:, 0].var(0).mean())
    np.testing.assert_allclose(literal.chol, shrunk * old.chol, rtol=1e-12)


def test_one_sample_that_takes_all_leaves_some_noise(generator):
    old, noise = one_step(np.zeros(2), np.eye(2)), generator.standard_normal((N, 1, 2))
    new = moved(old, noise, np.eye(N)[:, :1], damping=1.0)
    np.testing.assert_allclose(new.chol[0], np.sqrt(path_integral.LEAST) * np.eye(2))
    np.testing.assert_allclose(new.k[0], noise[0, 0] - noise[:, 0].mean(0))


def test_it_finds_what_no_derivative_shows(generator):
    """u in [1, 1.3] costs 0, all else 1; from N(0, 1)."""
    c = Controller(np.zeros((1, 1, 1)), np.zeros((1, 1)), np.ones((1, 1, 1)))
    for _ in range(20):
        noise = generator.standard_normal((30, 1, 1))
        u = c.k[0, 0] + c.chol[0, 0, 0] * noise[:, 0]
        costs = 1.0 - ((u >= 1.0) & (u <= 1.3))
        c = moved(c, noise, weights(costs, temperature(costs, 0.5).eta))
    assert 1.0 < c.k[0, 0] < 1.3


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e200, 1e307])
def test_costs_of_any_size_have_a_temperature(generator, unit):
    to_go = generator.random((8, 3))
    found, other = temperature(to_go, 0.5), temperature(unit * to_go, 0.5)
    assert found.status == other.status == Status.DONE
    np.testing.assert_allclose(other.eta, unit * found.eta, rtol=1e-9)


def test_costs_too_far_apart_for_float64_are_told():
    assert temperature(np.array([[-1e308], [1e308], [0.0]]), 0.5).status == Status.NONFINITE_MODEL
