"""What a Learner promises: nothing is lost, nothing is drawn twice, and wrong use gets one sentence."""

import shutil

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

import reverie as rv
import worlds
from cases import CASES, CONTINUOUS, REPLAYED, those
from compilations import COMPILED
from reverie.environments.env_factory import make_env
from reverie.storage import checkpoint, journal
from reverie.storage.tables import read_rows
from reverie.training import recorded_trainer, run_logger
from reverie.training.saved_policy import SavedPolicy
from worlds import Faulty, Line, Nested, Probe

SMALL, SPEC = REPLAYED, CONTINUOUS
EPISODE = 6  # steps of one of Line's
OBSERVATIONS = np.random.default_rng(7).uniform(-1, 1, (5, 2)).astype(np.float32)

every_algorithm = pytest.mark.parametrize("name", CASES)
every_one_in_one_world = pytest.mark.parametrize("name", those(worlds=1))
every_one_with_noise = pytest.mark.parametrize("name", those(setting="noise_scale"))
every_one_with_replay = pytest.mark.parametrize("name", those(setting="update_after"))
SCHEDULES = [(name, {}) for name in those(worlds=1)]
SCHEDULES += [(name, {"update_after": "episode"}) for name in those(setting="update_after")]
SCHEDULES += [(name, {"recent_share": 0.5, "recent_steps": 7}) for name in those(setting="recent_share")]


@pytest.fixture(autouse=True)
def frequent_metrics(monkeypatch):
    """Write metrics often."""
    monkeypatch.setattr(recorded_trainer, "METRICS_EVERY", 5)


def on_line(name, out=None, env=None, seed=0, **changes):
    return rv.Learner(CASES[name].make(**changes), CASES[name].line if env is None else env, seed=seed, out=out)


def asked(name, out=None, **changes):
    return rv.Learner(CASES[name].make(**changes), spec=CASES[name].spec, out=out)


def state_of(learner):
    """All that decides what comes next."""
    trainer = learner.trainer
    arrays, facts = trainer.snapshot()
    return {
        "arrays": [np.array(leaf) for leaf in jax.tree.leaves(arrays)],
        "facts": facts,
        "replay": (trainer.replay.added, trainer.replay.rows.copy()),
        "returns": list(learner.recent_returns),
    }


def saved_facts(learner):
    """What its checkpoint says now."""
    return checkpoint.read(learner.save() / "checkpoint" / "latest.safetensors")[1]


def weights_of(learner):
    """The matrices that acting reads."""
    leaves = jax.tree.leaves(learner.trainer.policy)
    return [np.array(leaf) for leaf in leaves if np.ndim(leaf) == 2]


def files_of(out):
    """All that was written, aside from times."""
    _, steps, cut = journal.read(out / "experience" / "journal.bin")
    episodes = [{k: v for k, v in row.items() if k != "seconds"} for row in read_rows(out / "episodes.csv")]
    tables = [(out / table).read_bytes() for table in ("metrics.csv", "evaluations.csv")]
    return {
        "journal": {name: steps[name].tolist() for name in steps.dtype.names if name not in ("time", "crc")},
        "cut": cut,
        "episodes": episodes,
        "tables": tables,
    }


def same(one, other):
    np.testing.assert_equal(one, other)


def answer(observation, action):
    """What the program's own machine does."""
    return 0.8 * observation + 0.1 * (action - [1.0, 5.0])


def drive(learner, steps, observation):
    """Be a program that owns the loop: a deterministic world of 5-step episodes; return where it stands."""
    for _ in range(steps):
        step = learner.steps + 1
        action = learner.ask(observation)
        after = answer(observation, action)
        learner.tell(-float(after @ after), after, terminated=step % 10 == 5, truncated=step % 10 == 0)
        observation = OBSERVATIONS[step % 3] if step % 5 == 0 else after
    return observation


# ---- learning and acting


@every_algorithm
def test_learning_moves_what_is_learnt_and_counts(name):
    with on_line(name) as learner:
        before, requirements = weights_of(learner), learner.config.requirements
        assert learner.learn(24) is learner
        ended = 24 // (requirements.worlds * EPISODE) * requirements.worlds
        assert (learner.steps, len(learner.recent_returns)) == (24, ended)
        assert learner.episodes == ended + (0 if ended * EPISODE == 24 else requirements.worlds)
        due = (
            24 // (requirements.rollout * requirements.worlds)
            if requirements.rollout
            else 24 - requirements.warmup_steps
        )
        facts = saved_facts(learner)
        assert (facts["updates"], facts["minibatches"]) == (due, due * requirements.updates_per_step)
        assert all((one != other).any() for one, other in zip(before, weights_of(learner), strict=True))
        assert set(learner.newest_metrics) >= {"loss", "q_mean", "value_mean", "exploration"}


@every_one_in_one_world
def test_nothing_is_compiled_after_the_first_question(name, tmp_path, capsys):
    """Not at the first update, not where metrics are written, not once replay holds all that a diagnosis looks at."""
    with asked(name, tmp_path) as learner:
        drive(learner, 1, OBSERVATIONS[0])
        assert capsys.readouterr().err.count("compiling") == 1
        COMPILED.clear()
        drive(learner, 299, OBSERVATIONS[0])
        assert learner.newest_metrics and not COMPILED
        assert saved_facts(learner)["updates"] > 0
        assert not capsys.readouterr().err
    with rv.Learner.load(tmp_path) as learner:
        learner.compile()
        COMPILED.clear()
        drive(learner, 31, OBSERVATIONS[0])
        assert not COMPILED and "compiling" not in capsys.readouterr().err


@every_algorithm
def test_nothing_is_compiled_after_the_first_step(name):
    seen = []

    def watch(learner, event):
        seen.append((type(event), len(COMPILED)))

    with on_line(name) as learner:
        learner.learn(60, callbacks=[watch])
        learner.learn(12, callbacks=[watch])
    steps = [count for event, count in seen if event is rv.StepEnded]
    begun = learner.config.requirements.worlds  # each world's first step begins its first episode
    assert len(set(steps[begun:])) == 1
    assert [event for event, _ in seen].count(rv.Compiling) == 1 and seen[1][0] is rv.Compiling


@every_algorithm
def test_what_never_runs_is_not_compiled(name):
    seen = []
    with on_line(name) as learner:
        learner.learn(3, callbacks=[lambda _, event: seen.append(type(event))])
        assert rv.Compiling not in seen


@every_algorithm
def test_greedy_prediction_repeats_and_takes_a_batch(name):
    with on_line(name) as learner:
        learner.learn(12)
        single = [learner.predict(observation) for observation in OBSERVATIONS]
        many = learner.predict(OBSERVATIONS)
        actions = getattr(worlds, CASES[name].line.removeprefix("worlds:"))().action_space
        assert actions.contains(single[0]) and many.shape == (5, *actions.shape) and many.dtype == actions.dtype
        np.testing.assert_allclose(many, single, rtol=1e-5)
        greedy = learner.config.build(learner.spec).greedy(learner.trainer.policy, OBSERVATIONS)[:, 0]
        expected = 5 + greedy if CASES[name].spec.actions else 1.0 + 2.0 * greedy  # numbered from 5; of [-1, 3]
        np.testing.assert_allclose(many.ravel(), expected, rtol=1e-5)


@every_algorithm
def test_looking_explores_and_changes_nothing_learnt(name, tmp_path):
    with on_line(name, tmp_path / "a") as plain, on_line(name, tmp_path / "b") as looked_at:
        plain.learn(9).learn(9)
        looked_at.learn(9)
        looks = [looked_at.predict(OBSERVATIONS[0], explore=True) for _ in range(20)]
        assert len(np.unique(looks)) >= (CASES[name].spec.actions or 10)
        looked_at.learn(9)
        same(state_of(plain), state_of(looked_at))
        same(files_of(tmp_path / "a"), files_of(tmp_path / "b"))
        with pytest.raises(rv.ConfigError, match=r"predict\(explore=True\) takes one observation"):
            plain.predict(OBSERVATIONS, explore=True)


@every_one_in_one_world
def test_whole_episodes_are_counted(name):
    with on_line(name) as learner:
        learner.learn(episodes=2)
        assert (learner.steps, learner.episodes) == (2 * EPISODE, 2)
        learner.learn(4).learn(episodes=2)  # the one under way is the first of the two
        assert (learner.steps, learner.episodes) == (4 * EPISODE, 4)


def test_learning_nothing_is_allowed():
    with on_line("naf") as learner:
        assert learner.learn(0).learn(episodes=0).steps == 0


@every_one_with_replay
def test_updates_wait_for_the_end_of_an_episode_where_asked_to(name):
    updates = []

    def note(learner, event):
        if isinstance(event, rv.StepEnded):
            updates.append(learner.trainer.updates)

    with on_line(name, update_after="episode") as learner:
        learner.learn(3 * EPISODE, callbacks=[note])
    # Of the first episode's 6 steps 4 are warm-up.
    assert updates == [0] * 5 + [2] * 6 + [8] * 6 + [14]


@every_one_with_noise
def test_noise_restarts_with_each_episode(name):
    memories = []
    with on_line(name, warmup_steps=EPISODE) as learner:
        trainer = learner.trainer

        def spy(policy, memory, observation, noise, explore=trainer.agent.explore):
            memories.append(np.abs(memory).max())
            return explore(policy, memory, observation, noise)

        trainer.agent = trainer.agent._replace(explore=spy)
        learner.learn(4 * EPISODE)
    assert [memory == 0.0 for memory in memories] == [i % EPISODE == 0 for i in range(3 * EPISODE)]


# ---- what reaches the world and what is written down


@every_one_in_one_world
def test_the_journal_holds_the_action_that_was_executed(name, tmp_path):
    world = CASES[name].picky()
    with on_line(name, tmp_path, world) as learner:
        learner.learn(40)
        actions = journal.read(tmp_path / "experience" / "journal.bin")[1]["action"]
        executed = make_env(world).shape(learner.spec.to_world(actions))
        np.testing.assert_array_equal(executed, np.reshape(world.seen, executed.shape))
        assert len(np.unique(actions)) >= (learner.spec.actions or 10)


@every_one_with_noise
def test_noise_is_clipped_before_it_is_written_down(name, tmp_path):
    """Nested refuses actions out of its bounds [-3, 1] and [0.5, 2.5], of warm-up and of noise alike."""
    world = Nested()
    with on_line(name, tmp_path, world, noise_scale=2.0) as learner:
        learner.learn(40)
        assert learner.spec.observation_dim == 3 + 4 + 1
        assert learner.predict(world.reset(seed=0)[0]).shape == (2, 1)
        actions = journal.read(tmp_path / "experience" / "journal.bin")[1]["action"]
        np.testing.assert_array_equal(learner.spec.to_world(actions), np.reshape(world.seen, (40, 2)))
    assert np.abs(actions).max() == 1.0  # noise was clipped before it was written down
    warmup = actions[: SMALL["warmup_steps"]]
    assert len(np.unique(warmup)) == warmup.size


def test_warm_up_covers_the_bounds_and_noise_does_not_shape_it(tmp_path):
    world = Nested()
    with on_line("naf", tmp_path, world, warmup_steps=400, noise_scale=0.0) as learner:
        learner.learn(400)
    seen = np.reshape(world.seen, (400, 2))
    np.testing.assert_allclose(seen.min(0), [-3.0, 0.5], atol=0.05)
    np.testing.assert_allclose(seen.max(0), [1.0, 2.5], atol=0.05)
    np.testing.assert_allclose(seen.mean(0), [-1.0, 1.5], atol=0.2)


@pytest.mark.parametrize(
    "reward", [np.float64(0.1), np.float16(0.5), 3, np.array([2.0]), np.array(1.5, np.float32), True], ids=repr
)
def test_any_kind_of_number_is_a_reward(reward, tmp_path):
    with on_line("naf", tmp_path, lambda: Probe(reward=lambda *_: reward)) as learner:
        learner.learn(6)
    number = float(np.asarray(reward).item())
    assert journal.read(tmp_path / "experience" / "journal.bin")[1]["reward"].tolist() == [number] * 6
    assert {row["return"] for row in read_rows(tmp_path / "episodes.csv")} == {repr(number)}


def test_a_death_and_a_time_out_are_told_apart(tmp_path):
    with on_line("naf", tmp_path) as learner:
        learner.learn(episodes=8)
        rows, replay = read_rows(tmp_path / "episodes.csv"), learner.trainer.replay
        deaths = [int(row["terminated"]) for row in rows]
        assert 0 < sum(deaths) < 8 and [int(row["truncated"]) for row in rows] == [1 - death for death in deaths]
        assert [int(row["length"]) for row in rows] == [EPISODE] * 8
        alive = replay.rows[: 8 * EPISODE, 2 + 1 + 1].reshape(8, EPISODE)
        assert (alive[:, :-1] == 1).all() and alive[:, -1].tolist() == [1.0 - death for death in deaths]


# ---- repeating and going on


@every_algorithm
def test_a_seed_repeats_a_run_and_another_differs(name, tmp_path):
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        on_line(name, tmp_path / folder, seed=seed).learn(20).close()
    same(files_of(tmp_path / "a"), files_of(tmp_path / "b"))
    latest = [load_file(tmp_path / folder / "checkpoint" / "latest.safetensors") for folder in "abc"]
    same(latest[0], latest[1])
    matrices = [part for part in latest[0] if part.endswith("w")]
    assert matrices and all((latest[0][part] != latest[2][part]).any() for part in matrices)
    for table in ("journal", "episodes", "tables"):
        assert files_of(tmp_path / "a")[table] != files_of(tmp_path / "c")[table]


@every_algorithm
def test_what_was_saved_acts_the_same(name, tmp_path):
    with on_line(name, tmp_path / "run") as learner:
        learner.learn(15)
        before = learner.predict(OBSERVATIONS)
        assert learner.save() == tmp_path / "run"
        assert learner.save(tmp_path / "copy") == tmp_path / "copy"
        with pytest.raises(rv.StorageError, match=r"copy already holds a run"):
            learner.save(tmp_path / "copy")
        state = state_of(learner)
    for folder in ("run", "copy"):
        with rv.Learner.load(tmp_path / folder) as loaded:
            np.testing.assert_array_equal(loaded.predict(OBSERVATIONS), before)
            same(state_of(loaded), state)
        saved = SavedPolicy(tmp_path / "run").greedy(OBSERVATIONS)
        np.testing.assert_array_equal(loaded._units.outside(saved), before)


@pytest.mark.parametrize(("name", "changes"), SCHEDULES)
def test_stopping_at_an_episodes_end_changes_nothing(name, changes, tmp_path):
    with on_line(name, tmp_path / "whole", **changes) as whole:
        whole.learn(6 * EPISODE)
        on_line(name, tmp_path / "parts", **changes).learn(3 * EPISODE).close()
        with rv.Learner.load(tmp_path / "parts") as parts:
            parts.learn(3 * EPISODE)
            same(state_of(whole), state_of(parts))
    same(files_of(tmp_path / "whole"), files_of(tmp_path / "parts"))


@pytest.mark.parametrize(
    ("name", "saved_every", "changes"),
    [(name, 3, {}) for name in those(worlds=1)]
    + [("naf", 1, {}), ("naf", None, {}), ("ppo", None, {}), ("naf", 3, {"update_after": "episode"})],
)
def test_stopping_after_any_step_changes_nothing_for_ask_and_tell(name, saved_every, changes, tmp_path):
    steps, observation = 13, OBSERVATIONS[0]
    with asked(name, tmp_path / "whole", **changes) as whole:
        drive(whole, steps, observation)
        parts = asked(name, tmp_path / "parts", **changes)
        for step in range(1, steps + 1):
            observation = drive(parts, 1, observation)
            if saved_every is not None and step % saved_every == 0:
                parts.save()
            parts.close()
            parts = rv.Learner.load(tmp_path / "parts")
        same(state_of(whole), state_of(parts))
        np.testing.assert_array_equal(whole.ask(observation), parts.ask(observation))
        parts.close()
    same(files_of(tmp_path / "whole"), files_of(tmp_path / "parts"))


@pytest.mark.parametrize("step", [2, 5, 8])  # of warm-up; before an episode's first; within an episode
@every_one_in_one_world
def test_a_question_without_an_answer_was_never_asked(name, step, tmp_path):
    with asked(name, tmp_path / "whole") as whole:
        drive(whole, 13, OBSERVATIONS[0])
        parts = asked(name, tmp_path / "parts")
        observation = drive(parts, step, OBSERVATIONS[0])
        action = parts.ask(observation)
        parts.save()
        parts.close()
        with rv.Learner.load(tmp_path / "parts") as parts:
            np.testing.assert_array_equal(parts.ask(observation), action)
            parts.save()
        with rv.Learner.load(tmp_path / "parts") as parts:
            drive(parts, 13 - step, observation)
            same(state_of(whole), state_of(parts))
    same(files_of(tmp_path / "whole"), files_of(tmp_path / "parts"))


@pytest.mark.parametrize("killed_at", [2, 3 * EPISODE - 1, 3 * EPISODE + 4])  # before a save, and within later episodes
@pytest.mark.parametrize(("name", "changes"), SCHEDULES)
def test_going_back_to_the_last_save_is_never_having_been_killed(name, changes, killed_at, tmp_path, monkeypatch):
    monkeypatch.setattr(run_logger, "CHECKPOINT_SECONDS", (0.0, 0.0))  # which would checkpoint at every step

    def learn(learner, watch=()):
        while learner.episodes < 5:
            learner.learn(episodes=2 if learner.episodes < 4 else 1, callbacks=watch)
            learner.evaluate(1)

    def die(learner, event):
        if type(event).__name__ == "StepEnded" and event.step == killed_at:
            learner._session.records.sync()
            shutil.copytree(tmp_path / "whole", tmp_path / "parts", ignore=shutil.ignore_patterns(".lock"))

    config = CASES[name].make(**changes)
    with rv.Learner(config, CASES[name].line, out=tmp_path / "whole", timed_checkpoints=False) as whole:
        learn(whole, [die])
        with rv.Learner.load(tmp_path / "parts", go_back=True) as parts:
            assert parts.steps == killed_at // (2 * EPISODE) * 2 * EPISODE
            learn(parts)
            same(state_of(whole), state_of(parts))
    same(files_of(tmp_path / "whole"), files_of(tmp_path / "parts"))


@pytest.mark.parametrize("steps", [3, 15, 3 * EPISODE])
@every_algorithm
def test_the_journal_alone_gives_what_the_checkpoint_does(name, steps, tmp_path):
    on_line(name, tmp_path).learn(steps).close()
    written = files_of(tmp_path)
    with rv.Learner.load(tmp_path) as loaded:
        by_checkpoint = state_of(loaded)
    (tmp_path / "checkpoint" / "latest.safetensors").unlink()
    with rv.Learner.load(tmp_path) as loaded:
        same(state_of(loaded), by_checkpoint)
        assert loaded.steps == steps
    same(files_of(tmp_path), written)


def test_worlds_in_turns_go_on_with_new_episodes_where_others_were_cut_off(tmp_path):
    """Step i is world (i - 1) mod 3's.  A stop in the middle costs the open episodes, each of which gets its row."""
    with on_line("ppo of 3", tmp_path) as learner:
        learner.learn(14)
    for remove in (False, True):
        if remove:
            (tmp_path / "checkpoint" / "latest.safetensors").unlink()
        with rv.Learner.load(tmp_path) as learner:
            assert learner.steps == 14 + 26 * remove
            learner.learn(26)
    _, steps, _ = journal.read(tmp_path / "experience" / "journal.bin")
    for world in range(3):
        own = steps[world::3]
        joined = (own["observation"][1:] == own["next_observation"][:-1]).all(axis=1)
        np.testing.assert_array_equal(joined, own["episode"][1:] == own["episode"][:-1])
    rows = [[int(row[k]) for k in ("step", "episode", "length")] for row in read_rows(tmp_path / "episodes.csv")]
    ends = [bool(int(row["terminated"]) + int(row["truncated"])) for row in read_rows(tmp_path / "episodes.csv")]
    # 5 steps of worlds 0 and 1 and 4 of world 2, whose turn comes first when learning goes on.
    assert rows[:3] == [[12, 3, 4], [13, 1, 5], [14, 2, 5]] and ends[:3] == [False] * 3
    assert [row[2] for row, whole in zip(rows, ends, strict=True) if whole] == [EPISODE] * sum(ends)
    assert sum(ends) == 6 and sum(row[2] for row in rows) + len(open_steps(steps)) == len(steps) == 66
    assert len({row[1] for row in rows}) == len(rows)


def open_steps(steps):
    """The steps of each world's episode that is still under way."""
    last = {steps[world::3]["episode"][-1] for world in range(3)}
    over = {episode for episode in last if steps["flags"][steps["episode"] == episode].any()}
    return steps[np.isin(steps["episode"], list(last - over))]


@pytest.mark.parametrize("at", [16, 21])  # within an episode; its first step
def test_an_error_of_the_world_leaves_a_run_that_goes_on(at, tmp_path):
    learner = on_line("naf", tmp_path / "run", lambda: Faulty("raise", at=at))
    with pytest.raises(rv.WorldError, match=rf"raised in step {at}: OSError: the robot's arm fell off$"):
        learner.learn(100)
    assert learner.steps == at - 1
    learner.save(tmp_path / "saved")
    learner.save(tmp_path / "journal")
    (tmp_path / "journal" / "checkpoint" / "latest.safetensors").unlink()
    learner.learn(14)  # the robot is mended: what would have come is all that counts
    live = state_of(learner)
    learner.close()
    for folder in ("saved", "journal"):
        with rv.Learner.load(tmp_path / folder, Faulty) as loaded:
            assert loaded.steps == at - 1
            loaded.learn(14)
            same(state_of(loaded), live)
        same(files_of(tmp_path / folder), files_of(tmp_path / "run"))


def test_an_episode_cut_off_has_its_row_after_errors_too(tmp_path):
    """The world fails within its second episode, then in the reset after it; the program dies and is started again."""
    world = Faulty("raise", at=16)
    learner = on_line("naf", tmp_path, world)
    with pytest.raises(rv.WorldError, match="raised in step 16"):
        learner.learn(100)
    world.reset = None
    with pytest.raises(rv.WorldError, match="raised in reset: TypeError"):
        learner.learn(100)
    learner.close()
    with rv.Learner.load(tmp_path, Faulty) as loaded:
        loaded.learn(episodes=1)
        assert list(loaded.recent_returns) == [5.0, 2.5, 5.0]
        rows = [
            [int(row[k]) for k in ("step", "episode", "length", "truncated")]
            for row in read_rows(tmp_path / "episodes.csv")
        ]
    assert rows == [[10, 1, 10, 1], [15, 2, 5, 0], [25, 3, 10, 1]]


def test_replay_is_built_again_where_it_holds_less_than_the_journal(tmp_path):
    with on_line("naf", tmp_path, replay_capacity=7) as learner:
        learner.learn(3 * EPISODE)
        added, rows = learner.trainer.replay.added, learner.trainer.replay.rows.copy()
        assert rows.shape[0] == 7 and added == 3 * EPISODE
    for remove in (False, True):
        if remove:
            (tmp_path / "checkpoint" / "latest.safetensors").unlink()
        with rv.Learner.load(tmp_path) as loaded:
            assert loaded.trainer.replay.added == added
            np.testing.assert_array_equal(loaded.trainer.replay.rows, rows)


def test_a_checkpoint_does_not_grow_with_experience(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded_trainer, "METRICS_EVERY", 1000)
    latest, sizes = tmp_path / "checkpoint" / "latest.safetensors", []
    with on_line("naf", tmp_path) as learner:
        for _ in range(3):
            learner.learn(60)
            sizes.append(latest.stat().st_size)
    assert max(sizes) - min(sizes) < 256  # the counts' digits
    assert max(sizes) < 16_384


def test_one_run_has_one_owner_and_one_beginning(tmp_path):
    with on_line("naf", tmp_path):
        with pytest.raises(rv.StorageError, match="already holds a run; continue it with"):
            on_line("naf", tmp_path)
        with pytest.raises(rv.StorageError, match="is in use by another process"):
            rv.Learner.load(tmp_path)
    rv.Learner.load(tmp_path).close()


def test_what_diverged_never_replaces_a_good_checkpoint(tmp_path):
    with on_line("naf", tmp_path, reward_scale=1e30) as learner:
        learner.learn(SMALL["warmup_steps"])
        good = (tmp_path / "checkpoint" / "latest.safetensors").read_bytes()
        with pytest.raises(rv.DivergedError, match=r"learning diverged: .* is not finite after step \d+; lower"):
            learner.learn(100)
        for use in (lambda: learner.learn(100), learner.save):
            with pytest.raises(rv.DivergedError, match=r"learning diverged: .* is not finite after step \d+; lower"):
                use()
    assert (tmp_path / "checkpoint" / "latest.safetensors").read_bytes() == good


# ---- callbacks


def test_stops_at_a_return():
    with on_line("naf", env=Probe) as learner:
        learner.learn(50, callbacks=[rv.StopAtReturn(1.0, episodes=3)])
        assert learner.steps == 3
        learner.learn(5, callbacks=[rv.StopAtReturn(1.01, episodes=3)])
        assert learner.steps == 8


def test_evaluates_every_so_many_steps_and_goes_on_so(tmp_path):
    with on_line("naf", tmp_path) as learner:
        learner.learn(35, callbacks=[rv.Evaluate(10, episodes=2)])
    with rv.Learner.load(tmp_path) as loaded:
        loaded.learn(10, callbacks=[rv.Evaluate(10, episodes=2)])
    rows = read_rows(tmp_path / "evaluations.csv")
    assert [(int(row["step"]), int(row["episode"])) for row in rows] == [(10, 2), (20, 4), (30, 5), (40, 7)]
    for row in rows:
        returns = [float(value) for value in row["returns"].split()]
        assert len(returns) == 2 and float(row["return_mean"]) == pytest.approx(np.mean(returns))
        assert float(row["return_std"]) == pytest.approx(np.std(returns, ddof=1))


def test_evaluating_changes_nothing_learnt_and_starts_alike():
    with on_line("naf") as plain, on_line("naf") as evaluated:
        plain.learn(20)
        evaluated.learn(20, callbacks=[rv.Evaluate(7, episodes=1)])
        same(state_of(plain), state_of(evaluated))
        assert evaluated.evaluate(3) == plain.evaluate(3) == plain.evaluate(3)


def test_keeps_the_best_policy_as_it_was(tmp_path):
    best = {}

    def note(learner, event):
        if isinstance(event, rv.Evaluated) and event.best:
            best.update(step=event.row["step"], mean=event.row["return_mean"], actions=learner.predict(OBSERVATIONS))

    with on_line("naf", tmp_path) as learner:
        learner.learn(60, callbacks=[rv.Evaluate(5, episodes=2), rv.SaveBest(), note])
        means = [float(row["return_mean"]) for row in read_rows(tmp_path / "evaluations.csv")]
        assert best["mean"] == max(means) == learner.best_return and best["step"] == 5 * (1 + int(np.argmax(means)))
        learner.learn(10)
        assert np.abs(learner.predict(OBSERVATIONS) - best["actions"]).max() > 0  # the policy has moved on
    kept = SavedPolicy(tmp_path, best=True)
    assert kept.step == best["step"]
    np.testing.assert_array_equal(1.0 + 2.0 * kept.greedy(OBSERVATIONS), best["actions"])


def test_events_come_in_order_and_true_stops():
    events = []

    def watch(learner, event):
        events.append(event)
        return isinstance(event, rv.StepEnded) and event.step == 7

    with on_line("naf") as learner:
        learner.learn(50, callbacks=[watch])
        assert learner.steps == 7
    assert [type(event).__name__ for event in events] == (
        ["Began", "Compiling"] + ["StepEnded"] * 6 + ["EpisodeEnded", "StepEnded", "Ended"]
    )
    assert events[0] == rv.Began(0, 50) and events[-1] == rv.Ended(7)
    assert {"step": 6, "episode": 1, "length": 6}.items() <= events[8].row.items()


def test_a_callback_stops_learning_only_by_returning_true():
    with on_line("naf") as learner:
        assert learner.learn(5, callbacks=[lambda learner, event: "go on"]).steps == 5


@pytest.mark.parametrize("kind, steps", [("StepEnded", 8), ("EpisodeEnded", EPISODE)])
def test_a_callback_that_raises_leaves_a_whole_run(kind, steps, tmp_path):
    seen = []

    def fall(learner, event):
        seen.append(type(event).__name__)
        if seen[-1] == kind and learner.steps == steps:
            raise RuntimeError("my plot broke")

    with on_line("naf", tmp_path) as learner:
        with pytest.raises(RuntimeError, match="my plot broke"):
            learner.learn(50, callbacks=[fall])
        assert seen[-1] == "Ended"
        state = state_of(learner)
    for remove in (False, True):
        if remove:
            (tmp_path / "checkpoint" / "latest.safetensors").unlink()
        with rv.Learner.load(tmp_path) as loaded:
            assert loaded.steps == steps
            same(state_of(loaded), state)


def test_tensorboard_gets_the_tables_numbers(tmp_path):
    pytest.importorskip("tensorboardX")
    with rv.Learner(rv.NAF(**SMALL), "worlds:Line", out=tmp_path, tensorboard=True) as learner:
        learner.learn(20)
        learner.evaluate(1)
    written = b"".join(file.read_bytes() for file in (tmp_path / "tensorboard").iterdir())
    for tag in (b"episode/return", b"metrics/loss", b"evaluation/return_mean"):
        assert tag in written


# ---- wrong use gets one sentence


def says(error, text, call, *args, **options):
    with pytest.raises(error) as caught:
        call(*args, **options)
    assert text in str(caught.value) and "\n" not in str(caught.value)


class Reusing(Line):
    """A world whose observations are all one array, written anew at each step."""

    def __init__(self):
        super().__init__()
        self.own = np.zeros(self.observation_space.shape, np.float32)

    def reset(self, **options):
        self.own[:], facts = super().reset(**options)
        return self.own, facts

    def step(self, action):
        self.own[:], *outcome = super().step(action)
        return self.own, *outcome


def test_a_world_may_write_its_observations_into_one_array(tmp_path):
    on_line("naf", tmp_path / "reusing", Reusing).learn(3 * EPISODE).close()
    on_line("naf", tmp_path / "plain").learn(3 * EPISODE).close()
    _, steps, _ = journal.read(tmp_path / "reusing" / "experience" / "journal.bin")
    assert not (steps["observation"] == steps["next_observation"]).all(axis=1).any()
    _, others, _ = journal.read(tmp_path / "plain" / "experience" / "journal.bin")
    for name in ("observation", "next_observation", "action"):
        np.testing.assert_array_equal(steps[name], others[name])


def test_a_program_may_write_its_observations_into_one_array(tmp_path):
    own = np.zeros(2, np.float32)
    with asked("naf", tmp_path) as learner:
        for step in range(4):
            own[:] = step
            learner.ask(own)
            own[:] = step + 1
            learner.tell(0.0, own, False)
            own[:] = -7
    _, steps, _ = journal.read(tmp_path / "experience" / "journal.bin")
    assert steps["observation"][:, 0].tolist() == [0, 1, 2, 3] and steps["next_observation"][:, 0].tolist() == [
        1,
        2,
        3,
        4,
    ]


def test_ask_and_tell_take_turns():
    with asked("naf") as learner:
        says(rv.ConfigError, "tell() was called without ask(); call ask() first", learner.tell, 0, [0, 0], False)
        learner.ask([0, 0])
        says(
            rv.ConfigError,
            "ask() was called twice; call tell() with the result of the last action first",
            learner.ask,
            [0, 0],
        )
        learner.tell(0, [0, 0], False)
        assert learner.steps == 1


@pytest.mark.parametrize(
    "reward, observation, error, text",
    [
        (float("nan"), [0, 0], rv.WorldError, "line7: the reward of step 1 is nan; rewards must be finite"),
        (float("-inf"), [0, 0], rv.WorldError, "line7: the reward of step 1 is -inf"),
        (None, [0, 0], rv.WorldError, "line7: the reward of step 1 is None; it must be one number"),
        ([1, 2], [0, 0], rv.WorldError, "line7: the reward of step 1 is [1, 2]; it must be one number"),
        (0.0, [0, np.inf], rv.WorldError, "line7: the observation holds inf at index 1; observations must be finite"),
        (0.0, [0, 0, 0], rv.ConfigError, "line7: the observation has shape (3,); give one of shape (2,)"),
        (0.0, [[0, 0], [0, 0]], rv.ConfigError, "line7: the observation has shape (2, 2); give one, not a batch"),
    ],
)
def test_what_was_told_wrong_may_be_told_again(reward, observation, error, text, tmp_path):
    with asked("naf", tmp_path / "right") as right, asked("naf", tmp_path / "again") as again:
        for learner in (right, again):
            learner.ask(OBSERVATIONS[0])
        says(error, text, again.tell, reward, observation, False)
        assert again.steps == 0
        for learner in (right, again):
            learner.tell(1.0, OBSERVATIONS[1], False)
            drive(learner, 8, OBSERVATIONS[1])
        same(state_of(right), state_of(again))
    same(files_of(tmp_path / "right"), files_of(tmp_path / "again"))


@pytest.mark.parametrize(
    "observation, error, text",
    [
        ([0, 0, 0], rv.ConfigError, "line7: the observation has shape (3,); give one of shape (2,)"),
        (0.0, rv.ConfigError, "line7: the observation has shape (); give one of shape (2,)"),
        ([[0, 0]], rv.ConfigError, "give one, not a batch"),
        ([np.nan, 0], rv.WorldError, "line7: the observation holds nan at index 0"),
    ],
)
def test_a_wrong_question_may_be_asked_again(observation, error, text):
    with asked("naf") as right, asked("naf") as again:
        says(error, text, again.ask, observation)
        np.testing.assert_array_equal(right.ask([0, 0]), again.ask([0, 0]))


def test_a_loop_needs_an_owner():
    with asked("naf") as learner:
        says(rv.ConfigError, "learn() needs env=; with spec= your own program calls ask() and tell()", learner.learn, 5)
        says(rv.ConfigError, "evaluate() needs an environment of its own: give evaluation_env=", learner.evaluate)
    says(rv.ConfigError, "give either env= (an environment) or spec=", rv.Learner, rv.NAF())
    says(rv.ConfigError, "give either env= (an environment) or spec=", rv.Learner, rv.NAF(), Line(), spec=SPEC)
    says(rv.ConfigError, "give an algorithm's settings, such as rv.NAF()", rv.Learner, rv.NAF, Line())
    says(rv.ConfigError, "seed is -1; give a whole number", rv.Learner, rv.NAF(), Line(), seed=-1)


def test_an_environment_itself_is_not_evaluated_on():
    with on_line("naf", env=Line()) as learner:
        says(rv.ConfigError, "evaluate() needs an environment of its own", learner.evaluate)
    with rv.Learner(rv.NAF(**SMALL), Line(), evaluation_env=Line) as learner:
        assert learner.evaluate(2)["episodes"] == 2


@pytest.mark.parametrize("options", [{}, {"steps": 1, "episodes": 1}])
def test_learning_takes_one_amount(options):
    with on_line("naf") as learner:
        says(rv.ConfigError, "learn() takes either a number of steps or episodes=", learner.learn, **options)
        for amount in (-1, 2.5, True):
            says(rv.ConfigError, f"is {amount}; give a whole number", learner.learn, amount)


def test_without_tensorboards_package_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(rv.ConfigError, match=r"pip install 'reverie\[tensorboard\]'"):
        rv.Learner(rv.NAF(**SMALL), "worlds:Line", out=tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


# ---- interrupts and disks in the middle of things


class Once:
    """A function that raises when it is called first, before or after doing its work, and not again."""

    def __init__(self, function, error, after=False):
        self.function, self.error, self.after, self.raised = function, error, after, False

    def __call__(self, *args, **named):
        first, self.raised = not self.raised, True
        if first and not self.after:
            raise self.error
        found = self.function(*args, **named)
        if first:
            raise self.error
        return found


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()], ids=["disk", "ctrl-c"])
@pytest.mark.parametrize("step", [4, 8])
def test_a_step_that_did_not_reach_the_disk_may_be_told_again(step, error, tmp_path, monkeypatch):
    with asked("naf", tmp_path / "whole") as whole:
        drive(whole, 13, OBSERVATIONS[0])
        with asked("naf", tmp_path / "parts") as parts:
            observation = drive(parts, step, OBSERVATIONS[0])
            action = parts.ask(observation)
            after = answer(observation, action)
            with monkeypatch.context() as patch:
                patch.setattr(journal.os, "fsync", Once(journal.os.fsync, error))
                with pytest.raises((rv.StorageError, KeyboardInterrupt)):
                    parts.tell(-float(after @ after), after, step == 4)
            assert parts.steps == step
            parts.tell(-float(after @ after), after, step == 4)
            observation = OBSERVATIONS[(step + 1) % 3] if (step + 1) % 5 == 0 else after
            drive(parts, 12 - step, observation)
            same(state_of(whole), state_of(parts))
        with rv.Learner.load(tmp_path / "parts") as parts:
            same(state_of(whole), state_of(parts))
    same(files_of(tmp_path / "whole"), files_of(tmp_path / "parts"))


@pytest.mark.parametrize("step", [8, 10])  # within an episode; before an episode's first
def test_an_interrupted_question_was_never_asked(step, tmp_path, monkeypatch):
    with asked("naf", tmp_path / "whole") as whole:
        drive(whole, 13, OBSERVATIONS[0])
        with asked("naf", tmp_path / "parts") as parts:
            observation = drive(parts, step, OBSERVATIONS[0])
            trainer = parts.trainer
            with monkeypatch.context() as patch:
                patch.setattr(trainer, "act", Once(trainer.act, KeyboardInterrupt(), after=True))
                with pytest.raises(KeyboardInterrupt):
                    parts.ask(observation)
            parts.save()
        with rv.Learner.load(tmp_path / "parts") as parts:
            drive(parts, 13 - step, observation)
            same(state_of(whole), state_of(parts))
    same(files_of(tmp_path / "whole"), files_of(tmp_path / "parts"))


def test_saving_after_an_interrupt_amid_an_update_keeps_what_the_journal_gives(tmp_path, monkeypatch):
    with asked("naf", tmp_path / "whole") as whole:
        drive(whole, 13, OBSERVATIONS[0])
        with asked("naf", tmp_path / "parts") as parts:
            observation = drive(parts, 8, OBSERVATIONS[0])
            action = parts.ask(observation)
            after = answer(observation, action)
            trainer = parts.trainer
            with monkeypatch.context() as patch:
                patch.setattr(trainer, "run_update", Once(trainer.run_update, KeyboardInterrupt()))
                with pytest.raises(KeyboardInterrupt):
                    parts.tell(-float(after @ after), after, False)
            says(rv.StorageError, "continue with Learner.load", parts.ask, after)
            parts.save()
        with rv.Learner.load(tmp_path / "parts") as parts:
            assert parts.steps == 9
            drive(parts, 4, after)
            same(state_of(whole), state_of(parts))


def test_an_interrupt_before_a_step_is_written_costs_none_of_those_before(tmp_path, monkeypatch):
    with asked("naf", tmp_path) as learner:
        observation = drive(learner, 8, OBSERVATIONS[0])
        after = answer(observation, learner.ask(observation))
        with monkeypatch.context() as patch:
            patch.setattr(journal.Journal, "append", Once(journal.Journal.append, KeyboardInterrupt()))
            with pytest.raises(KeyboardInterrupt):
                learner.tell(-float(after @ after), after, False)
        assert len(journal.read(tmp_path / "experience" / "journal.bin")[1]) == 8
        learner.tell(-float(after @ after), after, False)
    with rv.Learner.load(tmp_path) as learner:
        assert learner.steps == 9


def test_a_checkpoint_is_never_ahead_of_the_journal_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(run_logger, "CHECKPOINT_SECONDS", (0.0, 0.0))  # a checkpoint at every step
    monkeypatch.setattr(run_logger, "SYNC_SECONDS", 1e9)
    done = []
    sync, save = journal.Journal.sync, run_logger.checkpoint.save
    monkeypatch.setattr(journal.Journal, "sync", lambda self: (done.append("sync"), sync(self)))
    monkeypatch.setattr(run_logger.checkpoint, "save", lambda *args: (done.append("save"), save(*args)))
    on_line("naf", tmp_path).learn(5).close()
    assert done.count("save") >= 5
    assert all(done[i - 1] == "sync" for i, name in enumerate(done) if name == "save")


def test_a_run_that_another_process_began_meanwhile_is_left_alone(tmp_path):
    def slow():
        if not (tmp_path / "config.json").exists():
            on_line("naf", tmp_path).learn(6).close()
        return Line()

    says(rv.StorageError, "already holds a run", rv.Learner, CASES["naf"].make(), env=slow, out=tmp_path, seed=3)
    before = files_of(tmp_path)
    with rv.Learner.load(tmp_path, env=Line) as learner:
        assert (learner.steps, learner.seed) == (6, 0)
    same(files_of(tmp_path), before)


def test_another_runs_checkpoint_is_named(tmp_path):
    for name, seed in (("0", 0), ("of another seed", 1), ("of the same seed", 0)):
        on_line("naf", tmp_path / name, seed=seed).learn(12).close()
    latest = "checkpoint/latest.safetensors"
    for name, sentence in (
        ("of another seed", "was changed since its checkpoint was learnt: seed is 0 and was 1"),
        ("of the same seed", "belongs to another run than"),
    ):
        shutil.copy(tmp_path / name / latest, tmp_path / "0" / latest)
        says(rv.StorageError, sentence, rv.Learner.load, tmp_path / "0")
    (tmp_path / "0" / latest).unlink()
    with rv.Learner.load(tmp_path / "0") as learner:
        assert learner.steps == 12


def test_an_action_that_is_no_number_never_leaves(tmp_path):
    with asked("naf", tmp_path) as learner:
        observation = drive(learner, 8, OBSERVATIONS[0])
        learner.trainer.policy = jax.tree.map(lambda part: part + np.nan, learner.trainer.policy)
        for act in (learner.ask, learner.predict):
            says(rv.DivergedError, "is not finite", act, observation)
        assert learner.steps == 8
