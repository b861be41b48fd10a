"""Algorithm 2 against what it must do: true models reproduce the world, counts are exact, a bad model does no harm."""

import dataclasses

import numpy as np
import pytest

import reverie as rv
import worlds
from reverie.core.dynamics import FitResult
from reverie.core.status import Status
from reverie.core.types import Transition
from reverie.domains import DOMAINS, batched
from reverie.domains.mujoco_model import MujocoModel
from reverie.imagination.rollout import RolloutModel, StartStates, rollout
from reverie.models.exact import ExactDynamics

SMALL = rv.NAF(hidden=(16,), batch_size=8, warmup_steps=0, updates_per_step=2)
T = 20


class Told:
    """Dynamics made of one function of (x, u, t)."""

    def __init__(self, function, horizon=None):
        self.mean, self.horizon = function, horizon

    def sample(self, x, u, t, generator):
        return self.mean(x, u, t)

    def arrays(self):
        return {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TellingModel:
    """A model that is whatever the test says."""

    function: object = None
    episodes: int = 2
    horizon: object = None

    name = "told"

    def fit(self, batch, history, previous, seed):
        return FitResult(Told(self.function, self.horizon), Status.DONE)

    def restore(self, arrays):
        return Told(self.function, self.horizon)


def linear_step(x, u, t):
    return x @ worlds.LinearWorld.A.T + u @ worlds.LinearWorld.B.T


def known(dynamics, dimension, horizon, limit=np.inf):
    bound = np.full(dimension, limit)
    return RolloutModel(
        dynamics,
        lambda x, c: x,
        lambda x, u, x_next, c: -np.sum(x * x, axis=-1),
        lambda x: np.zeros(len(x), bool),
        np.asarray,
        horizon,
        -bound,
        bound,
    )


def dreaming(model, **settings):
    settings = {"rollout_length": 3, "rollouts": 5, "adaptive": False} | settings
    return rv.Imagination(SMALL, model, **settings)


@pytest.mark.parametrize("name", ["reacher", "gripper", "ant"])
def test_the_true_model_reproduces_recorded_transitions(name, generator):
    domain = DOMAINS[name]
    plant, start, length = MujocoModel(domain), domain.start(np.random.default_rng(3)), 6
    x, target = np.concatenate([start.q, start.v]), np.array(start.target)
    actions = generator.uniform(-1, 1, (length, plant.action_dim)).astype(np.float32)
    states = [x]
    for u in actions:
        states.append(plant.step(states[-1], u))
    told = RolloutModel(
        ExactDynamics(plant.step),
        lambda x, c: batched.observe(domain, x, c),
        lambda x, u, x_next, c: batched.reward(domain, x, u, x_next, c),
        lambda x: batched.terminated(domain, x),
        np.asarray,
        150,
        np.full(len(x), -np.inf),
        np.full(len(x), np.inf),
    )
    played = iter(actions)
    dreams, cut, _ = rollout(
        told,
        lambda memory, o: (next(played)[None], memory),
        StartStates(x[None], np.array([7]), target[None]),
        None,
        length,
        generator,
        noise=False,
    )
    assert cut == 0 and len(dreams.reward) == length
    before, after = np.array(states[:-1]), np.array(states[1:])
    contexts = np.repeat(target[None], length, axis=0)
    np.testing.assert_array_equal(dreams.observation, batched.observe(domain, before, contexts))
    np.testing.assert_array_equal(dreams.next_observation, batched.observe(domain, after, contexts))
    np.testing.assert_array_equal(dreams.action, actions)
    np.testing.assert_allclose(dreams.reward, batched.reward(domain, before, actions, after, contexts), rtol=1e-12)


def test_a_rollout_ends_at_the_time_limit_and_counts_add_up(generator):
    times = np.array([0, 15, 18, 19])
    asked = []

    def step(x, u, t):
        asked.append(t.copy())
        return 0.5 * x

    seeds = StartStates(np.ones((4, 2)), times, np.zeros((4, 0)))
    act = lambda memory, o: (np.zeros((len(o), 1), np.float32), memory)  # noqa: E731
    dreams, cut, _ = rollout(known(Told(step), 2, T), act, seeds, None, 4, generator, noise=False)
    assert len(dreams.reward) == sum(min(4, T - t) for t in times) == 4 + 4 + 2 + 1
    assert cut == 0 and max(t.max() for t in asked) < T
    assert np.all(dreams.discount == 1.0)  # a time-out is no death


def test_what_leaves_the_range_ever_seen_is_cut_counted_and_never_stored(generator):
    def explode(x, u, t):
        return np.where(x[:, :1] > 0, x * 1e200, np.where(x[:, :1] < 0, np.nan, 0.9 * x))

    start = np.array([[1.0, 1.0], [-1.0, 1.0], [0.0, 1.0]])
    seeds = StartStates(start, np.zeros(3, int), np.zeros((3, 0)))
    act = lambda memory, o: (np.zeros((len(o), 1), np.float32), memory)  # noqa: E731
    dreams, cut, _ = rollout(known(Told(explode), 2, T, 5.0), act, seeds, None, 3, generator, noise=False)
    assert cut == 2 and len(dreams.reward) == 3
    assert all(np.isfinite(part).all() for part in dreams)


def test_a_death_ends_a_rollout_and_is_remembered_as_one(generator):
    dying = known(Told(lambda x, u, t: x + 1.0), 1, T)._replace(terminated=lambda x: x[:, 0] > 2.5)
    seeds = StartStates(np.zeros((1, 1)), np.zeros(1, int), np.zeros((1, 0)))
    act = lambda memory, o: (np.zeros((len(o), 1), np.float32), memory)  # noqa: E731
    dreams, _, _ = rollout(dying, act, seeds, None, 9, generator, noise=False)
    assert dreams.discount.tolist() == [1.0, 1.0, 0.0]


def test_nothing_is_imagined_before_the_first_fit_and_then_l_for_one():
    with rv.Learner(dreaming(TellingModel(function=linear_step)), worlds.LinearWorld, seed=1) as learner:
        trainer = learner.trainer
        assert trainer.source is not None
        learner.learn(episodes=2)
        assert trainer.source.replay.fits == 1
        # the batch is complete with the episode's last step, when the next m rollouts were due as well
        began = 1
        assert len(trainer.source.replay.fictional) <= began * 5 * 3
        before = trainer.minibatches
        learner.learn(10)
        assert trainer.minibatches - before == 10 * 2 * (3 + 1)
        assert trainer.source.replay.rolled == 5 * (began + 2) and learner.steps == 2 * T + 10


def test_there_may_be_more_minibatches_than_steps_of_a_rollout():
    model = rv.LinearGaussian(episodes=2, prior="pooled")
    with rv.Learner(dreaming(model, rollout_length=1, minibatches=4), worlds.LinearWorld, seed=0) as learner:
        learner.learn(episodes=3)
        trainer = learner.trainer
        before = trainer.minibatches
        trainer.run_update()
        assert trainer.minibatches - before == (1 + 4) * SMALL.updates_per_step


def test_imagination_ends_with_its_episode_for_generating_and_for_learning():
    agent = dreaming(TellingModel(function=linear_step), until_episode=3)
    with rv.Learner(agent, worlds.LinearWorld, seed=1) as learner:
        learner.learn(episodes=3)
        trainer = learner.trainer
        imagined, before = trainer.source.replay.imagined, trainer.minibatches
        learner.learn(10)
        assert trainer.source.replay.imagined == imagined > 0
        assert trainer.minibatches - before == 10 * 2


def test_the_same_as_plain_where_imagination_has_no_model_yet():
    rows = []
    for agent in (SMALL, dreaming(TellingModel(function=linear_step, episodes=50))):
        with rv.Learner(agent, worlds.LinearWorld, seed=4) as learner:
            learner.learn(3 * T)
            rows.append(list(learner.recent_returns))
    assert rows[0] == rows[1]


def test_a_broken_model_is_found_out_and_does_no_harm():
    """Pushed the wrong way and far too hard, by a model that its fit calls good: the held-out error says otherwise."""

    def broken(x, u, t):
        return x - 3.0 * (linear_step(x, u, t) - x) + 5.0 * np.sin(7.0 * x)

    scores = {}
    for name, agent in {
        "off": SMALL,
        "broken": dreaming(TellingModel(function=broken), adaptive=True, instead="nothing"),
        "believed": dreaming(TellingModel(function=broken), adaptive=False),
        "recent": dreaming(rv.Recent(episodes=2), adaptive=True),
        "broken, else recent": dreaming(TellingModel(function=broken), adaptive=True, instead="recent"),
    }.items():
        with rv.Learner(agent, worlds.LinearWorld, seed=2) as learner:
            learner.learn(episodes=30)
            scores[name] = learner.evaluate(5)["mean"]
            if name == "broken":
                dreams = learner.trainer.source.replay
                assert dreams.imagined_fraction == 0.0 and dreams.imagined == 0
    assert scores["broken"] == scores["off"]  # not one imagined transition was learnt from
    assert scores["broken, else recent"] == scores["recent"] != scores["off"]


def test_a_model_that_goes_wrong_for_a_while_is_left_and_taken_up_again():
    """Right for 8 fits, wrong for 4, right again: no dream of the wrong ones is left when trust returns."""
    fits = []

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Moody(TellingModel):
        def fit(self, batch, history, previous, seed):
            fits.append(seed)
            wrong = 8 < len(fits) <= 12
            return FitResult(Told((lambda x, u, t: -5.0 * x) if wrong else linear_step), Status.DONE)

    with rv.Learner(dreaming(Moody(), adaptive=True), worlds.LinearWorld, seed=2) as learner:
        learner.learn(episodes=20)
        dreams = learner.trainer.source.replay
        assert dreams.refused == 4 and dreams.imagined_fraction == 1.0  # wrong even about what they were fitted to
        rows = Transition.unpack(dreams.fictional.rows[: len(dreams.fictional)], 2, 1)
        np.testing.assert_allclose(rows.next_observation, linear_step(rows.observation, rows.action, 0), atol=1e-5)


def test_an_unstable_fit_is_refused_and_the_model_before_it_kept():
    answers = iter([Status.DONE, Status.DONE, *[Status.UNSTABLE] * 3])

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Unstable(TellingModel):
        def fit(self, batch, history, previous, seed):
            return FitResult(Told(linear_step), next(answers))

    with rv.Learner(dreaming(Unstable()), worlds.LinearWorld, seed=2) as learner:
        learner.learn(episodes=5)
        dreams = learner.trainer.source.replay
        assert dreams.refused == 3 and dreams.status == Status.UNSTABLE and dreams.dynamics is not None


def test_dreams_begin_in_what_the_model_was_fitted_to():
    """B_old is the batch of the last fit, not the newest episodes: a fit every 2 episodes, refused from the third on."""
    answers = iter([Status.DONE, Status.DONE, Status.DONE, *[Status.UNSTABLE] * 9])

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Unstable(TellingModel):
        def fit(self, batch, history, previous, seed):
            return FitResult(Told(linear_step), next(answers))

    with rv.Learner(dreaming(Unstable(), refit_every=2, rollout_length=1), worlds.LinearWorld, seed=2) as learner:
        trainer = learner.trainer
        for first, last in ((0, 0), (0, 2), (0, 2), (2, 4), (2, 4), (2, 4), (2, 4)):  # B_old after each episode
            learner.learn(episodes=1)
            states = np.array([own.states[:-1] for own in trainer.source.replay.old]).reshape(-1, 2)
            real = trainer.replay.rows[first * T : last * T, :2]
            np.testing.assert_allclose(states, real, atol=1e-6)
            if last:
                drawn, times, _ = trainer.source.replay._start_states(T)
                assert all((x == states[t::T]).all(axis=1).any() for x, t in zip(drawn, times, strict=True))
        assert trainer.source.replay.refused == 1


def test_rewards_are_fitted_anew_where_an_older_checkpoint_has_quadratics_alone():
    agent = dreaming(rv.LinearGaussian(episodes=3, prior="pooled"))
    with rv.Learner(agent, worlds.LinearWorld, seed=1) as learner:
        learner.learn(episodes=5)
        arrays, facts = learner.trainer.source.replay.snapshot()
    x, u = np.zeros((1, 2)), np.zeros((1, 1))
    expected = learner.trainer.source.replay.reward_model.reward(x, u, x)
    older = {name: array for name, array in arrays.items() if "smooth" not in name and "inputs" not in name}
    with rv.Learner(agent, worlds.LinearWorld, seed=1) as other:
        replay = other.trainer.source.replay
        replay.restore(older, facts)
        np.testing.assert_allclose(replay.reward_model.reward(x, u, x), expected, atol=0.05)
        replay.restore(arrays, facts)
        np.testing.assert_array_equal(replay.reward_model.reward(x, u, x), expected)
    with pytest.raises(KeyError):
        replay.restore({name: array for name, array in arrays.items() if "inputs" not in name}, facts)


def test_rewards_and_deaths_are_fitted_where_they_are_not_known(generator):
    agent = dreaming(rv.LinearGaussian(episodes=3, prior="pooled"), adaptive=True)
    with rv.Learner(agent, worlds.LinearWorld, seed=1) as learner:
        learner.learn(episodes=6)
        dreams = learner.trainer.source.replay
        x, u = generator.normal(size=(50, 2)), generator.uniform(-1, 1, (50, 1))
        truth = -np.sum(x * x, axis=1) - 0.1 * np.sum(u * u, axis=1)
        np.testing.assert_allclose(dreams.reward_model.reward(x, u, linear_step(x, u, 0)), truth, atol=0.05)
        assert dreams.report["reward"] < 0.05 and dreams.report["nrmse_3"] < 0.05 and dreams.imagined_fraction == 1.0
        rows = Transition.unpack(dreams.fictional.rows[: len(dreams.fictional)], 2, 1)
        np.testing.assert_allclose(rows.next_observation, linear_step(rows.observation, rows.action, 0), atol=0.02)


def test_recent_learns_from_the_last_real_episodes_alone():
    with rv.Learner(dreaming(rv.Recent(episodes=2)), worlds.LinearWorld, seed=1) as learner:
        learner.learn(episodes=5)
        trainer = learner.trainer
        rows = trainer.source.replay.minibatches(2, 500).reshape(-1, trainer.replay.rows.shape[1])
        assert len(rows) == 3 * 2 * 500
        np.testing.assert_array_equal(np.unique(rows, axis=0), np.unique(trainer.replay.rows[3 * T : 5 * T], axis=0))


@pytest.mark.parametrize(
    "model", [rv.LinearGaussian(episodes=2, prior="pooled"), rv.Recent(episodes=2), rv.Neural(episodes=2, members=1)]
)
def test_stopped_and_gone_on_equals_never_stopped(model, tmp_path):
    agent, twice = dreaming(model, adaptive=True, error_high=1e9, error_low=0.0), []
    with rv.Learner(agent, "worlds:LinearWorld", seed=5, out=tmp_path / "whole") as learner:
        learner.learn(5 * T)
        twice.append((learner.trainer.snapshot(), list(learner.recent_returns)))
    with rv.Learner(agent, "worlds:LinearWorld", seed=5, out=tmp_path / "parts") as learner:
        learner.learn(3 * T)
    with rv.Learner.load(tmp_path / "parts") as learner:
        assert learner.config == agent
        learner.learn(2 * T)
        twice.append((learner.trainer.snapshot(), list(learner.recent_returns)))
    import jax

    (whole, parts), returns = [kept[0] for kept in twice], [kept[1] for kept in twice]
    assert returns[0] == returns[1] and whole[1] == parts[1]
    jax.tree.map(np.testing.assert_array_equal, whole[0], parts[0])


def test_a_domain_shows_its_state_and_dreams_with_its_own_reward(tmp_path):
    agent = rv.Imagination(SMALL, rv.Exact(), rollout_length=2, rollouts=10)
    with rv.Learner(agent, "reacher", seed=0, out=tmp_path / "run") as learner:
        learner.learn(310)
        dreams = learner.trainer.source.replay
        assert dreams.imagined > 0 and dreams.imagined_fraction == 1.0 and dreams.report["nrmse_2"] < 1e-6
    with rv.Learner.load(tmp_path / "run") as learner:
        learner.learn(20)


@pytest.mark.parametrize("agent", [rv.DDPG, rv.NAF])
def test_it_goes_round_any_agent_and_any_noise(agent):
    noise = {"noise": "precision"} if agent is rv.NAF else {"noise": "gaussian"}
    inner = agent(hidden=(16,), batch_size=8, warmup_steps=0, updates_per_step=1, **noise)
    model = rv.LinearGaussian(episodes=2)
    with rv.Learner(rv.Imagination(inner, model, rollout_length=3), worlds.LinearWorld, seed=0) as learner:
        learner.learn(episodes=4)
        trainer = learner.trainer
        assert trainer.source.replay.imagined > 0 and trainer.minibatches > learner.steps


def test_it_adds_no_more_memory_than_r_f():
    inner = rv.NAF(hidden=(16,), batch_size=8, updates_per_step=0)
    with rv.Learner(rv.Imagination(inner, rv.LinearGaussian(), rollout_length=2), "reacher_single", seed=0) as learner:
        learner.learn(episodes=25)  # more than the model looks back on
        dreams = learner.trainer.source.replay
        held = sum(array.nbytes for name, array in dreams.snapshot()[0].items() if name != "fictional")
        assert held < dreams.fictional.rows.nbytes == 20_000 * (11 + 3 + 1 + 1 + 11) * 4


def test_imagination_refuses_what_cannot_work():
    with pytest.raises(rv.ConfigError, match="rollouts is 0"):
        rv.Imagination(SMALL, rv.LinearGaussian(), rollouts=0)
    with pytest.raises(rv.ConfigError, match="such as rv"):
        rv.Imagination(rv.NAF, rv.LinearGaussian())
    with pytest.raises(rv.ConfigError, match="such as rv"):
        rv.Imagination(SMALL, rv.LinearGaussian)
    with pytest.raises(rv.ConfigError, match="error_low"):
        rv.Imagination(SMALL, rv.LinearGaussian(), error_low=2.0)
    with pytest.raises(rv.ConfigError, match="shows no physics"):
        rv.Learner(rv.Imagination(SMALL, rv.Exact()), worlds.LinearWorld)


def test_a_planner_drives_its_share_and_no_episode_where_the_mixture_is_one():
    shares = {}
    for mixture in (0.0, 0.5, 1.0):
        agent = dreaming(
            rv.LinearGaussian(episodes=3, prior="pooled"), plan="ilqg", mixture=mixture, rollout_length=0, kl_bound=1.0
        )
        with rv.Learner(agent, worlds.LinearWorld, seed=1) as learner:
            driven = []
            for _ in range(24):
                learner.learn(T - 1)
                driven.append(learner.trainer.source.planner_acts)
                learner.learn(1)
            shares[mixture] = sum(driven)
            assert learner.trainer.source.replay.imagined == 0
            assert learner.trainer.source.planner.failures == 0
    assert shares[1.0] == 0 and shares[0.0] == 21 and 4 <= shares[0.5] <= 17


def test_ilqg_on_fitted_dynamics_improves_its_episodes_within_the_bound():
    agent = dreaming(
        rv.LinearGaussian(episodes=3, prior="pooled"), plan="ilqg", mixture=0.0, rollout_length=0, kl_bound=0.5
    )
    with rv.Learner(agent, worlds.LinearWorld, seed=1) as learner:
        learner.learn(episodes=20)
        driver, returns = learner.trainer.source.planner, list(learner.recent_returns)
        assert 0 < driver.kl <= 0.55
    # the exact regulator of this world scores about -9 from (1, 0); μ, unlearnt, about -19
    assert np.mean(returns[-5:]) > np.mean(returns[:3]) + 3
    assert driver.predicted == pytest.approx(np.mean(returns[-5:]), abs=3)


def test_a_planned_run_goes_on_as_if_it_had_never_stopped(tmp_path):
    agent = dreaming(rv.LinearGaussian(episodes=2, prior="pooled"), plan="ilqg", mixture=0.3)
    kept = []
    with rv.Learner(agent, "worlds:LinearWorld", seed=5, out=tmp_path / "whole") as learner:
        learner.learn(8 * T)
        kept.append(list(learner.recent_returns))
    with rv.Learner(agent, "worlds:LinearWorld", seed=5, out=tmp_path / "parts") as learner:
        learner.learn(5 * T)
    with rv.Learner.load(tmp_path / "parts") as learner:
        learner.learn(3 * T)
        kept.append(list(learner.recent_returns))
    assert kept[0] == kept[1]
