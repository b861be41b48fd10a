"""XQC's update rule against NumPy float64, with the same normal draws; its networks and projection against plain loops."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special, stats

from reverie.algorithms import ALGORITHMS, xqc
from reverie.core.env_spec import EnvSpec
from reverie.core.types import Transition
from reverie.maths import categorical, unit_networks
from transcription import Adam, as_float32, as_float64, assert_close, gradient, perturbed

N, M, B = 3, 2, 6
SPEC = EnvSpec(N, [-1] * M, [1] * M)
EPSILON = 1e-3
SMALL = {"hidden": (5, 4), "actor_hidden": (4, 3), "atoms": 9, "value_limit": 2.0}
ATOMS = np.linspace(-2.0, 2.0, 9)
GAMMA, SCALE = 0.9, 0.5


@pytest.fixture
def generator():
    return np.random.default_rng(10)  # of its two critics now the one is less, now the other


# ---- the equations, written out


def network(layers, x, running=None):
    """The first layer only normalises; running=None: by the moments of x."""
    used = []
    for number, layer in enumerate(layers[:-1]):
        x = x @ layer["w"] if number else x
        used.append({"mean": x.mean(0), "var": x.var(0)} if running is None else running[number])
        x = (x - used[-1]["mean"]) / np.sqrt(used[-1]["var"] + EPSILON) * layer["gain"]
        x = np.maximum(x + layer["shift"], 0) if number else x
    return x @ layers[-1]["w"] + layers[-1]["b"], used


def unit(layers):
    """Every column of every matrix divided by its length, in plain loops."""
    found = []
    for layer in layers:
        layer = dict(layer)
        if "w" in layer:
            columns = [column / np.sqrt(sum(entry**2 for entry in column)) for column in layer["w"].T]
            layer["w"] = np.stack(columns, axis=1)
        found.append(layer)
    return found


def projected(values, probabilities, atoms):
    """Bellemare et al. 2017, Algorithm 1, for one distribution."""
    low, high, spacing = atoms[0], atoms[-1], atoms[1] - atoms[0]
    m = np.zeros(len(atoms))
    for value, probability in zip(values, probabilities, strict=True):
        b = (min(max(value, low), high) - low) / spacing
        lower, upper = int(np.floor(b)), int(np.ceil(b))
        if lower == upper:
            m[lower] += probability
        else:
            m[lower] += probability * (upper - b)
            m[upper] += probability * (b - lower)
    return m


def sample(actor, x, noise, running=None):
    """u = tanh z and log π(u|x) = log N(z) - Σ log (1 - tanh² z)."""
    out, used = network(actor, x, running)
    mean, std = out[:, :M], np.exp(np.clip(out[:, M:], -10, 2))
    z = mean + std * noise
    slope = 2 * (np.log(2) - np.logaddexp(z, -z))  # log (1 - tanh² z) = -2 log cosh z
    return np.tanh(z), (stats.norm.logpdf(z, mean, std) - slope).sum(1), used


def joined(x, u, x_next, u_next):
    return np.vstack([np.hstack([x, u]), np.hstack([x_next, u_next])])


def means(critics, moments, x, u):
    pairs = zip(critics, moments, strict=True)
    return [special.softmax(network(c, np.hstack([x, u]), m)[0], axis=1) @ ATOMS for c, m in pairs]


def lesser(target, joint):
    """The probabilities of that target critic whose mean is less, row by row; and which of the two it was."""
    both = [special.softmax(network(critic, joint)[0], axis=1)[B:] for critic in target]
    which = [int(one @ ATOMS > two @ ATOMS) for one, two in zip(*both, strict=True)]
    return np.stack([both[w][row] for row, w in enumerate(which)]), which


def goals(batch, probabilities, log_next, alpha):
    """The target distributions, each projected alone."""
    rows = zip(batch.reward, batch.discount, probabilities, log_next, strict=True)
    return np.stack([projected(SCALE * r + GAMMA * d * (ATOMS - alpha * log), p, ATOMS) for r, d, p, log in rows])


def cross_entropies(critics, joint, goal):
    """Σ_i mean of -Σ_k m_k log p_k over the first half."""
    logs = [special.log_softmax(network(critic, joint)[0][:B], axis=1) for critic in critics]
    return sum(-np.mean(np.sum(goal * log, axis=1)) for log in logs)


def moved(old, new, rate):
    return jax.tree.map(lambda a, b: (1 - rate) * a + rate * b, old, new)


# ---- the whole update


def draws(key, count):
    """The standard normal draws [B, M] at successors and at states, of each minibatch."""
    with jax.debug_key_reuse(False):
        pairs = [jax.random.split(k) for k in jax.random.split(key, count)]
        return [[np.asarray(jax.random.normal(k, (B, M)), float) for k in pair] for pair in pairs]


def minibatches(generator, count):
    draw = generator.standard_normal
    rows = draw((count, B, N)), generator.uniform(-1, 1, (count, B, M)), 2 * draw((count, B))
    alive = np.array([[1.0, 0.0, 1.0, 1.0, 1.0, 1.0]] * count)
    return as_float64(as_float32(Transition(*rows, alive, draw((count, B, N)))))


def apart(state, generator):
    """A state far from the first one, with heads of the critics that are balanced."""

    def balanced(critics):
        heads = [(w := critic[-1]["w"]) - np.mean(w, axis=0) for critic in critics]
        return [
            [*critic[:-1], {"w": w, "b": np.zeros(9, np.float32)}] for critic, w in zip(critics, heads, strict=True)
        ]

    sizes = {"actor": 0.3, "critics": 0.3, "moments": 0.3, "target": 1.0}
    state = state._replace(**{name: perturbed(getattr(state, name), generator, size) for name, size in sizes.items()})
    return state._replace(critics=balanced(state.critics), target=balanced(state.target))


@pytest.mark.parametrize(("delay", "learn_temperature"), [(3, True), (1, True), (2, False)])
def test_four_updates_equal_the_equations(delay, learn_temperature, generator):
    config = ALGORITHMS["xqc"](
        **SMALL,
        learning_rate=1e-2,
        target_rate=0.1,
        reward_scale=SCALE,
        discount=GAMMA,
        temperature=0.3,
        target_entropy=-0.7,
        learn_temperature=learn_temperature,
        policy_delay=delay,
    )
    agent, count = config.build(SPEC), 4
    state = apart(agent.init(jax.random.key(1)), generator)
    batches = minibatches(generator, count)
    found, metrics = jax.jit(agent.update)(state, jax.tree.map(np.float32, batches), jax.random.key(2))

    parts = state.actor, state.critics, state.target, state.moments
    actor, critics, target, moments = map(as_float64, parts)
    log_alpha, adams = np.array(np.log(0.3)), [Adam(1e-2) for _ in range(3)]
    losses, entropies, beyond, which, steps = [], [], [], [], 0
    for i, (at_next, at_now) in enumerate(draws(jax.random.key(2), count)):
        batch, alpha = Transition(*(field[i] for field in batches)), np.exp(log_alpha)
        u_next, log_next, _ = sample(actor, batch.next_observation, at_next, moments["actor"])
        joint = joined(batch.observation, batch.action, batch.next_observation, u_next)
        later, chosen = lesser(target, joint)
        goal = goals(batch, later, log_next, alpha)
        y = SCALE * batch.reward[:, None] + GAMMA * batch.discount[:, None] * (ATOMS - alpha * log_next[:, None])
        beyond.append(np.mean(np.sum(later * (np.abs(y) > 2.0), axis=1)))
        which.extend(chosen)

        def critic_loss(p, joint=joint, goal=goal):
            return cross_entropies(p, joint, goal)

        losses.append(critic_loss(critics))
        used = [network(critic, joint)[1] for critic in critics]
        critics = [unit(critic) for critic in adams[0].step(critics, gradient(critic_loss, critics))]
        moments["critics"] = moved(moments["critics"], used, 0.01)
        target = moved(target, critics, 0.1)

        def actor_loss(p, x=batch.observation, critics=critics, running=moments["critics"], alpha=alpha, noise=at_now):
            u, log_density, _ = sample(p, x, noise)
            return np.mean(alpha * log_density - np.minimum(*means(critics, running, x, u)))

        _, log_density, used = sample(actor, batch.observation, at_now)
        entropies.append(-log_density.mean())
        if i % delay == 0:
            steps += 1
            actor = unit(adams[1].step(actor, gradient(actor_loss, actor)))
            if learn_temperature:
                log_alpha = adams[2].step(log_alpha, -np.mean(log_density + M * -0.7))
        moments["actor"] = moved(moments["actor"], used, 0.01)

    assert 0 < sum(which) < len(which) and 0 < np.mean(beyond) < 1 and steps == {3: 2, 1: 4, 2: 2}[delay]
    assert float(metrics["loss"]) == pytest.approx(np.mean(losses), rel=1e-4)
    assert float(metrics["entropy"]) == pytest.approx(np.mean(entropies), rel=1e-4)
    assert float(metrics["target_beyond"]) == pytest.approx(np.mean(beyond), rel=1e-4)
    assert float(found.log_temperature) == pytest.approx(float(log_alpha), rel=1e-4)
    assert learn_temperature == (abs(float(found.log_temperature) - np.log(0.3)) > 1e-3)
    pairs = ((found.actor, actor), (found.critics, critics), (found.moments, moments), (found.target, target))
    for ours, theirs in pairs:
        assert_close(ours, theirs, rtol=5e-3, atol=5e-5)
    for ours, before in ((found.actor, state.actor), (found.critics, state.critics), (found.moments, state.moments)):
        change = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max(), ours, before)
        assert min(jax.tree.leaves(change)) > 1e-6


def test_the_actor_rests_in_two_of_three_minibatches(generator):
    agent = ALGORITHMS["xqc"](**SMALL).build(SPEC)
    state, seen = agent.init(jax.random.key(0)), []
    batches = jax.tree.map(np.float32, minibatches(generator, 7))
    for i in range(7):
        one = jax.tree.map(lambda field, i=i: field[i : i + 1], batches)
        after, _ = agent.update(state, one, jax.random.key(i + 1))
        same = [np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (after.actor, state.actor)), strict=True)]
        assert all(same) or not any(same)
        assert (float(after.log_temperature) != float(state.log_temperature)) == (not all(same))
        assert not np.array_equal(after.critics[0][-1]["b"], state.critics[0][-1]["b"])
        assert not np.array_equal(after.moments["actor"][0]["mean"], state.moments["actor"][0]["mean"])
        seen.append(not all(same))
        state = after
    assert seen == [True, False, False, True, False, False, True]


def test_every_column_has_unit_norm_at_first_and_after_each_update(generator):
    agent = ALGORITHMS["xqc"](**SMALL, learning_rate=0.1).build(SPEC)
    state = agent.init(jax.random.key(0))
    for i in range(4):
        for layers in (state.actor, *state.critics):
            assert [set(layer) for layer in layers] == [{"gain"}, *[{"w", "gain", "shift"}] * 2, {"w", "b"}]
            for layer in layers[1:]:
                np.testing.assert_allclose(np.linalg.norm(layer["w"], axis=0), 1.0, rtol=1e-5)
        batch = jax.tree.map(np.float32, minibatches(generator, 1))
        state, _ = agent.update(state, batch, jax.random.key(i + 1))
    assert np.abs(np.asarray(state.critics[0][-1]["b"])).max() > 0.1  # biases, gains and shifts are left alone
    assert np.std(state.critics[0][1]["gain"]) > 0.1
    lengths = np.linalg.norm(state.target[0][1]["w"], axis=0)
    assert (lengths < 1.0).all()  # the target is a mean of unit vectors, and stays one


# ---- each equation alone


def made(generator):
    """A state far from the first one with the optimisers of plain gradient descent, its parts in float64, a minibatch."""
    state = apart(ALGORITHMS["xqc"](**SMALL, temperature=0.3).build(SPEC).init(jax.random.key(0)), generator)
    names = ("actor", "critics", "target", "moments")
    exact = as_float64({name: getattr(state, name) for name in names})
    return state, exact, Transition(*(field[0] for field in minibatches(generator, 1)))


def test_networks_equal_numpy_in_training_and_in_acting(generator):
    state, exact, batch = made(generator)
    assert_close(
        xqc.unit_networks.forward(state.actor, as_float32(batch.observation)),
        network(exact["actor"], batch.observation),
    )
    for kind in (np.asarray, jnp.asarray):
        given = jax.tree.map(kind, as_float32((state.actor, batch.observation, state.moments["actor"])))
        out, used = unit_networks.forward(*given)
        assert_close(out, network(exact["actor"], batch.observation, exact["moments"]["actor"])[0])
        assert used[0] is given[2][0] and isinstance(out, np.ndarray) == (kind is np.asarray)


def test_columns_are_orthogonal_at_first_where_a_layer_is_no_wider_than_its_input():
    layers = unit_networks.init(jax.random.key(0), (6, 4, 3))
    for layer in layers[1:]:
        np.testing.assert_allclose(layer["w"].T @ layer["w"], np.eye(layer["w"].shape[1]), atol=1e-5)
    assert not np.asarray(layers[-1]["b"]).any()


def test_weights_as_long_as_one_likes_give_the_same_features(generator):
    """Why their length can be taken away."""
    layers = unit_networks.init(jax.random.key(0), (3, 5, 2))
    longer = [layers[0], layers[1] | {"w": 100 * layers[1]["w"]}, layers[2]]
    x = np.float32(10 * generator.standard_normal((50, 3)))
    found = [unit_networks.forward(each, x)[0] for each in (layers, longer)]
    np.testing.assert_allclose(*found, atol=5e-3)


def test_log_std_is_clipped():
    layers = [
        {"gain": np.ones(1, np.float32)},
        {"w": np.zeros((1, 4), np.float32), "b": np.float32([0.1, 0.2, 50.0, -50.0])},
    ]
    mean, log_std, _ = xqc.gaussian(layers, np.zeros((1, 1), np.float32))
    np.testing.assert_allclose(mean[0], [0.1, 0.2], rtol=1e-6)
    np.testing.assert_array_equal(log_std[0], [2.0, -10.0])


def test_the_lesser_distribution_is_that_of_the_lesser_mean_row_by_row(generator):
    state, exact, batch = made(generator)
    u_next = generator.uniform(-1, 1, (B, M))
    joint = joined(batch.observation, batch.action, batch.next_observation, u_next)
    wanted, which = lesser(exact["target"], joint)
    assert 0 < sum(which) < B
    found = xqc.lesser_distribution(state.target, as_float32(joint), np.float32(ATOMS))
    assert_close(found, wanted)
    halves = as_float32((batch.observation, batch.action, batch.next_observation, u_next))
    assert_close(xqc.both_halves(*halves), joint)


def test_the_target_is_the_projected_soft_value(generator):
    _, _, batch = made(generator)
    probabilities, log_next = generator.dirichlet(np.ones(9), B), generator.standard_normal(B)
    given = as_float32((batch, probabilities, -0.3 * log_next, ATOMS))
    found, _ = xqc.target_distribution(*given, GAMMA, SCALE)
    assert_close(found, goals(batch, probabilities, log_next, 0.3))


def test_a_deaths_target_is_its_reward_alone():
    """1.25 lies half way between the atoms 1 and 1.5, whatever was expected beyond; -9 lies below all atoms."""
    probabilities, bonus = np.float32([[1, *[0] * 8], [*[0] * 8, 1]]), np.float32([100.0, -100.0])
    none = np.zeros((2, 1), np.float32)
    batch = Transition(none, none, np.float32([1.25, -9.0]), np.zeros(2, np.float32), none)
    found, beyond = xqc.target_distribution(batch, probabilities, bonus, np.float32(ATOMS), 0.9, 1.0)
    np.testing.assert_allclose(found, [[0, 0, 0, 0, 0, 0, 0.5, 0.5, 0], [1, *[0] * 8]], atol=1e-6)
    assert float(beyond) == 0.5


def test_the_critics_step_goes_down_the_cross_entropy_of_the_first_half(generator):
    state, exact, batch = made(generator)
    joint = joined(batch.observation, batch.action, batch.next_observation, generator.uniform(-1, 1, (B, M)))
    goal = generator.dirichlet(np.ones(9), B)
    given = as_float32((joint, goal, ATOMS))
    (error, (used, q_mean)), slope = jax.value_and_grad(xqc.critic_loss, has_aux=True)(state.critics, *given)
    first = special.softmax(network(exact["critics"][0], joint)[0][:B], axis=1) @ ATOMS
    moments = [network(critic, joint)[1] for critic in exact["critics"]]
    assert_close((error, used, q_mean), (cross_entropies(exact["critics"], joint, goal), moments, first.mean()))
    assert_close(slope, gradient(lambda critics: cross_entropies(critics, joint, goal), exact["critics"]), atol=1e-4)
    alone = [network(critic, joint[:B])[1] for critic in exact["critics"]]
    assert not np.allclose(moments[0][0]["mean"], alone[0][0]["mean"], atol=0.01)  # (x', u') counts


def test_the_actors_step_goes_down_equation_9_by_running_moments_of_the_critics(generator):
    state, exact, batch = made(generator)
    key, x = jax.random.key(7), batch.observation
    with jax.debug_key_reuse(False):
        noise = np.float64(jax.random.normal(key, (B, M)))

    def loss(actor):
        u, log_density, _ = sample(actor, x, noise)
        return np.mean(0.3 * log_density - np.minimum(*means(exact["critics"], exact["moments"]["critics"], x, u)))

    given = state.critics, state.moments["critics"], 0.3, as_float32(x), key, np.float32(ATOMS)
    (error, (used, log_density)), slope = jax.value_and_grad(xqc.actor_loss, has_aux=True)(state.actor, *given)
    _, wanted, moments = sample(exact["actor"], x, noise)
    assert_close((error, used, log_density), (loss(exact["actor"]), moments, wanted.mean()))
    assert_close(slope, gradient(loss, exact["actor"]), atol=1e-4)


def test_the_first_step_of_adam_is_projected_too(generator):
    """What `update_critics` leaves is the step, then the projection, in this order."""
    state, _, batch = made(generator)
    config, optimiser = ALGORITHMS["xqc"](**SMALL, discount=GAMMA, reward_scale=SCALE), optax.sgd(0.5)
    state = state._replace(optimisers=(None, optimiser.init(state.critics), None))
    found, _ = xqc.update_critics(config, optimiser, state, as_float32(batch), jax.random.key(1))
    for critic, before in zip(found.critics, state.critics, strict=True):
        for layer, old in zip(critic[1:], before[1:], strict=True):
            np.testing.assert_allclose(np.linalg.norm(layer["w"], axis=0), 1.0, rtol=1e-5)
            assert np.abs(np.asarray(layer["w"]) - np.asarray(old["w"])).max() > 1e-3


# ---- the projection.  Bellemare et al. 2017, equation 7


def test_projection_equals_the_paper_s_loop(generator):
    values, probabilities = 3 * generator.standard_normal((50, 7)), generator.dirichlet(np.ones(7), 50)
    values[0, :3] = ATOMS[[0, 4, 8]]  # hit exactly
    found = categorical.project(*as_float32((values, probabilities, ATOMS)))
    np.testing.assert_allclose(
        found, [projected(v, p, ATOMS) for v, p in zip(values, probabilities, strict=True)], atol=2e-6
    )
    np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-6)


def test_projection_keeps_the_mean_of_what_lies_within(generator):
    atoms = np.linspace(-5, 5, 101)
    values, probabilities = generator.uniform(-5, 5, (50, 101)), generator.dirichlet(np.ones(101), 50)
    found = categorical.project(*as_float32((values, probabilities, atoms)))
    np.testing.assert_allclose(np.float64(found) @ atoms, np.sum(values * probabilities, axis=1), atol=1e-5)


def test_projection_of_plain_lists_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(categorical.project([0.5, 2.0], [0.5, 0.5], [0.0, 1.0, 2.0]), [0.25, 0.25, 0.5])


@pytest.mark.parametrize("number", [2, 3, 101, 1000])
def test_projection_leaves_atoms_where_they_are_and_clips_what_lies_beyond(number):
    atoms = np.float32(np.linspace(-5, 5, number))
    probabilities = np.float32(np.full(number, 1 / number))
    found = categorical.project(atoms, probabilities, atoms)
    np.testing.assert_allclose(found, probabilities, rtol=2e-3)
    for values, end in (([5.0, 5.01, 1e6, np.inf], -1), ([-5.0, -7.0, -1e30, -np.inf], 0)):
        found = np.array(categorical.project(np.float32(values), np.float32([0.1, 0.2, 0.3, 0.4]), atoms))
        assert found[end] == pytest.approx(1.0, abs=1e-6) and np.delete(found, [end]).sum() == pytest.approx(
            0.0, abs=1e-6
        )


def test_mean_and_cross_entropy_by_hand():
    logits = np.log(np.float32([0.2, 0.3, 0.5])) + 7.0
    assert float(categorical.mean(logits, np.float32([-1.0, 0.0, 1.0]))) == pytest.approx(0.3, abs=1e-6)
    found = categorical.cross_entropy(np.float32([0.5, 0.0, 0.5]), logits)
    assert float(found) == pytest.approx(-0.5 * np.log(0.2) - 0.5 * np.log(0.5), abs=1e-6)
    entropy = categorical.cross_entropy(np.float32([0.2, 0.3, 0.5]), logits)
    assert float(entropy) == pytest.approx(stats.entropy([0.2, 0.3, 0.5]), abs=1e-6)
