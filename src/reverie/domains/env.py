"""A domain as a Gymnasium environment."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension module has no stubs.

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium as gym
import mujoco
import numpy as np

from reverie.core.errors import ConfigError, SpaceError, WorldError, unknown
from reverie.core.words import count
from reverie.domains import DOMAINS
from reverie.domains.domain import SCALAR, State
from reverie.domains.headless import choose_mujoco_backend, has_screen
from reverie.domains.mujoco_model import MujocoModel

RENDER_MODES = ("rgb_array", "human")
OPTIONS = ("render_mode", "width", "height", "horizon")
LARGEST = 1e10  # velocities beyond it mean that the physics diverged; MuJoCo uses the same limit


class DomainEnv(gym.Env[np.ndarray, np.ndarray]):
    """A domain as a Gymnasium environment.

    domain: its name.  render_mode: "rgb_array", "human" or None.  width, height: of pictures, pixels.
    horizon: control steps after which an episode is truncated; None: the domain's (150). Gymnasium's max_episode_steps
    may end episodes sooner.

    Actions [m] are clipped to [-1, 1] first, also for the reward. `reset(options=…)` takes "state" [nq + nv] and
    "target" [2].  Raises ConfigError for unknown names, SpaceError for a wrong action, and WorldError for a step
    without a reset and for physics that diverge.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": 50}

    def __init__(
        self,
        domain: str,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 480,
        horizon: int | None = None,
        **unknown_options: Any,
    ):
        if domain not in DOMAINS:
            raise unknown("domain", domain, DOMAINS)
        for option in unknown_options:
            raise unknown(f"option of {domain}", option, OPTIONS)
        if render_mode not in (None, *RENDER_MODES):
            raise unknown("render_mode", str(render_mode), RENDER_MODES)
        self.domain = DOMAINS[domain]
        self.plant = MujocoModel(self.domain)
        self.model, self.data = self.plant.model, self.plant.data  # where Gymnasium's own MuJoCo tasks have them
        self.metadata = {**self.metadata, "render_fps": round(1 / self.plant.seconds)}  # type: ignore[misc]
        self.render_mode, self._size, self._renderer = render_mode, (width, height), None
        self._target: Sequence[float] = ()
        self._now = State((), ())
        self.horizon = self.domain.horizon if horizon is None else horizon
        self._left = 0  # steps to the end of the episode
        size = len(self._begin(*self.domain.start(np.random.default_rng(0))))
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (size,), np.float64)
        self._actions = (self.plant.action_dim,)
        self.action_space = gym.spaces.Box(-1.0, 1.0, self._actions, np.float32)

    @property
    def state(self) -> np.ndarray:
        """The current state x [nq + nv]."""
        return self.plant.state

    @property
    def target(self) -> Sequence[float]:
        """The target of the current episode: two numbers along the domain's `target_axes`, or ()."""
        return self._target

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode and return (observation [n], {}).

        seed: of the start.  options: "state" [nq + nv] and "target" [2] to start with.
        """
        super().reset(seed=seed)
        begin = self.domain.start(self.np_random)
        x, target = np.concatenate([begin.q, begin.v]), begin.target
        for option, value in (options or {}).items():
            if option == "state":
                x = np.array(self._finite(value, x.shape, "state"))
            elif option != "target":
                raise unknown(f"reset option of {self.domain.name}", option, ("state", "target"))
            elif not target:
                raise ConfigError(f"{self.domain.name} has no target to set")
            else:
                target = tuple(self._finite(value, (2,), "target"))
        mujoco.mj_resetData(self.model, self.data)
        observation = self._begin(x[: self.model.nq], x[self.model.nq :], target)
        self._left = self.horizon
        if self.render_mode == "human":
            self.render()
        return observation, {}

    def _begin(self, q: Any, v: Any, target: Sequence[float] = ()) -> np.ndarray:
        self.plant.q[:], self.plant.v[:], self._target = q, v, target
        if self.model.nmocap and target:
            self.data.mocap_pos[0, list(self.domain.target_axes)] = target
        mujoco.mj_forward(self.model, self.data)  # updates positions of bodies, which rendering reads
        self._now = State(self.plant.q.tolist(), self.plant.v.tolist())
        features = self.domain.features(self._now, target, SCALAR)
        return np.array(self.domain.observe(self._now, features, SCALAR))

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take one control step with an action [m].

        Returns (observation [n], reward, terminated, truncated, {}).
        """
        if self._left <= 0:
            raise WorldError(f"{self.domain.name}: step() after the end of an episode; call reset() first")
        domain, plant, before = self.domain, self.plant, self._now
        u = self._finite(action, self._actions, "action")
        plant.advance(action)
        self._now = now = State(plant.q.tolist(), plant.v.tolist())
        if not abs(sum(now.v)) < LARGEST:  # NaN compares false
            raise WorldError(f"{domain.name}: the physics diverged under action {u}")
        clipped = [-1.0 if a < -1.0 else 1.0 if a > 1.0 else a for a in u]
        features = domain.features(now, self._target, SCALAR)
        reward = domain.reward(before, clipped, now, features, SCALAR)
        terminated = domain.terminated is not None and domain.terminated(now)
        self._left -= 1
        truncated = self._left == 0
        if terminated:
            self._left = 0
        if self.render_mode == "human":
            self.render()
        return np.array(domain.observe(now, features, SCALAR)), reward, terminated, truncated, {}

    def _finite(self, values: Any, shape: tuple[int], what: str) -> list[float]:
        """Return `values` as a list of floats.  Raises SpaceError unless they are finite and have this shape."""
        if type(values) is not np.ndarray or values.shape != shape or values.dtype.kind not in "fiu":
            try:
                values = np.asarray(values, float)
            except (TypeError, ValueError):
                raise SpaceError(
                    f"{self.domain.name}: the {what} is {values!r}; give {count(shape[0], 'number')}"
                ) from None
            if values.shape != shape:
                raise SpaceError(f"{self.domain.name}: the {what} has shape {values.shape}; it must be {shape}")
        floats = values.tolist()
        if (total := sum(floats)) - total != 0.0:  # true for infinities and NaN
            raise SpaceError(f"{self.domain.name}: the {what} is {floats}; it must be finite")
        return floats

    def render(self) -> Any:
        """Return a picture [height, width, 3] ("rgb_array"), or show it in a window ("human").

        Raises ConfigError without a render_mode, and where nothing can be drawn.
        """
        if self.render_mode is None:
            raise ConfigError(f"{self.domain.name} was made without a render_mode; pass 'rgb_array' or 'human'")
        if self._renderer is None:
            self._renderer = self._make_renderer()
        mujoco.mj_forward(self.model, self.data)
        return self._renderer.render(self.render_mode)

    def _make_renderer(self) -> Any:
        if self.render_mode == "rgb_array" and not choose_mujoco_backend():
            raise ConfigError(
                f"{self.domain.name}: no OpenGL to draw with; install libegl1 or libosmesa6 "
                "(`reverie video` draws lines without)"
            )
        if self.render_mode == "human" and not has_screen():
            raise ConfigError(f"{self.domain.name}: no screen to open a window on; use render_mode='rgb_array'")
        from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer

        width, height = self._size
        own = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_CAMERA, "view")
        camera = max(own, 0)  # else camera 0: that of Gymnasium's models follows the body
        return MujocoRenderer(self.model, self.data, width=width, height=height, camera_id=camera)

    def close(self) -> None:
        """Close the window or the drawing context."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
