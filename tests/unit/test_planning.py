"""Planning problems with exact physics: what rollouts cost, and that expansions are their derivatives."""

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from reverie.control import ilqg
from reverie.core.errors import ConfigError
from reverie.domains import DOMAINS
from reverie.environments.env_adapter import EnvAdapter
from reverie.environments.env_factory import make_env
from reverie.environments.exact_dynamics import known_dynamics_of
from reverie.environments.simulator import DomainSimulator, GymnasiumSimulator, simulate, state_of
from reverie.planning.costs import SMOOTHING, cost_derivatives, smooth_costs
from reverie.planning.planners import MpcPlanner
from reverie.planning.policies import EpisodeStart, FeedbackPolicy, first_actions, plan_episode
from reverie.planning.problem import PlanningProblem, counting
from reverie.training.evaluation import play

NAMES = ("cartpole", "reacher", "ant", "Reacher-v5")  # an unstable one, an arm, a quaternion, somebody else's
EASY = {"cartpole": 1e-9, "reacher": 1e-8, "ant": 1e-6, "Reacher-v5": 1e-4}


class Reached:
    """A planning problem, and a trajectory of random actions from a start of it."""

    def __init__(self, name, steps=6):
        def make():
            return make_env(name)

        world = make()
        world.reset(3)
        self.planning = PlanningProblem(simulate(make, 3))
        self.sim = self.planning.simulator
        self.n, self.m = self.sim.tangent_dim, self.sim.action_dim
        self.start = state_of(world)
        actions = np.random.default_rng(0).uniform(-0.8, 0.8, (steps, self.m))
        self.states, self.actions, self.cost = self.roll(self.start, actions)
        world.close()

    def roll(self, x, actions, alpha=0.0, k=None, gains=None):
        steps = len(actions)
        k = np.zeros((steps, self.m)) if k is None else k
        gains = np.zeros((steps, self.m, self.n)) if gains is None else gains
        x_hat = np.repeat(x[None], steps + 1, 0) if x.ndim == 1 else x
        states, executed, costs = self.planning.rollout(x_hat, actions, gains, k, np.array([alpha]))
        return states[0], executed[0], costs[0]


@pytest.fixture(scope="module", params=NAMES)
def reached(request):
    steps = 2 if request.param == "ant" else 6  # then it touches the ground, where nothing is smooth
    return request.param, Reached(request.param, steps)


@pytest.mark.parametrize("name", ["cartpole", "reacher", "ant"])
def test_one_sided_derivatives_are_nearly_the_central_ones(name):
    domain, generator = DOMAINS[name], np.random.default_rng(0)
    start = domain.start(generator)
    central, sided = (DomainSimulator(domain, start.target, centred) for centred in (True, False))
    x = np.array([*start.q, *start.v])
    u = generator.uniform(-0.8, 0.8, central.action_dim)
    for exact, near in zip(central.derivatives(x, u), sided.derivatives(x, u), strict=True):
        np.testing.assert_allclose(near, exact, atol=1e-3 * np.abs(exact).max())
        assert not np.array_equal(near, exact)


def test_expansions_have_the_derivatives_of_rollouts(reached):
    name, here = reached
    found, total = here.planning.expand(here.states, here.actions), here.n + here.m
    for t in (0, len(here.actions) - 1):
        x, u = here.states[t], here.actions[t]

        def step(move, x=x, u=u):
            states, _, cost = here.roll(here.sim.shift(x, move[: here.n]), (u + move[here.n :])[None])
            return states[1], cost

        # Actions are float32, as the worlds have them, which differences of less than 1e-2 would see.
        for i, h in zip(range(total), [1e-5] * here.n + [1e-2] * here.m, strict=True):
            (low, less), (high, more) = step(-h * np.eye(total)[i]), step(h * np.eye(total)[i])
            slope = here.sim.difference(low, high) / (2 * h)
            expected = found.A[t][:, i] if i < here.n else found.B[t][:, i - here.n]
            gradient = found.l_x[t][i] if i < here.n else found.l_u[t][i - here.n]
            np.testing.assert_allclose(slope, expected, rtol=2e-3, atol=2e-3 * np.abs(found.A[t]).max())
            assert (more - less) / (2 * h) == pytest.approx(gradient, rel=1e-3, abs=1e3 * EASY[name])


def test_first_order_prediction_of_the_cost_is_that_of_the_expansion(reached):
    """∂J/∂U by the adjoint equals differences of whole rollouts."""
    _, here = reached
    e = here.planning.expand(here.states, here.actions)
    v = e.final_x
    slope = np.zeros_like(here.actions)
    for t in reversed(range(len(here.actions))):
        slope[t], v = e.l_u[t] + e.B[t].T @ v, e.l_x[t] + e.A[t].T @ v
    k = np.random.default_rng(1).standard_normal(here.actions.shape)
    costs = [here.roll(here.start, here.actions, alpha, k)[2] for alpha in (-1e-3, 1e-3)]
    assert (costs[1] - costs[0]) / 2e-3 == pytest.approx(float((slope * k).sum()), rel=2e-3)


@pytest.mark.parametrize("name", ["cartpole", "reacher"])
def test_curvature_is_that_of_the_formula_along_the_linear_step(name):
    here = Reached(name)
    e = here.planning.expand(here.states, here.actions)
    t, generator = 2, np.random.default_rng(2)
    x, u, x_next = here.states[t], here.actions[t], here.states[t + 1]
    target = here.sim.target
    for _ in range(5):
        dx, du = generator.standard_normal(here.n), 0.1 * generator.standard_normal(here.m)
        ahead = e.A[t] @ dx + e.B[t] @ du

        def cost(s, dx=dx, du=du, ahead=ahead):
            parts = x + s * dx, u + s * du, x_next + s * ahead
            return smooth_costs(here.sim.domain, *(part[None] for part in parts), target)[0]

        h = 1e-4
        expected = (cost(h) - 2 * cost(0.0) + cost(-h)) / h**2
        found = dx @ e.l_xx[t] @ dx + 2 * du @ e.l_ux[t] @ dx + du @ e.l_uu[t] @ du
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_curvature_of_a_gymnasium_reward_is_its_own():
    world = make_env("Reacher-v5")
    world.reset(0)
    sim = GymnasiumSimulator(world)
    x, u = state_of(world), np.array([0.3, -1.0])  # one at its bound
    found = sim.expand(x, u)
    assert found.hessian[8:, 8:] == pytest.approx(np.diag([-2.0, -2.0]), abs=5e-3)  # -|u|²
    assert found.hessian == pytest.approx(found.hessian.T) and not found.dead
    assert np.abs(found.hessian[:2, :2]).max() > 1e-3  # the distance bends with the joints


def test_cost_is_smooth_on_the_target_and_counts_actions_at_their_bounds():
    domain = DOMAINS["reacher"]
    x, u = np.zeros((3, 6)), np.array([[1.0, -1.0, 0.2]] * 3)
    value, gradient, hessian = cost_derivatives(domain, x, u, x, (0.55, 0.0))  # the tip of a straight arm
    assert value == pytest.approx(0.033 * np.sqrt(SMOOTHING) + 0.0002 * 2.04, rel=1e-6)
    assert gradient[0, 6:9] == pytest.approx(0.0004 * u[0])
    assert np.diag(hessian[0])[6:9] == pytest.approx([0.0004] * 3)
    assert np.isfinite(hessian).all() and np.diag(hessian[0])[9] == pytest.approx(0.033 * 0.55**2 / np.sqrt(SMOOTHING))
    again = cost_derivatives(domain, x[:1], u[:1], x[:1], (0.55, 0.0))  # sizes do not matter
    assert again[2][0] == pytest.approx(hessian[0])


def test_rollouts_stay_in_bounds_and_follow_feedback(reached):
    _, here = reached
    generator = np.random.default_rng(5)
    k = 5.0 * generator.standard_normal(here.actions.shape)
    gains = generator.standard_normal((len(k), here.m, here.n))
    _, same, cost = here.roll(here.states, here.actions, 0.0, k, gains)
    np.testing.assert_array_equal(same, here.actions)  # on the trajectory feedback is silent
    assert cost == here.cost
    _, wild, _ = here.roll(here.states, here.actions, 1.0, k, gains)
    assert np.abs(wild).max() == 1.0


def test_costs_end_with_a_death():
    assert counting(np.array([False, True, False, True])).tolist() == [1.0, 1.0, 0.0, 0.0]
    start = EpisodeStart("walker2d", 0, steps=60)
    planning = start.planning
    x_hat, idle = np.repeat(start.x[None], 61, 0), np.zeros((60, 6))  # falls within 60 steps
    states, _, costs = planning.rollout(x_hat, idle, np.zeros((60, 6, 18)), idle, np.zeros(1))
    _, deaths = planning.simulator.scores(states[0], idle)
    assert 0 < deaths.argmax() < 59
    assert costs[0] == pytest.approx(-planning.predict_return(x_hat, idle))
    ended = planning.predict_return(x_hat[: deaths.argmax() + 2], idle[: deaths.argmax() + 1])
    assert planning.predict_return(x_hat, idle) == pytest.approx(ended)
    expansion = planning.expand(states[0][50:], idle[50:])  # dead from its first step
    assert not expansion.l_x[1:].any() and not expansion.l_xx[1:].any()
    assert (expansion.l_uu[1:] == np.eye(6)).all()


@pytest.mark.parametrize("name", ["reacher_single", "InvertedDoublePendulum-v5"])
def test_a_plan_followed_in_the_world_returns_what_it_foretells(name):
    start = EpisodeStart(name, 0, episode=2, steps=12)
    rows = []
    plan = plan_episode(start, 6, 0, lambda steps, row: rows.append((steps, row["cost"])))
    assert plan.usable and np.abs(plan.actions).max() <= 1.0
    lengths = list(dict.fromkeys(steps for steps, _ in rows))
    assert lengths[0] == 12 and lengths[1:] == sorted(lengths[1:])  # at once, then further and further
    assert plan.cost == min(cost for steps, cost in rows if steps == 12)
    pilot = FeedbackPolicy(start, plan)
    total = play(pilot.greedy, pilot.make(), 0, 2).total
    assert total == pytest.approx(start.planning.predict_return(plan.states, plan.actions), rel=1e-9)
    assert total > start.planning.predict_return(plan.states, first_actions(12, plan.actions.shape[1], 0))
    again = plan_episode(start, 6, 0)
    np.testing.assert_array_equal(plan.actions, again.actions)  # a seed decides


def test_solver_takes_problems_with_quaternions():
    here = Reached("ant", steps=3)
    assert here.states.shape[1] == 29 and here.planning.problem.tangent == 28
    options = ilqg.Options(low=-1.0, high=1.0, iterations=2)
    plan = ilqg.solve_on_host(here.planning.problem, here.start, here.actions, options)
    assert plan.usable and plan.cost <= here.cost and plan.K.shape == (3, 8, 28)


def test_what_cannot_be_planned_says_so():
    with pytest.raises(ConfigError, match="Pendulum-v1 is not a MuJoCo environment"):
        simulate(lambda: make_env("Pendulum-v1"), 0)
    wrapped = gym.wrappers.TransformReward(gym.make("Reacher-v5"), lambda reward: 2.0 * reward)
    with pytest.raises(ConfigError, match="it is wrapped in TransformReward"):
        simulate(lambda: EnvAdapter(wrapped, "wrapped"), 0)
    with pytest.raises(ConfigError, match="--horizon 200 is longer than an episode of Reacher-v5, 50 steps"):
        EpisodeStart("Reacher-v5", 0, steps=200)


def test_simulators_leave_the_running_world_alone():
    start = EpisodeStart("reacher", 0)
    world = start.make()
    world.reset(1)
    before = state_of(world)
    sim = start.planning.simulator
    assert isinstance(sim, DomainSimulator)
    sim.begin(before)
    sim.advance(np.ones(3))
    np.testing.assert_array_equal(state_of(world), before)


def flown(steps=8, **settings):
    """Return (sum of rewards, calls of the physics) of the MPC planner's first steps on reacher_single."""
    world = make_env("reacher_single")
    known, calls = known_dynamics_of(world), []
    agent = rv.Imagination(rv.NAF(), rv.Exact(), plan="mpc", plan_horizon=12, **settings)
    planner = MpcPlanner(agent, known, world.spec.action_dim)
    world.reset(0)
    planner.begin(np.array(world.env.unwrapped.target, float))
    advance = planner._planning.simulator.advance
    planner._planning.simulator.advance = lambda u: calls.append(u) or advance(u)
    total, still = 0.0, np.zeros(world.spec.action_dim)
    for t in range(steps):
        total += world.step(world.spec.to_world(planner.act(state_of(world), still).astype(np.float32)), t + 1)[0]
    world.close()
    return total, len(calls)


def test_a_quick_planner_acts_as_well_with_a_fraction_of_the_steps():
    """The full figures, over whole episodes and with their times, are the study `mpc-speed`'s."""
    thorough, calls = flown()
    quick, fewer = flown(plan_search="quick", plan_iterations=2)
    assert quick == pytest.approx(thorough, rel=0.02)
    assert 0 < fewer < calls / 3
