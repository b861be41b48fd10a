"""SAC's update against Stable-Baselines3's, from the same weights, on the same minibatches, with the same normal draws."""

import jax
import numpy as np
import pytest

from reverie.algorithms import ALGORITHMS
from reverie.core.env_spec import EnvSpec
from reverie.core.types import Transition

N, M, B, I = 5, 3, 32, 4
HIDDEN = (16, 16)


@pytest.fixture(scope="module")
def peers():
    """Return (stable_baselines3, torch)."""
    return pytest.importorskip("stable_baselines3"), pytest.importorskip("torch")


def worlds(gym):
    class World(gym.Env):
        observation_space = gym.spaces.Box(-np.inf, np.inf, (N,), np.float32)
        action_space = gym.spaces.Box(-1.0, 1.0, (M,), np.float32)

        def reset(self, *, seed=None, options=None):
            return np.zeros(N, np.float32), {}

    return World()


def layers_of(torch, network):
    """Return a network of theirs in our form."""
    linear = [module for module in network if isinstance(module, torch.nn.Linear)]
    return [{"w": one.weight.detach().numpy().T.copy(), "b": one.bias.detach().numpy().copy()} for one in linear]


def ours(torch, model):
    """Return their actor and critics in our form: one head gives mean and log σ."""
    heads = layers_of(torch, [model.actor.mu, model.actor.log_std])
    head = {name: np.concatenate([one[name] for one in heads], -1) for name in ("w", "b")}
    critics = [layers_of(torch, network) for network in model.critic.q_networks]
    targets = [layers_of(torch, network) for network in model.critic_target.q_networks]
    return [*layers_of(torch, model.actor.latent_pi), head], critics, targets


def test_four_updates_leave_the_same_networks_and_temperature(peers, generator, monkeypatch):
    sb3, torch = peers
    config = ALGORITHMS["sac"](hidden=HIDDEN, batch_size=B, learning_rate=1e-2, target_rate=0.05, updates_per_step=I)
    given = {"learning_rate": 1e-2, "tau": 0.05, "batch_size": B, "policy_kwargs": {"net_arch": list(HIDDEN)}}
    model = sb3.SAC("MlpPolicy", worlds(pytest.importorskip("gymnasium")), device="cpu", seed=0, **given)
    model.set_logger(sb3.common.logger.configure(None, []))

    draw = generator.standard_normal
    ends = generator.integers(0, 2, (I, B)).astype(float)
    batches = Transition(draw((I, B, N)), generator.uniform(-1, 1, (I, B, M)), draw((I, B)), 1 - ends, draw((I, B, N)))
    batches = jax.tree.map(np.float32, batches)
    key = jax.random.key(3)

    agent = config.build(EnvSpec(N, [-1] * M, [1] * M))
    actor, critics, targets = ours(torch, model)
    state = agent.init(jax.random.key(1))
    state = state._replace(actor=actor, critics=critics, target=targets)
    found, _ = jax.jit(agent.update)(state, batches, key)

    with jax.debug_key_reuse(False):  # theirs draws at the states first, then at their successors
        pairs = [jax.random.split(k) for k in jax.random.split(key, I)]
        innovations = [np.asarray(jax.random.normal(k, (B, M))) for k_next, k_now in pairs for k in (k_now, k_next)]
    waiting = iter(innovations)

    def rsample(normal, sample_shape=()):
        return normal.loc + normal.scale * torch.tensor(next(waiting))

    monkeypatch.setattr(torch.distributions.Normal, "rsample", rsample)
    samples = iter(Transition(*leaves) for leaves in zip(*batches, strict=True))

    def sample(size, env=None):
        batch = jax.tree.map(torch.tensor, next(samples))
        columns = (batch.observation, batch.action, batch.next_observation)
        return sb3.common.type_aliases.ReplayBufferSamples(
            *columns, (1 - batch.discount)[:, None], batch.reward[:, None]
        )

    monkeypatch.setattr(model.replay_buffer, "sample", sample)
    model.train(I, B)
    assert next(waiting, None) is None

    theirs = ours(torch, model)
    mine = found.actor, found.critics, found.target
    jax.tree.map(lambda one, two: np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-5), mine, theirs)
    np.testing.assert_allclose(found.log_temperature, model.log_ent_coef.detach().numpy()[0], rtol=1e-5)
    moved = jax.tree.map(lambda one, two: np.abs(one - two).max(), found.actor, actor)
    assert min(jax.tree.leaves(moved)) > 1e-2  # four steps of Adam: far more than what is let pass


def test_first_weights_are_drawn_from_the_same_law(peers):
    """Both uniform in ±1/√fan-in, biases too: the largest of many draws lies at the bound."""
    sb3, torch = peers
    model = sb3.SAC("MlpPolicy", worlds(pytest.importorskip("gymnasium")), device="cpu", seed=0)
    state = ALGORITHMS["sac"]().build(EnvSpec(N, [-1] * M, [1] * M)).init(jax.random.key(0))
    for mine, their in zip((state.actor, *state.critics), _networks(torch, model), strict=True):
        for one, two in zip(mine, their, strict=True):
            assert one["w"].shape == two["w"].shape
            bound = one["w"].shape[0] ** -0.5
            for name in ("w", "b"):
                assert max(np.abs(one[name]).max(), np.abs(two[name]).max()) <= bound * 1.0001
            assert min(np.abs(one["w"]).max(), np.abs(two["w"]).max()) > 0.98 * bound
            assert abs(float(np.std(one["w"])) / float(np.std(two["w"])) - 1) < 0.1


def _networks(torch, model):
    actor, critics, _ = ours(torch, model)
    return actor, *critics
