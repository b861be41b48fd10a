"""Pictures: the learning curve of a run, and MuJoCo scenes without OpenGL."""

import gymnasium as gym
import numpy as np
import pytest

from reverie.report.curve import draw_curve
from reverie.storage import episodes
from reverie.storage.tables import Table
from reverie.training import evaluation


@pytest.fixture
def run_directory(tmp_path):
    ended = {"terminated": 0, "truncated": 1, "seconds": 0.5}
    table = Table(tmp_path / "episodes.csv", episodes.COLUMNS)
    for i in range(1, 11):
        table.append({"step": 20 * i, "episode": i, "return": -100.0 / i, "length": 20, **ended})
    Table(tmp_path / "evaluations.csv", evaluation.COLUMNS)
    return tmp_path


def picture(path):
    image = pytest.importorskip("PIL.Image")
    with image.open(path) as opened:
        assert opened.format == "PNG"
        return np.asarray(opened.convert("RGB")).astype(int)


def test_a_curve_is_a_picture_and_shows_evaluations(run_directory):
    pytest.importorskip("matplotlib")
    bare = picture(draw_curve(run_directory, run_directory / "bare.png", "naf Pendulum-v1"))
    table = Table(run_directory / "evaluations.csv", evaluation.COLUMNS)
    for step, mean in ((100, -50.0), (200, -20.0)):
        table.append(
            {"step": step, "episode": step // 20, "return_mean": mean, "return_std": 5.0, "returns": repr(mean)}
        )
    full = picture(draw_curve(run_directory, run_directory / "full.png", "naf Pendulum-v1"))
    assert bare.shape == full.shape == (480, 840, 3)

    def green(image):
        return (np.abs(image - [0x0B, 0x6E, 0x4F]).sum(-1) < 30).sum()

    assert green(bare) == 0 and green(full) > 200


@pytest.fixture
def pendulum():
    pytest.importorskip("mujoco")
    pytest.importorskip("PIL")
    env = gym.make("InvertedPendulum-v5")
    env.reset(seed=0)
    yield env.unwrapped
    env.close()


def test_a_sketch_follows_the_arm(pendulum):
    from reverie.report.stick_figure import SIZE, SKY, StickFigure

    sketch = StickFigure(pendulum.model, pendulum.data, {"distance": 3.0, "elevation": -10.0})
    pictures = []
    for angle in (0.0, 0.0, 0.8, -0.8):
        pendulum.set_state(np.array([0.0, angle]), np.zeros(2))
        pictures.append(sketch.render())
    still, again, right, left = pictures
    assert still.shape == (SIZE, SIZE, 3) and still.dtype == np.uint8
    assert (still == SKY).all(-1).any() and len(np.unique(still.reshape(-1, 3), axis=0)) > 2
    np.testing.assert_array_equal(still, again)
    assert (still != right).any() and (right != left).any()

    def above(image):  # where the pole stands out against what does not move
        return np.argwhere((image != still).any(-1))[:, 1].mean()

    assert above(right) != pytest.approx(above(left), abs=20)  # leaning to either side of the picture
