"""PILQR: stage 1 against equation 5 in NumPy and the step of `dual`; both stages where the model is exact, or says nothing."""

import functools

import jax
import numpy as np
import pytest
import scipy.optimize

from plants import definite, random_lqr
from reverie.control import kl_step, kl_step_per_time, lqr, path_integral, pilqr_step
from reverie.control.controller import Controller
from reverie.control.pilqr_step import PILQR, Sampled
from reverie.core.dynamics import FitResult
from reverie.core.errors import ConfigError
from reverie.core.status import Status
from reverie.environments.env_factory import make_env
from reverie.environments.exact_dynamics import known_dynamics_of
from reverie.maths.precision import double
from reverie.planning.fitted import improve
from reverie.planning.pilqr import Pilqr
from reverie.planning.policies import EpisodeStart
from systems import linear_episodes

N, M, T, SAMPLES = 3, 2, 10, 12
START = np.ones(N), 0.2 * np.eye(N)
moments, divergence = double(lqr.moments), double(kl_step.divergence)
regulated, expected = double(kl_step_per_time.regulated), double(lqr.expected_cost)


@pytest.fixture
def task(generator):
    """Return dynamics, cost and an old controller."""
    dynamics, cost = random_lqr(generator, N, M, T, noise=0.05)
    chol = 0.3 * np.linalg.cholesky(definite(generator, M, T))
    return dynamics, cost, Controller(0.2 * generator.standard_normal((T, M, N)), np.zeros((T, M)), chol)


def same(a, b, **tolerance):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


def kl_of(task, new):
    means, spreads, *_ = moments(task[0], new, *START)
    return divergence(new, task[2], means[:-1], spreads[:-1])


# ---- stage 1


def test_one_pass_is_equation_5(task, generator):
    dynamics, cost, old = task
    eta = np.exp(generator.standard_normal(T))
    new, convex = regulated(dynamics, cost, old, eta)
    assert convex.all()
    V, v = cost.V, cost.v
    for t in reversed(range(T)):
        F, P = dynamics.F[t], np.linalg.inv(old.covariance[t])
        Q, q = cost.C[t] + F.T @ V @ F, cost.c[t] + F.T @ (v + V @ dynamics.f[t])
        Qxx, Qux, Quu, qx, qu = Q[:N, :N], Q[N:, :N], Q[N:, N:], q[:N], q[N:]
        S = np.linalg.inv(Quu / eta[t] + P)
        K, k = -S @ (Qux / eta[t] - P @ old.K[t]), -S @ (qu / eta[t] - P @ old.k[t])
        same((new.K[t], new.k[t], new.covariance[t]), (K, k, S), rtol=1e-9, atol=1e-12)
        v = qx + K.T @ Quu @ k + K.T @ qu + Qux.T @ k
        V = Qxx + K.T @ Quu @ K + K.T @ Qux + Qux.T @ K


def test_its_ends_are_the_regulator_and_the_old_controller(task):
    free, best = regulated(*task, np.full(T, 1e-10))[0], lqr.solve(*task[:2])
    same(free[:2], (best.K, best.k), atol=1e-7)
    same(regulated(*task, np.full(T, 1e10))[0], task[2], atol=1e-7)


@pytest.mark.parametrize("bound", [0.05, 1.0])
def test_an_episode_of_one_step_is_bounded_as_by_one_multiplier(task, bound):
    end = task[1]._asdict()
    cost = task[1]._replace(**{name: end[name][:1] for name in ("C", "c", "c0")})
    dynamics, old = (type(part)(*(array[:1] for array in part)) for part in (task[0], task[2]))
    ours = kl_step_per_time.bounded_steps(dynamics, cost, old, np.array([bound]), *START, tolerance=1e-9)
    theirs = kl_step.bounded_step(dynamics, cost, old, bound, *START, tolerance=1e-9)
    np.testing.assert_allclose(ours.eta[0], theirs.eta, rtol=1e-7)
    same(ours.controller, theirs.controller, rtol=1e-7)


@pytest.mark.parametrize(("seed", "allowed"), [(3, 0.003), (4, 0.01)])  # 4: the largest gap of six seeds
def test_the_step_is_the_least_cost_within_all_bounds_if_exact(seed, allowed):
    """What it leaves out otherwise, KL of later steps, costs little; SLSQP solves the whole problem, in float64."""
    generator, horizon, bound = np.random.default_rng(seed), 4, 1.0
    dynamics, cost = random_lqr(generator, 2, 1, horizon, noise=0.05)
    K = 0.2 * generator.standard_normal((horizon, 1, 2))
    chol = 0.3 * np.linalg.cholesky(definite(generator, 1, horizon))
    old = Controller(K, np.zeros((horizon, 1)), chol)
    start = np.ones(2), 0.2 * np.eye(2)
    near, exact = (
        kl_step_per_time.bounded_steps(
            dynamics, cost, old, np.full(horizon, bound), *start, tolerance=1e-9, exact=exact
        )
        for exact in (False, True)
    )

    def cost_and_slack(z):
        K, k, log_std = z[: 2 * horizon], z[2 * horizon : 3 * horizon], z[3 * horizon :]
        new = Controller(K.reshape(horizon, 1, 2), k[:, None], jax.numpy.exp(log_std)[:, None, None])
        means, spreads, *_ = lqr.moments(dynamics, new, *start)
        kl = kl_step.divergence(new, old, means[:-1], spreads[:-1])
        return jax.numpy.append(bound - kl, lqr.expected_cost(dynamics, cost, new, *start))

    value, slope = double(cost_and_slack), double(jax.jacobian(cost_and_slack))
    before, ours, best = (
        np.concatenate([c.K.ravel(), c.k.ravel(), np.log(c.chol).ravel()])
        for c in (old, near.controller, exact.controller)
    )
    within = {"type": "ineq", "fun": lambda z: value(z)[:-1], "jac": lambda z: slope(z)[:-1]}
    least = scipy.optimize.minimize(
        lambda z: value(z)[-1], ours, jac=lambda z: slope(z)[-1], method="SLSQP", constraints=within, tol=1e-12
    )
    assert least.success and value(least.x)[:-1].min() > -1e-9
    gain = value(before)[-1] - least.fun  # what there is to be gained
    assert 1e-4 * gain < value(ours)[-1] - least.fun < allowed * gain
    assert abs(value(best)[-1] - least.fun) < 1e-6 * gain and exact.status == Status.DONE


@pytest.mark.parametrize("bound", [0.01, 0.3, 3.0])
def test_each_step_meets_its_own_bound(task, bound):
    bounds = bound * np.linspace(2.0, 0.5, T)
    found = kl_step_per_time.bounded_steps(*task, bounds, *START, tolerance=1e-3)
    assert found.status == Status.DONE and found.passes < 80
    np.testing.assert_allclose(kl_of(task, found.controller), bounds, rtol=1.1e-3)
    assert expected(*task[:2], found.controller, *START) < expected(*task[:2], task[2], *START)
    rough = kl_step_per_time.bounded_steps(*task, bounds, *START, eta=found.eta)
    assert rough.passes == 1  # multipliers that are known to be right
    assert (rough.kl <= 1.1 * bounds).all()


def test_no_step_can_be_bettered_alone(task, generator):
    """Given what follows it, step t minimises E[ℓ] + η_t KL_t."""
    found = kl_step_per_time.bounded_steps(*task, np.full(T, 0.3), *START, tolerance=1e-3)
    best = found.controller

    def objective(c, t):
        return expected(*task[:2], c, *START) + found.eta[t] * kl_of(task, c)[t]

    for t in (0, 4, T - 1):
        least = objective(best, t)
        for _ in range(5):
            at = np.arange(T) == t
            near = best._replace(
                K=best.K + 1e-2 * at[:, None, None] * generator.standard_normal(best.K.shape),
                k=best.k + 1e-2 * at[:, None] * generator.standard_normal(best.k.shape),
                chol=best.chol * (1 + 1e-2 * at[:, None, None] * generator.standard_normal(best.chol.shape)),
            )
            assert objective(near, t) > least


def test_the_step_does_not_hang_on_the_unit_of_cost(task):
    dynamics, cost, old = task
    scaled = jax.tree.map(lambda part: 1e4 * part, cost)
    found, other = (
        kl_step_per_time.bounded_steps(dynamics, c, old, np.full(T, 0.3), *START, tolerance=1e-8)
        for c in (cost, scaled)
    )
    np.testing.assert_allclose(other.eta, 1e4 * found.eta, rtol=1e-6)
    same(other.controller, found.controller, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("where", [0, T // 2])  # a failure at step 0 is a failure too
def test_a_cost_that_is_not_convex_raises_its_multiplier(task, where):
    dynamics, cost, old = task
    C = cost.C.copy()
    C[where, N:, N:] = -50.0 * np.eye(M)
    bounds = np.full(T, 0.3)
    found = kl_step_per_time.bounded_steps(dynamics, cost._replace(C=C), old, bounds, *START)
    assert (kl_of(task, found.controller) <= 1.1 * bounds).all()
    assert found.eta[where] > 10 * np.delete(found.eta, where).max() or found.status == Status.DONE
    assert regulated(dynamics, cost._replace(C=C), old, found.eta)[1].all()


def test_least_multipliers_make_shorter_steps(task):
    bounds = np.full(T, 0.3)
    found = kl_step_per_time.bounded_steps(*task, bounds, *START)
    held = kl_step_per_time.bounded_steps(*task, bounds, *START, least=3 * found.eta.max())
    assert held.status == Status.INACTIVE and (held.kl < bounds).all()
    np.testing.assert_allclose(held.eta, 3 * found.eta.max())


def test_a_least_multiplier_that_is_too_low_is_left(task):
    bounds = np.full(T, 0.3)
    found = kl_step_per_time.bounded_steps(*task, bounds, *START, tolerance=1e-3)
    low = 1e-2 * found.eta
    again = kl_step_per_time.bounded_steps(*task, bounds, *START, eta=low, least=low, tolerance=1e-3)
    assert again.status == Status.DONE
    np.testing.assert_allclose(again.eta, found.eta, rtol=1e-2)


def test_a_search_cut_short_still_stays_within_its_bounds(task, monkeypatch):
    monkeypatch.setattr(kl_step_per_time, "PASSES", 1)
    search = double(functools.partial(kl_step_per_time._bounded_steps))  # a function that JAX has not traced yet
    bounds = np.full(T, 0.3)
    right = kl_step_per_time.bounded_steps(*task, bounds, *START).eta
    for share in (0.1, 0.75, 0.8, 0.85, 0.9):  # of the right multipliers; KL is about 1/share² of its bound
        found = search(*task, bounds, *START, share * right, np.float64(0.0), 1e-3)
        assert found.status == Status.BOUND_UNMET and found.passes > 1
        assert (found.kl <= 1.1 * bounds).all() and found.kl.max() > 0.1
        np.testing.assert_allclose(found.kl, kl_of(task, found.controller), rtol=1e-9)
    monkeypatch.setattr(kl_step_per_time, "RAISES", 1)
    search = double(functools.partial(kl_step_per_time._bounded_steps))
    hopeless = search(*task, np.full(T, 1e-9), *START, 1e-12 * right, np.float64(0.0), 1e-3)
    assert hopeless.status == Status.BOUND_UNMET and not hopeless.kl.any()
    same(hopeless.controller, task[2])


def test_where_no_action_matters_the_controller_stays(task):
    dynamics, cost, old = task
    F = dynamics.F.copy()
    F[:, :, N:] = 0.0
    C, c = cost.C.copy(), cost.c.copy()
    C[:, N:], C[:, :, N:], c[:, N:] = 0.0, 0.0, 0.0
    found = kl_step_per_time.bounded_steps(
        dynamics._replace(F=F), cost._replace(C=C, c=c), old, np.full(T, 0.3), *START
    )
    assert found.status == Status.INACTIVE
    same(found.controller, old, atol=1e-9)


def test_a_model_that_is_not_finite_is_told(task):
    dynamics, cost, old = task
    found = kl_step_per_time.bounded_steps(
        dynamics._replace(f=np.full((T, N), np.nan)), cost, old, np.full(T, 0.3), *START
    )
    assert found.status == Status.NONFINITE_MODEL
    same(found.controller, old)


# ---- both stages


def sample(task, generator, samples=SAMPLES, extra=None):
    """Return episodes of the true dynamics, without process noise; extra: (x, u, x') -> more cost, which no model knows."""
    dynamics, cost, old = task
    starts = np.ones((samples, N))
    noise, costs = generator.standard_normal((samples, T, M)), np.empty((samples, T))
    for i in range(samples):
        x = starts[i]
        for t in range(T):
            u = old.act(t, x, noise[i, t])
            y = np.concatenate([x, u])
            after = dynamics.F[t] @ y + dynamics.f[t]
            costs[i, t] = 0.5 * y @ cost.C[t] @ y + cost.c[t] @ y + cost.c0[t]
            costs[i, t] += 0.0 if extra is None else extra(x, u, after)
            x = after
    return Sampled(starts, noise, costs)


def update(task, sampled, model=True, bounds=0.3, **settings):
    explained = pilqr_step.explain(*task, sampled) if model is True else model
    return pilqr_step.update(PILQR(**settings), task[2], sampled, explained, np.full(T, bounds))


def jump(x, u, after):
    return -20.0 * (after[0] > 0.5)


def test_an_exact_model_leaves_no_residual(task, generator):
    sampled = sample(task, generator)
    explained = pilqr_step.explain(*task, sampled)
    np.testing.assert_allclose(explained.modelled, sampled.costs, rtol=1e-10, atol=1e-10)
    assert pilqr_step.residual_share(sampled.costs, explained.modelled).max() < 1e-12


def test_on_a_linear_quadratic_problem_pilqr_is_lqr(task, generator):
    sampled = sample(task, generator)
    alone, both = (update(task, sampled, stages=stages, shared=False) for stages in ("lqr", "both"))
    same(both.controller, alone.controller, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(both.eta, alone.eta)
    literal = update(task, sampled, shared=False, centred=False)
    assert np.abs(literal.controller.k - alone.controller.k).max() > 0.01  # by the mean of the noise
    shared = update(task, sampled)
    held = kl_step_per_time.bounded_steps(
        *task, np.full(T, 0.3), *kl_step_per_time.start_of(sampled.starts), least=shared.temperature
    )  # fmt: skip
    same(shared.controller, held.controller, rtol=1e-10, atol=1e-12)


def test_without_a_model_it_is_path_integrals(task, generator):
    sampled = sample(task, generator, extra=jump)
    to_go = path_integral.costs_to_go(sampled.costs)
    warmth = path_integral.temperature(to_go, 1.0)
    w = path_integral.weights(to_go, warmth.eta)
    np.testing.assert_allclose(path_integral.divergence(w), 1.0, atol=1e-8)
    found = update(task, sampled, None, stages="pi2")
    same(found.controller, path_integral.moved(task[2], sampled.noise, w))
    nothing = jax.tree.map(np.zeros_like, task[1])  # ĉ := 0: stage 1 has nothing to do, stage 2 everything
    zero = pilqr_step.explain(task[0], nothing, task[2], sampled)
    same(update(task, sampled, zero, shared=False).controller, found.controller, rtol=1e-9, atol=1e-9)


def test_the_residual_moves_what_lqr_found_by_its_own_weights(task, generator):
    sampled = sample(task, generator, extra=jump)
    alone, both = (update(task, sampled, stages=stages, shared=False) for stages in ("lqr", "both"))
    left = path_integral.costs_to_go(sampled.costs - pilqr_step.explain(*task, sampled).modelled)
    warmth = path_integral.temperature(path_integral.costs_to_go(sampled.costs), 1.0)
    w = path_integral.weights(left, warmth.eta)
    shift = [alone.controller.chol[t] @ ((w[:, t] - 1 / SAMPLES) @ sampled.noise[:, t]) for t in range(T)]
    np.testing.assert_allclose(both.controller.k, alone.controller.k + shift, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(both.controller.K, alone.controller.K)


def test_both_stages_share_a_temperature(task, generator):
    sampled = sample(task, generator, extra=jump)
    wrong = pilqr_step.explain(task[0], jax.tree.map(lambda part: 3.0 * part, task[1]), task[2], sampled)
    left = path_integral.costs_to_go(sampled.costs - wrong.modelled)
    warmth = path_integral.temperature(path_integral.costs_to_go(sampled.costs), 1.0)
    found, separate = (update(task, sampled, wrong, shared=shared) for shared in (True, False))
    assert (found.eta >= warmth.eta).all() and (separate.eta < warmth.eta).any()
    kl, beyond = (path_integral.divergence(path_integral.weights(left, f.temperature)) for f in (found, separate))
    assert (kl <= 1.0 + 1e-8).all() and (beyond > 1.1).any()


def test_constants_and_units_of_cost(task, generator):
    sampled = sample(task, generator, extra=jump)
    found = update(task, sampled)
    added = update(task, sampled._replace(costs=sampled.costs + 100.0))
    same(added.controller, found.controller, rtol=1e-6, atol=1e-8)
    dynamics, cost, old = task
    scaled = dynamics, jax.tree.map(lambda part: 1e3 * part, cost), old
    other = update(scaled, sampled._replace(costs=1e3 * sampled.costs))
    same(other.controller, found.controller, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(other.temperature, 1e3 * found.temperature, rtol=1e-6)
    np.testing.assert_allclose(other.eta, 1e3 * found.eta, rtol=1e-6)


def test_bounds_follow_the_share_that_the_model_misses():
    settings = PILQR(kl_first=0.4, kl_last=0.2)
    np.testing.assert_allclose(settings.bounds(np.array([1.0, 1.0, 2.0])), [0.4, 0.3, 0.4])
    multiplier, share = np.full(5, 2.0), np.array([0.01, 0.1, 0.3, np.nan, 0.3])
    np.testing.assert_allclose(settings.adapted(multiplier, share), [4.0, 2.0, 1.0, 2.0, 1.0])
    most = settings.adapted(np.full(3, 9.0), np.zeros(3))
    np.testing.assert_allclose(most, [10.0, 7.5, 5.0])
    np.testing.assert_allclose(settings.adapted(np.full(3, 0.01), np.ones(3)), [0.01, 0.255, 0.5])


def test_shares_by_hand():
    costs, modelled = np.array([[2.0, -2.0, 0.0], [2.0, 2.0, 0.0]]), np.array([[2.0, -1.0, 0.0], [2.0, 0.0, 0.0]])
    np.testing.assert_allclose(pilqr_step.residual_share(costs, modelled), [3 / 8, 3 / 4, np.nan])


def test_what_cannot_be_used_is_told_and_the_old_controller_stays(task, generator):
    sampled = sample(task, generator)
    costs = sampled.costs.copy()
    costs[3, 4] = np.nan
    found = update(task, sampled._replace(costs=costs))
    assert found.status == Status.NONFINITE_MODEL and found.controller is task[2]
    wild = pilqr_step.explain(task[0]._replace(F=1e200 * task[0].F), *task[1:], sampled)
    found = update(task, sampled, wild)
    assert found.status == Status.UNSTABLE and found.controller is task[2]
    broken = pilqr_step.explain(*task, sampled)._replace(
        dynamics=task[0]._replace(covariance=np.full((T, N, N), np.nan))
    )
    found = update(task, sampled, broken)
    assert found.status == Status.NONFINITE_MODEL and found.controller is task[2]


def test_one_sample_says_nothing_to_stage_2(task, generator):
    sampled = sample(task, generator, samples=1, extra=jump)
    found, alone = update(task, sampled), update(task, sampled, stages="lqr")
    assert found.status == Status.TOO_FEW_SAMPLES and not found.status.good
    same(found.controller, alone.controller, rtol=1e-12)


def test_a_bound_beyond_what_samples_can_say_is_handled(task, generator):
    found = update(task, sample(task, generator, extra=jump), None, stages="pi2", sample_kl=np.log(SAMPLES) + 1.0)
    assert found.status == Status.INACTIVE and all(np.isfinite(part).all() for part in found.controller)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"stages": "none"}, "stages is 'none'; it must be one of 'both', 'lqr', 'pi2'"),
        ({"sample_kl": 0.0}, "sample_kl is 0.0; it must be positive"),
        ({"damping": 0.5}, "damping is 0.5; it must be at least 1"),
        ({"share_high": 0.01}, "share_high is 0.01; it must be at least 0.05"),
    ],
)
def test_settings_that_cannot_be(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        PILQR(**settings)


# ---- from fit to fit


@pytest.fixture
def method():
    return Pilqr(known_dynamics_of(make_env("point_mass")), 2, PILQR())


def batch_of(generator, number, steps):
    episodes, *_ = linear_episodes(generator, number, steps)
    return episodes, [generator.standard_normal((len(e), 2)) for e in episodes]


def test_a_fit_that_fails_leaves_the_controller(method, generator):
    before = method.controller
    move = method.improve(FitResult(None, Status.SINGULAR), *batch_of(generator, 4, 8))
    assert move.status == Status.SINGULAR and move.predicted is None and move.kl is None
    assert method.controller is before


def test_episodes_count_up_to_the_shortest_and_longer_ones_find_a_controller(generator):
    method = Pilqr(known_dynamics_of(make_env("point_mass")), 2, PILQR(stages="pi2"))
    for steps, length in (((9, 7), 7), ((12, 12), 12)):
        episodes, noise = batch_of(generator, 3, steps[0])
        more, rest = batch_of(generator, 3, steps[1])
        old = method.controller
        move = method.improve(FitResult(None, Status.TOO_FEW_SAMPLES), episodes + more, noise + rest)
        assert move.status == Status.DONE and len(method.controller.k) == length and move.kl > 0
        # The last step's feedback goes on.
        np.testing.assert_array_equal(method.controller.K[-1], old.K[-1])


def test_bounds_adapt_from_the_second_fit_on(method):
    start = EpisodeStart("point_mass", 0, steps=12)
    seen = []
    for _ in improve(start, 3, 4, 0, lambda task, m: method):
        seen.append(method.multiplier[0])
    assert seen == [1.0, 2.0, 4.0]  # far from where anything jumps, the model misses nothing


def test_the_first_controller_is_noise(method):
    assert not method.controller.K.any() and not method.controller.k.any()
    np.testing.assert_allclose(method.controller.covariance[0], 0.09 * np.eye(2))
