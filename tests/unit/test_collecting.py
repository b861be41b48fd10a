"""Collectors without processes: acting programs, messages, and the supervisor with collectors that this test plays."""

import io
import json
import time
from collections import deque

import jax
import numpy as np
import pytest

import reverie as rv
from reverie.collecting import supervisor as supervising
from reverie.collecting.acting_program import described, weights_of
from reverie.collecting.channels import Message
from reverie.collecting.collector import version
from reverie.collecting.messages import (
    PROTOCOL,
    Chunk,
    Failed,
    Ready,
    Request,
    Setup,
    frame,
    json_of,
    read_frame,
    setup_of,
    step_dtype,
)
from reverie.collecting.numpy_policy import NumpyPolicy
from reverie.collecting.supervisor import Ended, Supervisor, Wanted, Weights
from reverie.core.errors import ConfigError, DivergedError, StorageError, WorldError
from reverie.storage.spec import Spec

CONTINUOUS, DISCRETE = rv.EnvSpec(3, [-2.0, 0.0], [2.0, 1.0]), rv.EnvSpec(3, actions=4)
AGENTS = {
    "naf": (rv.NAF(hidden=(8, 8)), CONTINUOUS),
    "naf precision": (rv.NAF(hidden=(8,), noise="precision"), CONTINUOUS),
    "naf gaussian": (rv.NAF(hidden=(8,), noise="gaussian", normalisation="batch"), CONTINUOUS),
    "naf plain": (rv.NAF(hidden=(8,), normalisation="none", observation_normalisation=True), CONTINUOUS),
    "ddpg": (rv.DDPG(hidden=(8, 8)), CONTINUOUS),
    "sac": (rv.SAC(hidden=(8, 8)), CONTINUOUS),
    "xqc": (rv.XQC(hidden=(8, 8), actor_hidden=(8, 8)), CONTINUOUS),
    "dqn": (rv.DQN(hidden=(8, 8), epsilon_steps=10), DISCRETE),
}


def policies(agent):
    """Yield two policies, of numbers far from those of a first state."""
    first = jax.tree.map(np.asarray, agent.policy(agent.init(jax.random.key(0))))
    for seed in range(2):
        generator = np.random.default_rng(seed)
        yield jax.tree.map(lambda x, g=generator: (x + 0.3 * np.abs(g.standard_normal(x.shape))).astype(x.dtype), first)


@pytest.mark.parametrize("name", AGENTS)
def test_a_collector_acts_as_the_agent_does(name):
    """Through JSON, by weights that are replaced, over an episode's noise and into the next one."""
    config, spec = AGENTS[name]
    agent, generator = config.build(spec), np.random.default_rng(1)
    policy = NumpyPolicy(json.loads(json.dumps(described(agent, name))))
    seen = set()
    for arrays in policies(agent):
        policy.take(weights_of(arrays))
        policy.begin()
        memory = np.asarray(agent.begin(None, None))
        for _ in range(20):
            observation = generator.standard_normal(3).astype(np.float32)
            noise = generator.standard_normal(spec.action_dim).astype(np.float32)
            wanted, memory = agent.explore(arrays, memory, observation, noise)
            found = policy.explore(observation, noise)
            assert found.shape == (spec.action_dim,)
            np.testing.assert_allclose(found, wanted, atol=1e-6)
            np.testing.assert_allclose(policy.memory, memory, atol=1e-6)
            seen.add(tuple(found.tolist()))
    assert len(seen) > 1


def test_weights_of_another_size_are_refused():
    agent = rv.NAF(hidden=(8,)).build(CONTINUOUS)
    policy = NumpyPolicy(described(agent, "naf"))
    with pytest.raises(ValueError, match="weights of 12 bytes"):
        policy.take(b"123456789abc")


def test_an_agent_that_numpy_cannot_follow_is_refused_by_name():
    agent = rv.NAF(hidden=(8,)).build(CONTINUOUS)
    odd = agent._replace(explore=lambda policy, memory, x, e: (jax.numpy.sort(x)[:2], memory))
    with pytest.raises(ConfigError, match="cannot act for odd: it uses JAX's operation sort"):
        described(odd, "odd")


# ---- messages


def test_messages_come_back_as_they_were_sent():
    setup = Setup(PROTOCOL, "1", "reacher", ["/x"], [1, 2], {"a": [1.5]})
    assert setup_of(json_of(setup)) == setup
    request = Request(3, 8, 2, 2**40, b"weights")
    assert Request.of(request.to_bytes()) == request
    steps = np.zeros(2, step_dtype(3, 1))
    steps["reward"] = 1.5, -2.0
    found = Chunk.of(Chunk(7, steps).to_bytes(), steps.dtype)
    assert found.number == 7 and (found.steps == steps).all()
    stream = io.BytesIO(frame("chunk", b"one") + frame("failed", b"two"))
    assert [read_frame(stream), read_frame(stream), read_frame(stream)] == [("chunk", b"one"), ("failed", b"two"), None]


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_message_that_was_cut_is_none(cut):
    assert read_frame(io.BytesIO(frame("chunk", b"abc")[:-cut])) is None


def test_foreign_bytes_and_another_protocol_are_named():
    with pytest.raises(StorageError, match="foreign bytes"):
        read_frame(io.BytesIO(b"Traceback (most recent call last)"))
    other = bytearray(frame("chunk", b"abc"))
    other[2] = PROTOCOL + 1
    with pytest.raises(StorageError, match=f"protocol {PROTOCOL + 1}, not {PROTOCOL}"):
        read_frame(io.BytesIO(bytes(other)))
    with pytest.raises(ValueError, match="a chunk of 2 steps in"):
        Chunk.of(Chunk(1, np.zeros(2, step_dtype(3, 1))).to_bytes()[:-1], step_dtype(3, 1))


# ---- the supervisor

SPEC = rv.EnvSpec(2, [-1.0], [1.0])
READY = Ready(PROTOCOL, version(), "here", 1, Spec.of(SPEC))


class Played:
    """A backend whose collectors the test plays."""

    def __init__(self):
        self.channels, self.inbox, self.closed = [], deque(), False

    def start(self, setup):
        self.channels.append(Line(self, setup))
        self.say(self.channels[-1], "ready", json_of(READY))
        return self.channels[-1]

    def say(self, channel, kind, content):
        self.inbox.append(Message(channel, kind, content))

    def messages(self, seconds):
        found, self.inbox = list(self.inbox), deque()
        return found

    def close(self):
        self.closed = True


class Line:
    """A collector's end: requests are kept until the test answers them."""

    def __init__(self, backend, setup):
        self.backend, self.setup, self.requests, self.killed, self.episode = backend, setup, deque(), False, 1

    def send(self, request):
        self.requests.append(request)

    def kill(self):
        self.killed = True
        self.backend.say(self, "ended", b"killed by SIGKILL")

    def answer(self, steps=None, number=None, **fields):
        request = self.requests.popleft()
        chunk = np.zeros(request.steps if steps is None else steps, step_dtype(2, 1))
        chunk["episode"], chunk["policy"] = self.episode, request.version
        for name, value in fields.items():
            chunk[name] = value
        self.backend.say(self, "chunk", Chunk(request.number if number is None else number, chunk).to_bytes())
        return request


def supervised(collectors=2, steps=float("inf"), random=0, versions=None, hang_after=None):
    """Return (backend, supervisor)."""
    backend, numbers = Played(), iter(versions or iter(int, 1))
    supervisor = Supervisor(
        backend,
        Wanted(collectors, steps, random, hang_after),
        lambda place, start: (place, start),
        lambda: Weights(next(numbers), b"w"),
        SPEC,
    )
    return backend, supervisor


def gathered(supervisor, goes_on=lambda: True, most=10**6):
    """Take what has come, until there would be a wait."""
    found = []
    while len(found) < most and (supervisor._chunk is not None or supervisor._got):
        assert supervisor.wait(goes_on)
        found.append(supervisor.take())
        supervisor.learnt()
    return found


def settle(supervisor):
    """Handle what has been said, and ask for more."""
    supervisor._hear(0)
    supervisor._ask()


def test_a_collector_is_held_back_until_its_steps_are_learnt():
    """Two requests of 8 steps at most, whether they are under way or not learnt from."""
    backend, supervisor = supervised(collectors=1)
    settle(supervisor)
    line = backend.channels[0]
    assert [(r.number, r.steps) for r in line.requests] == [(1, 8), (2, 8)]
    line.answer()
    line.answer()
    for _ in range(5):
        settle(supervisor)
    assert not line.requests  # both are answered, but not learnt from
    gathered(supervisor, most=7)
    settle(supervisor)
    assert not line.requests
    gathered(supervisor, most=1)
    settle(supervisor)
    assert [r.number for r in line.requests] == [3]


def test_no_more_steps_are_asked_for_than_are_wanted_and_unused_ones_are_asked_for_again():
    backend, supervisor = supervised(collectors=2, steps=21, random=10)
    settle(supervisor)
    asked = [r for line in backend.channels for r in line.requests]
    assert sum(r.steps for r in asked) == 21 and sum(r.random for r in asked) == 10
    assert [(r.steps, r.random) for r in backend.channels[0].requests] == [(8, 8), (5, 0)]
    backend.channels[0].answer(steps=3)  # of 8, all of them random: 5 are left of either
    settle(supervisor)
    assert [(r.steps, r.random) for r in backend.channels[1].requests] == [(8, 2), (5, 5)]


def test_chunks_count_once_and_in_order():
    backend, supervisor = supervised(collectors=1)
    settle(supervisor)
    line = backend.channels[0]
    request = line.answer(reward=1.0)
    doubled = np.zeros(8, step_dtype(2, 1))
    backend.say(line, "chunk", Chunk(request.number, doubled).to_bytes())
    settle(supervisor)
    assert [taken.record["reward"] for taken in gathered(supervisor)] == [1.0] * 8
    line.answer(number=7)  # a gap
    supervisor._hear(0)
    assert line.killed and supervisor._got == deque()
    settle(supervisor)
    (end,) = gathered(supervisor)
    assert (end.place, end.reason) == (1, "sent chunk 7 after 1")
    assert backend.channels[1].setup == (1, 1)  # the second start in place 1


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"reward": np.nan}, "a step with an invalid reward"),
        ({"action": 1.5}, "a step with an invalid action"),
        ({"next_observation": np.inf}, "a step with an invalid next_observation"),
        ({"policy": 99}, "steps of a policy after 0"),
        ({"steps": 0}, "0 steps for 8"),
        ({"steps": 9}, "9 steps for 8"),
    ],
)
def test_steps_that_no_collector_takes_are_not_learnt_from(fields, why):
    backend, supervisor = supervised(collectors=1)
    settle(supervisor)
    backend.channels[0].answer(**fields)
    settle(supervisor)
    settle(supervisor)
    (end,) = gathered(supervisor)
    assert end.reason == f"sent {why}" and len(backend.channels) == 2


def test_the_steps_of_a_collector_that_died_are_kept_and_what_it_owed_is_asked_of_others():
    backend, supervisor = supervised(collectors=1, steps=16)
    settle(supervisor)
    line = backend.channels[0]
    line.answer()
    line.kill()
    settle(supervisor)
    *steps, end = gathered(supervisor)
    assert len(steps) == 8 and isinstance(end, Ended) and end.reason == "killed by SIGKILL"
    assert steps[0].source == end.source
    settle(supervisor)
    settle(supervisor)
    assert [r.steps for r in backend.channels[1].requests] == [8]
    assert backend.channels[1].requests[0].weights == b"w"


def test_weights_are_sent_once_for_each_version():
    backend, supervisor = supervised(collectors=1, versions=[5, 5, 6])
    settle(supervisor)
    line = backend.channels[0]
    assert [(r.version, r.weights) for r in line.requests] == [(5, b"w"), (5, b"")]
    line.answer()
    settle(supervisor)
    gathered(supervisor)
    settle(supervisor)
    assert (line.requests[-1].version, line.requests[-1].weights) == (5, b"")
    line.answer()
    settle(supervisor)
    gathered(supervisor)
    settle(supervisor)
    assert (line.requests[-1].version, line.requests[-1].weights) == (6, b"w")


def test_a_collector_that_hangs_is_replaced(monkeypatch):
    backend, supervisor = supervised(collectors=1)
    settle(supervisor)
    supervisor._check_deadlines()
    assert not backend.channels[0].killed
    monkeypatch.setattr(supervising, "HANG_SECONDS", -1.0)
    supervisor._check_deadlines()
    assert backend.channels[0].killed
    settle(supervisor)
    assert gathered(supervisor)[0].reason == "did not answer for 0 s" and len(backend.channels) == 2


def test_hang_after_says_how_long_a_call_of_an_environment_may_take():
    backend, supervisor = supervised(collectors=1, hang_after=30)
    settle(supervisor)
    place = supervisor._places[0]
    for ago, killed in ((59, False), (61, True)):
        place.heard -= 1000
        place.sent = deque((request, time.monotonic() - ago) for request, _ in place.sent)
        supervisor._check_deadlines()
        assert backend.channels[0].killed == killed


def test_the_time_that_a_learner_was_away_is_not_taken_for_slowness(monkeypatch):
    backend, supervisor = supervised(collectors=1)
    settle(supervisor)
    line = backend.channels[0]
    line.answer()
    supervisor._listened -= 1000  # an evaluation
    place = supervisor._places[0]
    place.sent = deque((request, made - 1000) for request, made in place.sent)
    supervisor._hear(0)
    assert supervisor._longest == 0
    line.answer()  # of a collector that needs so long
    supervisor._hear(0)
    assert supervisor._longest > 999


def test_a_collector_that_does_not_start_is_replaced_and_so_is_one_that_cannot_be_killed(monkeypatch):
    backend, supervisor = supervised(collectors=1)
    backend.inbox.clear()  # it never gets ready
    backend.channels[0].kill = lambda: None  # nor ends
    monkeypatch.setattr(supervising, "START_SECONDS", -1.0)
    supervisor._check_deadlines()
    monkeypatch.setattr(supervising, "KILL_SECONDS", -1.0)
    supervisor._check_deadlines()
    assert len(backend.channels) == 2
    backend.say(backend.channels[0], "ready", json_of(READY))  # too late: nobody listens
    settle(supervisor)
    assert not backend.channels[0].requests


def test_learning_ends_where_collectors_die_before_their_first_step():
    backend, supervisor = supervised(collectors=1)
    for start in range(supervising.BARREN):
        assert len(backend.channels) == start + 1
        settle(supervisor)
        backend.channels[-1].kill()
        supervisor._hear(0)
    with pytest.raises(WorldError, match=r"^collector 1 ended 3 times without a step \(at last: killed by SIGKILL\)"):
        while supervisor.wait(lambda: True):
            supervisor.take()
    assert len(backend.channels) == supervising.BARREN


@pytest.mark.parametrize(
    ("ready", "line"),
    [
        ({"reverie": "9.9"}, "the collector on there has reverie 9.9 .* and the learner"),
        ({"protocol": 99}, "protocol 99.* install the same version"),
        ({"spec": Spec.of(rv.EnvSpec(2, [-2.0], [1.0]))}, r"has action_low \[-2.0\] and the learner's has \[-1.0\]"),
        ({"spec": Spec.of(rv.EnvSpec(3, [-1.0], [1.0]))}, "has observation_dim 3 and the learner's has 2"),
    ],
)
def test_a_collector_of_another_version_or_environment_ends_learning(ready, line):
    backend, supervisor = supervised(collectors=1)
    backend.inbox.clear()
    facts = {"protocol": PROTOCOL, "reverie": version(), "host": "there", "process": 1, "spec": Spec.of(SPEC)}
    backend.say(backend.channels[0], "ready", json_of(Ready(**facts | ready)))
    with pytest.raises(ConfigError, match=line) as found:
        supervisor.wait(lambda: True)
    assert str(found.value).startswith("collector 1: ")


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("WorldError", WorldError),
        ("DivergedError", DivergedError),
        ("MemoryError", WorldError),
        ("sentence", WorldError),
    ],
)
def test_an_error_of_a_collector_is_raised_after_the_steps_that_came_before(kind, raised):
    backend, supervisor = supervised(collectors=2)
    settle(supervisor)
    one, two = backend.channels
    two.answer()
    backend.say(one, "failed", json_of(Failed(kind, "the arm fell off")))
    backend.say(one, "ended", b"exit status 1")
    two.answer()
    settle(supervisor)
    taken = gathered(supervisor)
    assert sum(isinstance(each, Ended) for each in taken) == 1 and len(taken) == 17
    with pytest.raises(raised, match="collector 1: the arm fell off"):
        supervisor.wait(lambda: True)


def test_steps_under_way_are_waited_for_when_learning_stops(monkeypatch):
    backend, supervisor = supervised(collectors=1)
    settle(supervisor)
    backend.channels[0].answer()
    assert supervisor.wait(lambda: False)
    assert len(gathered(supervisor, lambda: False)) == 8
    monkeypatch.setattr(supervising, "DRAIN_SECONDS", 0.0)
    assert not supervisor.wait(lambda: False)  # the second request was not answered in time
    assert len(backend.channels[0].requests) == 1


def test_a_supervisor_that_cannot_start_its_collectors_leaves_none():
    backend = Played()
    with pytest.raises(ZeroDivisionError):
        Supervisor(backend, Wanted(2, 9, 0), lambda place, start: 1 // (place - 2), lambda: Weights(0, b""), SPEC)
    assert backend.closed
