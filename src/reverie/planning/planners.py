"""Planners that act in some real episodes: iLQG on the fitted model, or model predictive control (MPC).

Source: Gu et al. 2016, Algorithm 2, π_iLQG.

`IlqgPlanner` improves its time-varying controller by one step after each fit. If there is no controller yet, one is
estimated from the episodes. In an episode with another context (a target), it acts with the controller of the same step
taken for that context. `MpcPlanner` makes a new plan at each step of an episode, with exact physics, as in table 2
of the paper.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from reverie.control.controller import Controller
from reverie.control.kl_step import ImprovementStep, one_step
from reverie.control.kl_step_per_time import start_of
from reverie.control.lqr import QuadraticCost
from reverie.core.dynamics import Episode, Linear, Model
from reverie.core.errors import ConfigError
from reverie.core.known_dynamics import KnownDynamics
from reverie.core.status import Status
from reverie.models.reward import RewardModel
from reverie.planning.costs import quadratic_cost

FLOOR = 1e-4  # added to the variance of actions in `read_controller`, and ridge of their regression on states
STEP_PREFIX = "step/"  # in a checkpoint, of what a step was taken with
NEVER = -1.0  # in metrics: nothing has been measured yet
# Attributes of a planner that are saved in a checkpoint, besides its controller.
REPORTED = ("status", "failures", "repairs", "kl", "predicted", "eta")


class PlannerSettings(Protocol):
    """The settings that planners read. `rv.Imagination` has and documents them."""

    @property
    def model(self) -> Model:
        """The dynamics model."""
        ...

    @property
    def plan_step(self) -> Literal["kl", "plain"]:
        """The step of iLQG: "kl" is within a KL bound, "plain" has none."""
        ...

    @property
    def kl_bound(self) -> float:
        """The KL bound, nats per step."""
        ...

    @property
    def plan_horizon(self) -> int:
        """Number of steps that MPC looks ahead."""
        ...

    @property
    def plan_iterations(self) -> int:
        """Number of iterations of MPC at each step."""
        ...

    @property
    def plan_search(self) -> Literal["thorough", "quick"]:
        """How MPC searches for a plan."""
        ...

    @property
    def plan_noise(self) -> float:
        """σ of the noise on MPC's actions."""
        ...


class Linearizable(Protocol):
    """What planners use of dynamics."""

    def linearize(self, states: np.ndarray, actions: np.ndarray) -> Linear:
        """Return the first-order expansion about states [T + 1, n] and actions [T, m], as `Dynamics` does."""
        ...


class Planner(Protocol):
    """A planner acts in some real episodes instead of the policy."""

    status: Status  # of the newest plan
    failures: int  # number of plans that failed
    repairs: int  # number of backward passes that had to be regularised
    kl: float  # KL divergence of the newest controller from the one before, nats per step
    predicted: float  # return of the newest controller under the model
    eta: float  # multiplier of the KL bound

    @property
    def ready(self) -> bool:
        """Whether the planner can act."""
        ...

    def rehearse(self) -> None:
        """Compile what acting calls, by calling it once."""
        ...

    def improve(self, dynamics: Linearizable, batch: list[Episode], reward_model: RewardModel | None) -> None:
        """Improve the planner with new dynamics, the episodes they were fitted to, and the reward model, if any."""
        ...

    def begin(self, context: np.ndarray) -> None:
        """Start an episode.  context: [k], constant over the episode."""
        ...

    def act(self, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return the action [m] in [-1, 1] for state x [n].  noise: standard normal [m]."""
        ...

    def snapshot(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the planner's state for a checkpoint: (arrays by name, facts)."""
        ...

    def restore(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Restore the state that `snapshot` returned.  Raises ValueError where shapes do not fit."""
        ...


class StepInputs(NamedTuple):
    """What a step of `IlqgPlanner` was taken with, so that it can be taken again for another context."""

    F: np.ndarray  # [T, n, n + m], of the linear dynamics
    f: np.ndarray  # [T, n]
    covariance: np.ndarray  # [T, n, n]
    states: np.ndarray  # [T + 1, n], means of the batch
    actions: np.ndarray  # [T, m]
    context: np.ndarray  # [k], for which the step was taken
    start_mean: np.ndarray  # [n]
    start_covariance: np.ndarray  # [n, n]
    K: np.ndarray  # [T, m, n], of the controller that the step started from
    k: np.ndarray  # [T, m]
    chol: np.ndarray  # [T, m, m]

    @property
    def dynamics(self) -> Linear:
        """The linear dynamics."""
        return Linear(self.F, self.f, self.covariance)

    @property
    def old(self) -> Controller:
        """The controller that the step started from."""
        return Controller(self.K, self.k, self.chol)

    def check(self) -> None:
        """Raise ValueError where a shape does not fit."""
        T, m, n = self.K.shape
        wanted = {"F": (T, n, n + m), "f": (T, n), "covariance": (T, n, n), "states": (T + 1, n), "actions": (T, m)}
        wanted |= {"start_mean": (n,), "start_covariance": (n, n), "k": (T, m), "chol": (T, m, m)}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} of the planner's step has shape {getattr(self, name).shape}, not {shape}")


class IlqgPlanner:
    """A linear-Gaussian controller that is improved by one step at each fit.

    known: the environment's dynamics.  action_dim: m.  mode: "kl" (a step within `bound`) or "plain" (no bound).
    bound: largest KL divergence from the old controller, nats per step.
    """

    def __init__(self, known: KnownDynamics, action_dim: int, mode: Literal["kl", "plain"] = "kl", bound: float = 0.2):
        self._known, self._action_dim, self._bound = known, action_dim, bound
        self._mode: Literal["kl", "plain"] = mode
        self.controller: Controller | None = None
        self._inputs: StepInputs | None = None  # of the step that gave `controller`
        self._acting: Controller | None = None  # in the current episode
        self.eta, self.kl, self.predicted, self.failures, self.repairs = 1.0, NEVER, 0.0, 0, 0
        self.status = Status.DONE
        self._t = 0

    def rehearse(self) -> None:
        """Do nothing: `improve` has already compiled everything."""

    @property
    def ready(self) -> bool:
        """Whether there is a controller."""
        return self.controller is not None

    def improve(self, dynamics: Linearizable, batch: list[Episode], reward_model: RewardModel | None) -> None:
        """Take one step on new dynamics. If the step fails, the old controller stays and `failures` is increased."""
        length = min(map(len, batch))
        states = np.mean([episode.states[: length + 1] for episode in batch], axis=0)
        actions = np.mean([episode.actions[:length] for episode in batch], axis=0)
        model = dynamics.linearize(states, actions)
        cost = self._cost(model, states, actions, batch[-1].context, reward_model)
        old = self.controller
        if old is None or len(old.k) != length:
            old = read_controller(batch, length)
        start = start_of(np.array([episode.states[0] for episode in batch]))
        step = one_step(model, cost, old, self._mode, *start, bound=self._bound, eta=self.eta)
        self.status, self.repairs = step.status, self.repairs + step.repairs
        if not _usable(step):
            self.failures += 1
            return
        self.controller = self._acting = Controller(*map(np.asarray, step.controller))
        covariance = np.zeros((length, *[states.shape[1]] * 2)) if model.covariance is None else model.covariance
        linear = model.F, model.f, covariance
        self._inputs = StepInputs(*map(np.asarray, (*linear, states, actions, batch[-1].context, *start, *old)))
        self.eta = step.eta if np.isfinite(step.eta) and step.eta > 0 else 1.0
        self.kl = NEVER if step.kl is None else float(np.mean(step.kl))
        self.predicted = -step.expected_new

    def _for(self, context: np.ndarray) -> Controller | None:
        """Return the controller for an episode: that of the last step, taken for `context`. It changes no state.

        If the step fails, the controller for the last episode of the fit is returned.
        """
        inputs = self._inputs
        if inputs is None or np.array_equal(context, inputs.context):
            return self.controller
        model, old, start = inputs.dynamics, inputs.old, (inputs.start_mean, inputs.start_covariance)
        cost = self._cost(model, inputs.states, inputs.actions, context, None)
        step = one_step(model, cost, old, self._mode, *start, bound=self._bound, eta=self.eta)
        return Controller(*map(np.asarray, step.controller)) if _usable(step) else self.controller

    def _cost(
        self,
        model: Linear,
        states: np.ndarray,
        actions: np.ndarray,
        context: np.ndarray,
        reward_model: RewardModel | None,
    ) -> QuadraticCost:
        """Return a convex quadratic expansion of -r about the mean of the batch, as a function of y = [x; u]."""
        if self._known.domain is not None:
            return quadratic_cost(self._known.domain, model, states, actions, context)
        assert reward_model is not None
        T, n, d = model.F.shape
        C, c, c0 = reward_model.cost(self._action_dim)
        end = np.zeros((n, n)), np.zeros(n), np.zeros(())
        return QuadraticCost(np.broadcast_to(C, (T, d, d)), np.broadcast_to(c, (T, d)), np.full(T, c0), *end)

    def begin(self, context: np.ndarray) -> None:
        """Start an episode.  context: [k], for which the planner acts."""
        self._t, self._acting = 0, self._for(np.asarray(context, float))

    def act(self, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return the action [m] in [-1, 1] for state x [n], with the controller's noise.  noise: standard normal."""
        controller = self._acting or self.controller
        assert controller is not None
        t = min(self._t, len(controller.k) - 1)
        self._t += 1
        return controller.act(t, x, noise).clip(-1.0, 1.0)

    def snapshot(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return (the controller's arrays and what its step was taken with, the figures of `metrics`).

        The latter only if there are contexts, so that the next episode can have another.
        """
        arrays = {} if self.controller is None else self.controller._asdict()
        if self._inputs is not None and self._known.context_dim:
            arrays |= {STEP_PREFIX + name: value for name, value in self._inputs._asdict().items()}
        return arrays, reported(self)

    def restore(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Restore the state that `snapshot` returned.  Raises ValueError where shapes do not fit."""
        inputs = {k.removeprefix(STEP_PREFIX): v for k, v in arrays.items() if k.startswith(STEP_PREFIX)}
        arrays = {name: value for name, value in arrays.items() if not name.startswith(STEP_PREFIX)}
        self.controller = self._acting = controller = Controller(**arrays) if arrays else None
        self._inputs = StepInputs(**inputs) if inputs else None  # older checkpoints have none
        if controller is not None:
            acted = controller.act(0, np.zeros(self._known.state_dim), np.zeros(self._action_dim))
            if acted.shape != (self._action_dim,) or len({len(part) for part in controller}) > 1:
                raise ValueError(f"a controller of shapes {[part.shape for part in controller]}")
        if self._inputs is not None:
            self._inputs.check()
            if controller is None or self._inputs.K.shape != controller.K.shape:
                raise ValueError("the planner's step is not that of its controller")
            if self._inputs.context.shape != (self._known.context_dim,):
                raise ValueError(f"the planner's step has a context of shape {self._inputs.context.shape}")
        restore_reported(self, facts)


class MpcPlanner:
    """MPC: at each step it plans `plan_horizon` steps with exact physics, and takes the first action plus noise.

    settings: those of imagination.  known: the environment's dynamics.  action_dim: m.
    Raises ConfigError unless the environment is a domain and the model is exact.
    """

    ready = True

    def __init__(self, settings: PlannerSettings, known: KnownDynamics, action_dim: int):
        if known.domain is None or settings.model.name != "exact":
            raise ConfigError("plan 'mpc' plans with exact physics: use it with a domain and --imagine exact")
        from reverie.control import mpc
        from reverie.environments.simulator import DomainSimulator  # MuJoCo is an extra
        from reverie.planning import policies
        from reverie.planning.problem import PlanningProblem

        self.settings, self._horizon, self._action_dim = settings, known.domain.horizon, action_dim
        self._start = lambda: known.domain.start(np.random.default_rng(0))
        self._quick = quick = settings.plan_search == "quick"
        self._plan_for = lambda context: PlanningProblem(DomainSimulator(known.domain, tuple(context), not quick))
        self._first = lambda: mpc.begin(policies.first_actions(settings.plan_horizon, action_dim, seed=0))
        self._replan = policies.replan
        self._receding = mpc.MPCOptions(
            horizon=settings.plan_horizon,
            iterations=settings.plan_iterations,
            options=policies.BOUNDED_OPTIONS,
        )
        self.status, self.failures, self.repairs, self.kl, self.predicted, self.eta = Status.DONE, 0, 0, NEVER, 0.0, 1.0

    def rehearse(self) -> None:
        """Plan once from one of the domain's start states, so that planning is compiled."""
        start = self._start()
        self.begin(np.asarray(start.target, float))
        self.act(np.concatenate([start.q, start.v]).astype(float), np.zeros(self._action_dim))

    def improve(self, dynamics: Linearizable, batch: list[Episode], reward_model: RewardModel | None) -> None:
        """Do nothing: MPC plans while it acts."""

    def begin(self, context: np.ndarray) -> None:
        """Start an episode."""
        self._planning, self._t, self._memory = self._plan_for(context), 0, self._first()

    def act(self, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return the action [m] in [-1, 1] for state x [n].  noise: standard normal [m]."""
        steps = max(self._horizon, self._t + 1)
        step = self._replan(self._receding, self._planning, x, self._t, steps, self._memory, self._quick)
        self._t, self._memory, self.status = self._t + 1, step.memory, step.status
        self.failures += step.plan is None
        return (step.action + self.settings.plan_noise * noise).clip(-1.0, 1.0)

    def snapshot(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return (no arrays, the figures of `metrics`). A resumed run starts its episode anew, so no plan is saved."""
        return {}, reported(self)

    def restore(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Restore the figures that `snapshot` returned."""
        del arrays
        restore_reported(self, facts)


def reported(planner: Planner) -> dict[str, Any]:
    """Return the figures of a planner's plans, for the header of a checkpoint."""
    return {name: getattr(planner, name) for name in REPORTED} | {"status": int(planner.status)}


def restore_reported(planner: Planner, facts: dict[str, Any]) -> None:
    """Set a planner's figures to those that `reported` returned. Those that older checkpoints lack do not change."""
    for name in REPORTED:
        setattr(planner, name, facts.get(name, getattr(planner, name)))
    planner.status = Status(planner.status)


def _usable(step: ImprovementStep) -> bool:
    """Return whether a step can be used. One that stays within the bound without reaching it (BOUND_UNMET) can."""
    parts = (*step.controller, step.expected_new, *([] if step.kl is None else [step.kl]))
    good = step.status.good or step.status == Status.BOUND_UNMET
    return good and all(bool(np.isfinite(part).all()) for part in parts)


def _ilqg(settings: PlannerSettings, known: KnownDynamics, action_dim: int) -> IlqgPlanner:
    return IlqgPlanner(known, action_dim, settings.plan_step, settings.kl_bound)


PLANNERS: dict[str, Callable[[PlannerSettings, KnownDynamics, int], Planner]] = {"ilqg": _ilqg, "mpc": MpcPlanner}


def read_controller(batch: list[Episode], length: int) -> Controller:
    """Estimate a linear-Gaussian controller from the first `length` steps of episodes.

    At each step, deviations of u from their mean are regressed on deviations of x from theirs. One gain serves all
    steps, because a single step has fewer samples than states.
    """
    states = np.array([episode.states[:length] for episode in batch])
    actions = np.array([episode.actions[:length] for episode in batch])
    x, u = (part - part.mean(0) for part in (states, actions))
    x, u = x.reshape(-1, x.shape[2]), u.reshape(-1, u.shape[2])
    scale = np.maximum(x.std(0), 1e-9)
    gram = (x / scale).T @ (x / scale) + FLOOR * len(x) * np.eye(len(scale))
    gain = (np.linalg.solve(gram, (x / scale).T @ u) / scale[:, None]).T
    left = u - x @ gain.T
    chol = np.linalg.cholesky(left.T @ left / len(left) + FLOOR * np.eye(u.shape[1]))
    offset = actions.mean(0) - states.mean(0) @ gain.T
    return Controller(np.tile(gain, (length, 1, 1)), offset, np.tile(chol, (length, 1, 1)))
