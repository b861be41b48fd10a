"""What a run notices about its machine: each fault once, with its first step, and nothing in ordinary worlds."""

import gymnasium as gym
import numpy as np
import pytest

import reverie as rv
from reverie.domains import DOMAINS
from reverie.environments.env_adapter import EnvAdapter
from reverie.environments.env_factory import make_env
from reverie.training.machine_checks import BLOCK, MachineChecks

LENGTH = 20  # steps of an episode here


class Machine:
    """Random walks as sensors, in episodes of LENGTH steps; `fault(step, observation)` returns what is read instead."""

    def __init__(self, n=3, m=2, seed=0, length=LENGTH, bounds=None, worlds=1):
        seen = {} if bounds is None else {"observation_low": [bounds[0]] * n, "observation_high": [bounds[1]] * n}
        self.spec = rv.EnvSpec(n, [-1.0] * m, [1.0] * m, **seen)
        self.generator, self.length, self.worlds = np.random.default_rng(seed), length, worlds
        self.checks = MachineChecks(self.spec, worlds)
        self.rows = []

    def start(self):
        return self.generator.normal(size=self.spec.observation_dim)

    def run(
        self, steps, fault=lambda step, o: o, act=None, executed=lambda step, u: u, reward=None, ends=None, first=1
    ):
        n, found = self.spec.observation_dim, []
        count, episode = [0] * self.worlds, list(range(1, self.worlds + 1))
        x: list = [self.start() for _ in range(self.worlds)]
        read: list = [None] * self.worlds
        for step in range(first, first + steps):
            w = (step - 1) % self.worlds
            asked = self.spec.random(self.generator) if act is None else np.asarray(act(step), np.float32)
            before = np.asarray(fault(step, x[w]), np.float32) if read[w] is None else read[w]
            x[w] = 0.98 * x[w] + 0.05 * self.generator.normal(size=n)
            read[w] = after = np.asarray(fault(step, x[w]), np.float32)
            count[w] += 1
            over = count[w] == self.length if ends is None else ends(step)
            paid = float(self.generator.normal()) if reward is None else reward
            row = before, after, np.asarray(executed(step, asked), np.float32), asked, paid, (False, over), episode[w]
            self.rows.append(row)
            found += self.checks.see(*row)
            if over:
                x[w], read[w], count[w], episode[w] = self.start(), None, 0, max(episode) + 1
        return found


def kinds(found):
    return [notice.kind for notice in found]


def stuck(since, sensors, at=0.123):
    def read(step, o):
        return np.where(np.isin(np.arange(len(o)), sensors) & (step > since), at, o)

    return read


def test_a_healthy_machine_gives_no_notice():
    assert Machine().run(5000) == []


def test_a_sensor_that_stops_is_told_once_with_its_step():
    (notice,) = Machine().run(3000, stuck(407, [1]))
    assert (notice.step, notice.episode, notice.kind) == (500, 25, "constant sensor")
    assert notice.text.startswith("observation 1 stands at 0.123 and has not changed since step 408")


def test_sensors_that_stop_together_share_a_notice():
    (notice,) = Machine(n=4).run(3000, stuck(407, [0, 2, 3]))
    assert notice.text.startswith("observation 0, observation 2, observation 3 have not changed since step 408")


def test_without_ends_of_episodes_a_standstill_must_be_longer():
    (notice,) = Machine(length=10**9).run(3000, stuck(400, [1]))
    assert 700 < notice.step <= 800


def test_at_rest_under_a_constant_action_nothing_is_told_where_no_episode_ends():
    found = Machine(length=10**9).run(3000, stuck(400, [0, 1, 2]), act=lambda step: [0.0, 0.0])
    assert "constant sensor" not in kinds(found)


def test_a_constant_a_target_and_a_contact_are_no_stopped_sensors():
    generator = np.random.default_rng(3)
    targets = generator.normal(size=1000)

    def read(step, o):
        contact = 5.0 * (generator.uniform() < 0.02) * (step < 3000)  # and later never again
        return np.array([1.0, targets[(step - 1) // LENGTH], contact, float(step // LENGTH % 7 == 2)])

    assert Machine(n=4).run(15_000, read) == []


def test_a_target_that_no_longer_changes_is_told():
    targets = np.random.default_rng(3).normal(size=1000)
    found = Machine(n=1).run(6000, lambda step, o: targets[[min(step, 3001) // LENGTH]])
    assert kinds(found) == ["constant sensor"] and "since step 300" in found[0].text


def test_a_thing_that_nobody_touches_any_more_is_no_stopped_sensor():
    """It stands where each episode begins."""

    def read(step, o):
        place = 0.0 if step > 600 or (step - 1) % LENGTH < 4 else float(np.sin(0.1 * step))
        return np.array([place, *o[1:]])

    assert Machine().run(3000, read) == []


@pytest.mark.parametrize(("bounds", "at"), [((-4.0, 12.0), 307), (None, 707)])
def test_a_sensor_that_jumps_is_told_once_with_its_step(bounds, at):
    def read(step, o):
        return np.where((np.arange(len(o)) == 2) & np.isin(step, (at, 1507)), 9.0, o)

    machine = Machine(bounds=bounds)
    (notice,) = machine.run(2000, read)
    assert (notice.kind, notice.step) == ("sensor jump", (at // BLOCK + 1) * BLOCK)
    assert notice.text.startswith("observation 2 jumped from") and f"to 9 at step {at}, " in notice.text


def test_between_two_episodes_a_sensor_may_be_anywhere():
    machine = Machine()
    machine.start = lambda: machine.generator.choice([-50.0, 50.0], 3)
    assert machine.run(3000, lambda step, o: o) == []


@pytest.mark.parametrize("sensor", ["wraps", "counts", "noise", "contact", "flag"])
def test_what_leaps_by_its_nature_has_not_jumped(sensor):
    generator = np.random.default_rng(1)

    def read(step, o):
        del o
        values = {
            "wraps": (0.05 * step + np.pi) % (2 * np.pi) - np.pi,
            "counts": (3 * step) % 4096,
            "noise": generator.standard_cauchy(),
            "contact": 100.0 * (generator.uniform() < 0.01),
            "flag": float(step > 1500),
        }
        return np.array([values[sensor]])

    assert Machine(n=1, length=10**9).run(6000, read) == []


def test_ten_episodes_that_end_at_their_first_step_are_told_once():
    found = Machine().run(1000, ends=lambda step: step % LENGTH == 0 if step <= 400 else True)
    assert kinds(found) == ["first-step ends"] and "from step 401 on" in found[0].text and found[0].step == 450
    assert Machine().run(1000, ends=lambda step: step % 10 != 0) == []  # nine in a row


def test_a_game_of_which_most_rounds_end_at_once_is_no_fault():
    generator = np.random.default_rng(0)
    draws = generator.uniform(size=20_001) < 0.7
    draws[:2] = False
    assert "first-step ends" not in kinds(Machine().run(20_000, ends=lambda step: bool(draws[step])))


@pytest.mark.parametrize(("at", "word"), [(-1.0, "lower"), (1.0, "upper")])
def test_an_actuator_that_stays_at_a_bound_is_told_once(at, word):
    generator = np.random.default_rng(0)

    def act(step):
        return [generator.uniform(-1, 1), at if step > 500 and step % 25 else 0.0]

    machine = Machine()
    machine.checks = MachineChecks(machine.spec, remedy="set reward_scale=auto, or try more noise")
    (notice,) = machine.run(2000, act=act)
    assert notice.text.endswith("check its sign and its bounds, or set reward_scale=auto, or try more noise")
    assert notice.kind == "pinned actuator" and notice.step == 600
    assert notice.text.startswith(f"action 1 was at its {word} bound in 96% of the steps 501 to 600")


def test_an_actuator_that_goes_from_bound_to_bound_is_not_pinned():
    generator = np.random.default_rng(0)
    assert Machine().run(3000, act=lambda step: generator.choice([-1.0, 1.0], 2)) == []


def test_an_actuator_that_does_otherwise_than_asked_is_told_once():
    found = Machine().run(2000, executed=lambda step, u: u * [1.0, 0.7 if step > 500 else 1.0])
    assert kinds(found) == ["executed differs"] and found[0].step == 600
    assert found[0].text.startswith("action 1 was executed otherwise than asked from step 50")
    assert Machine().run(2000, executed=lambda step, u: u * [1.0, 0.95]) == []
    assert Machine().run(2000, executed=lambda step, u: u if step % 5 else -u) == []  # now and then


def test_a_constant_reward_is_told_once():
    (notice,) = Machine().run(5000, reward=0.0)
    assert (notice.kind, notice.step) == (
        "constant reward",
        3000,
    ) and "has been 0 in each of the 3000 steps" in notice.text
    (notice,) = Machine().run(5000, reward=0.7)
    assert (notice.kind, notice.step) == ("constant reward", 300)


def test_a_reward_for_each_step_alive_is_no_fault():
    machine = Machine()
    found = []
    for step in range(1, 6001):
        x = machine.generator.normal(size=3)
        flags = step % 17 == 0, False
        u = machine.spec.random(machine.generator)
        found += machine.checks.see(x, x + 0.1, u, u, 1.0, flags, 1 + (step - 1) // 17)
    assert found == []


@pytest.mark.parametrize("worlds", [1, 3])
@pytest.mark.parametrize("cut", [0, 37, 500, 633])
def test_what_was_restored_tells_the_same_at_the_same_steps(cut, worlds):
    machine = Machine(worlds=worlds, bounds=(-4.0, 12.0))
    generator = np.random.default_rng(0)

    def act(step):
        return generator.uniform(-1, 1, 2) if step < 300 else [1.0, generator.uniform(-1, 1)]

    def fault(step, o):
        o = np.where((np.arange(3) == 2) & (step == 427), 11.0, o)
        return stuck(607, [0])(step, o)

    whole = machine.run(1500, fault, act, lambda step, u: u * [1.0, 0.5 if step > 700 else 1.0], reward=0.25)
    assert len(set(kinds(whole))) >= 4
    other, past = MachineChecks(machine.spec, worlds), machine.rows[:cut]
    columns = [np.array([row[i] for row in machine.rows][:cut]) for i in range(7)]
    if cut:
        other.restore(*columns[:5], (columns[5][:, 0], columns[5][:, 1]), columns[6])
    found = [notice for row in machine.rows[len(past) :] for notice in other.see(*row)]
    assert found == [notice for notice in whole if notice.step > cut]
    assert all(notice.step % BLOCK == 0 for notice in whole)


def test_a_picture_and_very_many_actuators_are_left_alone():
    spec = rv.EnvSpec(100_000, [-1.0] * 2000, [1.0] * 2000)
    checks, x, u = MachineChecks(spec), np.zeros(100_000, np.float32), np.ones(2000, np.float32)
    assert [n for step in range(200) for n in checks.see(x, x, u, u, float(step), (False, False), 1)] == []


class Numbered(gym.ActionWrapper):
    def action(self, action):
        return int(action)


def ordinary(name):
    if name.startswith("one-hot "):
        return EnvAdapter(Numbered(gym.make(name.removeprefix("one-hot "))), name)
    return make_env(name)


GYMNASIUM = ["Pendulum-v1", "MountainCarContinuous-v0", "CartPole-v1", "Hopper-v5", "Ant-v5", "HalfCheetah-v5"]
ONE_HOT = ["one-hot FrozenLake-v1", "one-hot CliffWalking-v1", "one-hot Taxi-v4", "one-hot Blackjack-v1"]


@pytest.mark.parametrize("name", [*DOMAINS, *GYMNASIUM, *ONE_HOT])
def test_ordinary_worlds_give_no_false_alarm(name):
    env, generator, found = ordinary(name), np.random.default_rng(0), []
    checks, observation, episode = MachineChecks(env.spec), env.reset(0), 1
    for step in range(1, 2001):
        action = env.spec.random(generator)
        reward, after, *flags = env.step(env.spec.to_world(action), step)
        found += checks.see(observation, after, action, action, reward, tuple(flags), episode)
        observation = after
        if any(flags):
            episode += 1
            observation = env.reset(episode)
    env.close()
    assert found == []
