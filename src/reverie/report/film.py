"""Films of a policy."""

import importlib.util
import io
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, ReverieError, WorldError
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.limiter import Limiter
from reverie.domains.headless import choose_mujoco_backend
from reverie.environments.env_adapter import EnvAdapter
from reverie.storage.files import io_errors, read_regular
from reverie.storage.output_file import output_at, require_ending
from reverie.training.evaluation import EpisodeResult, limit_for, play
from reverie.training.memory_needs import Need, require_room

SKETCHED = "no OpenGL found, so this is a line drawing; for real pictures: apt-get install libegl1 (or libosmesa6)"


TRACED = (
    "this environment does not render, so these are its traces; for pictures: give it metadata['render_modes'] with "
    "'rgb_array', and take render_mode= where it is made"
)


class Filmed(NamedTuple):
    """A filmed episode, whether the film is a line drawing, and whether it shows traces."""

    played: EpisodeResult
    sketched: bool
    traced: bool


def record(
    greedy: Callable[[np.ndarray], np.ndarray],
    make: Callable[..., EnvAdapter],
    output: Path,
    seed: int,
    seconds: float,
    limit: Callable[[EnvAdapter], int] = limit_for,
    limiter: Callable[[EnvSpec], Limiter] = Limiter,
) -> Filmed:
    """Film one greedy episode with the same start as evaluation episode 0.  An interrupt leaves no partial film.

    greedy: observation [n] -> action [m] in [-1, 1].  make: (**options) -> EnvAdapter.
    output: .mp4 or .gif.  seconds: longest film.  limit: (environment) -> steps after which an episode is cut.
    limiter: (its description) -> what holds actions within the limits of the machine.
    Raises ConfigError for another file type, or where a package is missing.
    """
    refuse_what_cannot_be_written(output)
    env, draw, sketched = _drawable(make)
    traces = None
    if draw is None:
        from reverie.report.traces import Traces

        traces = Traces(greedy, env)
    frames: list[Any] = []
    per_second = float((env.env.metadata or {}).get("render_fps") or 30)
    steps = limit(env)
    most = min(seconds * per_second, steps)
    try:
        played = play(
            greedy if traces is None else traces.greedy,
            env,
            seed,
            0,
            lambda step: _take(frames, draw, most) if draw is not None and step - 1 < most else None,
            steps,
            limiter(env.spec),
        )
    finally:
        env.close()
    if traces is not None:
        frames = traces.frames(int(most))
    write_film(frames, output, per_second)
    return Filmed(played, sketched, traces is not None)


def _take(frames: list[Any], draw: Callable[[], np.ndarray], most: float) -> None:
    """Add a picture.  Raises ConfigError where the film, which is kept in memory, would not fit."""
    frames.append(picture := draw())
    if len(frames) == 1:
        require_room([Need("frames", most, most * picture.nbytes, "pictures")], f"{picture.shape} pixels")


def _drawable(make: Callable[..., EnvAdapter]) -> tuple[EnvAdapter, Callable[[], np.ndarray] | None, bool]:
    """Return an environment, a function that draws it, and whether that is a sketch (MuJoCo without OpenGL).

    The function is None where the environment does not render.
    """
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame then draws into an array without a screen
    env = make()
    model = getattr(env.env.unwrapped, "model", None)
    if type(model).__name__ == "MjModel" and not choose_mujoco_backend():
        from reverie.report.stick_figure import StickFigure

        inner: Any = env.env.unwrapped
        return env, StickFigure(model, inner.data, _camera(inner)).render, True
    if "rgb_array" not in (env.env.metadata or {}).get("render_modes", ()):
        return env, None, False
    env.close()
    try:
        env = make(render_mode="rgb_array")
    except ReverieError as error:
        if not isinstance(error.__cause__, TypeError):
            raise
        return make(), None, False  # the environment's maker takes no render_mode
    renderer = getattr(env.env.unwrapped, "mujoco_renderer", None)
    if renderer is not None:
        renderer.default_cam_config = _camera(env.env.unwrapped)
    return env, env.render, False


def _camera(inner: Any) -> dict[str, Any]:
    """Return the camera of a Gymnasium MuJoCo task, or a camera close enough to show what moves."""
    config = getattr(getattr(inner, "mujoco_renderer", None), "default_cam_config", None)
    if config is not None:
        return config
    for i in range(inner.model.ncam):
        if inner.model.camera(i).name == "view":
            return _as_free(inner.model.cam_pos[i], inner.model.cam_mat0[i].reshape(3, 3))
    inner.reset(seed=0)  # positions are not set before the first reset
    moving = inner.data.geom_xpos[inner.model.body_weldid[inner.model.geom_bodyid] > 0]
    if not len(moving):
        return {}
    centre = np.median(moving, axis=0)
    reach = float(np.linalg.norm(moving - centre, axis=1).max())
    return {"lookat": centre, "distance": 3.5 * reach + 1.0, "elevation": -15.0}


def _as_free(place: np.ndarray, axes: np.ndarray) -> dict[str, Any]:
    """Return a fixed camera at `place`, looking along the negative of its third axis, as a free camera."""
    distance, forward = float(np.linalg.norm(place)), -axes[:, 2]
    straight_down = np.hypot(forward[0], forward[1]) < 1e-6
    return {
        "lookat": place + distance * forward,
        "distance": distance,
        "azimuth": 90.0 if straight_down else float(np.degrees(np.arctan2(forward[1], forward[0]))),
        "elevation": float(np.degrees(np.arcsin(np.clip(forward[2], -1.0, 1.0)))),
    }


def refuse_what_cannot_be_written(output: Path) -> None:
    """Raise ConfigError for a wrong kind of film or a missing package, StorageError where it cannot be written."""
    require_ending(output, (".mp4", ".gif"), "films are")
    output_at(output)
    needed = {".mp4": "imageio_ffmpeg", ".gif": "PIL"}[output.suffix.lower()]
    if importlib.util.find_spec("imageio") is None or importlib.util.find_spec(needed) is None:
        raise ConfigError("films need packages: pip install 'reverie[video]'")


def write_film(frames: list[Any], output: Path, per_second: float) -> None:
    """Write pictures [h, w, 3] as .mp4 (H.264) or a looping .gif, completely or not at all."""
    if not frames or frames[0].ndim != 3:
        raise WorldError("the environment's render() gives no pictures; it needs render_mode 'rgb_array'")
    with warnings.catch_warnings():
        # JAX warns of forks, but ffmpeg's child process calls exec at once.
        warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
        data = _gif(frames, per_second) if output.suffix.lower() == ".gif" else _mp4(frames, per_second)
    output_at(output).write(data)


def _gif(frames: list[Any], per_second: float) -> bytes:
    import imageio.v2 as imageio

    every = max(1, round(per_second / 25))  # players limit frames to 40 ms or longer
    out = io.BytesIO()
    with imageio.get_writer(out, format="GIF", duration=1000 * every / per_second, loop=0) as writer:  # type: ignore[arg-type]
        _append(writer, frames[::every])
    return out.getvalue()


def _mp4(frames: list[Any], per_second: float) -> bytes:
    """Return the film's bytes.  ffmpeg needs a named file that it can seek in, so it gets a temporary folder."""
    import imageio.v2 as imageio

    with tempfile.TemporaryDirectory(prefix="reverie-") as folder:
        film = Path(folder) / "film.mp4"
        with io_errors("write", film, "make room there, or set TMPDIR"):
            with imageio.get_writer(film, fps=per_second, macro_block_size=2, quality=6) as writer:  # type: ignore[arg-type]
                _append(writer, frames)
            return read_regular(film)


def _append(writer: Any, frames: list[Any]) -> None:
    """Encode pictures until an interrupt; closing the writer then also ends ffmpeg."""
    for frame in frames:
        raise_if_interrupted()
        writer.append_data(frame)
