"""iLQG as a planner on tasks whose target changes: it acts for the target of the episode, not of the last fit."""

import numpy as np
import pytest

from reverie.core.dynamics import Episode
from reverie.domains import DOMAINS
from reverie.domains.mujoco_model import MujocoModel
from reverie.environments.env_factory import make_env
from reverie.environments.exact_dynamics import known_dynamics_of
from reverie.models.linear_gaussian import LinearGaussian
from reverie.planning.planners import IlqgPlanner

STEPS, BATCH = 40, 6


@pytest.fixture(scope="module")
def known():
    world = make_env("canada2d")
    found = known_dynamics_of(world)
    world.close()
    return found


@pytest.fixture(scope="module")
def batch(known):
    """Episodes of noise, each with a target of its own, from starts that are near each other."""
    plant, generator = MujocoModel(DOMAINS["canada2d"]), np.random.default_rng(0)
    episodes = []
    for _ in range(BATCH):
        start = plant.domain.start(generator)
        states, actions = (
            [np.array([*start.q, *start.v])],
            generator.normal(0, 0.3, (STEPS, plant.action_dim)).clip(-1, 1),
        )
        for u in actions:
            states.append(plant.step(states[-1], u))
        episodes.append(Episode(np.array(states), actions, np.zeros(STEPS), context=np.array(start.target, float)))
    return episodes


def improved(known, batch, mode):
    planner = IlqgPlanner(known, batch[0].actions.shape[1], mode)
    dynamics = LinearGaussian().fit(batch, batch, None, 0).dynamics
    planner.improve(dynamics, batch, None)
    assert planner.status.good, planner.status
    return planner


def actions_of(planner, batch, context):
    """Return the planner's actions along the mean of the batch, in an episode with `context`."""
    planner.begin(context)
    still = np.zeros(batch[0].actions.shape[1])
    return np.array([planner.act(x, still) for x in np.mean([episode.states[:-1] for episode in batch], axis=0)])


@pytest.mark.parametrize("mode", ["kl", "plain"])
def test_it_acts_as_if_the_fit_had_ended_with_the_target_of_the_episode(known, batch, mode):
    """The target of the last episode is all that a step knows of targets, so two planners must agree."""
    planner, others = improved(known, batch, mode), batch[:-1][::-1]
    assert len({tuple(episode.context) for episode in batch}) == BATCH
    before = actions_of(planner, batch, batch[-1].context)
    for other in others[:2]:
        changed = [*batch[:-1], Episode(batch[-1].states, batch[-1].actions, batch[-1].rewards, context=other.context)]
        expected = actions_of(improved(known, changed, mode), batch, other.context)
        found = actions_of(planner, batch, other.context)
        np.testing.assert_allclose(found, expected, atol=1e-9)
        assert np.abs(found - before).max() > 1e-3
    np.testing.assert_array_equal(actions_of(planner, batch, batch[-1].context), before)  # episodes leave no trace


def test_a_restored_planner_acts_for_another_target_too(known, batch):
    planner = improved(known, batch, "kl")
    arrays, facts = planner.snapshot()
    again = IlqgPlanner(known, batch[0].actions.shape[1])
    again.restore(arrays, facts)
    context = batch[0].context
    np.testing.assert_array_equal(actions_of(again, batch, context), actions_of(planner, batch, context))


def test_a_planner_of_an_older_checkpoint_keeps_its_controller(known, batch):
    planner = improved(known, batch, "kl")
    arrays, facts = planner.snapshot()
    again = IlqgPlanner(known, batch[0].actions.shape[1])
    again.restore({name: arrays[name] for name in ("K", "k", "chol")}, facts)
    expected = actions_of(planner, batch, batch[-1].context)
    np.testing.assert_array_equal(actions_of(again, batch, batch[0].context), expected)


@pytest.mark.parametrize("name", ["F", "states", "context", "start_mean", "K"])
def test_inputs_of_a_step_that_do_not_fit_are_refused(known, batch, name):
    arrays, facts = improved(known, batch, "kl").snapshot()
    again = IlqgPlanner(known, batch[0].actions.shape[1])
    with pytest.raises(ValueError, match="step"):
        again.restore(arrays | {f"step/{name}": arrays[f"step/{name}"][1:]}, facts)
