"""Films of worlds that do not render: their traces, with a line that says what to add."""

import gymnasium as gym
import numpy as np
import pytest

from reverie.environments.env_factory import make_env
from reverie.report import film
from worlds import Line

pytest.importorskip("PIL")
pytest.importorskip("imageio")


class Drawn(Line):
    """Says that it can draw."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012


def no_argument():
    """Take no render_mode, though the world could draw."""
    return Drawn()


def registered_without():
    return Line()


class Still(gym.Wrapper):
    """No metadata at all."""

    metadata = None


@pytest.mark.parametrize("source", [no_argument, registered_without, lambda: Still(Line())])
def test_a_world_that_does_not_render_is_shown_by_its_traces(source, tmp_path):
    seen = []
    greedy = lambda observation: seen.append(observation) or np.zeros(1, np.float32)  # noqa: E731
    filmed = film.record(greedy, lambda **more: make_env(source, **more), tmp_path / "f.gif", 0, 20.0)
    assert filmed.traced and not filmed.sketched
    image = pytest.importorskip("PIL.Image")
    with image.open(tmp_path / "f.gif") as opened:
        frames = []
        for i in range(opened.n_frames):
            opened.seek(i)
            frames.append(np.asarray(opened.convert("RGB")).astype(int))
    assert len(frames) == filmed.played.length == len(seen)
    assert (frames[0] != frames[-1]).any() and "rgb_array" in film.TRACED
    coloured = [(np.ptp(frame, axis=2) > 60).sum() for frame in frames]
    assert coloured[-1] > coloured[0] > 0  # curves grow


def test_traces_tell_components_apart_by_colour():
    from reverie.report.traces import Traces

    class World:
        def step(self, action, number):
            return float(number), None, False, False

    world, traced = World(), None
    traced = Traces(lambda observation: np.array([0.5, -0.5]), world)
    for number in range(5):
        world.step(traced.greedy(np.arange(20) + number), number)
    frames = traced.frames(3)
    assert len(frames) == 3 and frames[0].shape == (480, 640, 3)
    assert len(np.unique(frames[-1].reshape(-1, 3), axis=0)) > 8
