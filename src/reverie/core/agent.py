"""The contract between algorithms and training: pure functions of an explicit state."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from reverie.core.errors import SpaceError
from reverie.core.types import EnvSpec


class DataRequirements(NamedTuple):
    """What an algorithm asks of training, as numbers."""

    batch_size: int  # rows of one minibatch
    updates_per_step: int  # I: minibatch updates per real step
    warmup_steps: int  # real steps with uniformly random actions before the first update
    replay_capacity: int  # transitions kept; the oldest are dropped first
    update_after: Literal["step", "episode"]  # when updates run; "episode": those of all its steps at its end
    # T, for on-policy agents: each update uses the last T steps of each environment once, and nothing else
    rollout: int = 0
    worlds: int = 1  # E, for on-policy agents: environments that take turns
    discount: float | None = None  # γ; with the reward scale it says which values the rewards allow
    reward_scale: float = 1.0
    learning_rate: float | None = None  # for the advice when learning diverges, as is the next one
    observation_normalisation: bool | None = None  # None: there is no such setting


class Agent(NamedTuple):
    """An algorithm built for one environment.  Every array is in `state` (learnt) or `memory` (noise of one episode).

    `init`, `begin`, `act` and `update` are JAX functions that work with `jit`, `vmap` over keys and `lax.scan`.
    `greedy` and `explore` are the two halves of `act`.  They read only what `policy` takes from the state, and run on
    NumPy arrays as well as on JAX arrays, so that a control loop can act without calling a compiled program.
    """

    spec: EnvSpec
    requirements: DataRequirements
    init: Callable[..., Any]  # (key) -> state
    begin: Callable[..., Any]  # (state, key) -> memory
    act: Callable[..., Any]  # (state, memory, observation [n], key, explore) -> (action [m] in [-1, 1], memory)
    # (state, Transition [I, B, ...], key) -> (state, metrics: dict of scalars); on-policy: [T, E, ...] in order of time
    update: Callable[..., Any]
    diagnose: Callable[..., Any]  # (state, Transition [B, ...]) -> dict of scalars, too costly for every update
    policy: Callable[..., Any]  # (state) -> the arrays that acting reads
    greedy: Callable[..., Any]  # (policy, observation [..., n]) -> action [..., m]
    explore: Callable[..., Any]  # (policy, memory, observation [..., n], noise [..., m]) -> (action, memory)
    imagination: Any = None  # settings of imagination, or None


@runtime_checkable
class Algorithm(Protocol):
    """A frozen dataclass of hyper-parameters that builds its agent for an environment.

    `build` raises SpaceError where the action space is of the wrong kind (`require_continuous`, `require_discrete`).
    """

    @property
    def name(self) -> str:
        """The algorithm's name for users."""
        ...

    def build(self, spec: EnvSpec) -> Agent:
        """Return the agent's pure functions for `spec`."""
        ...


def require_continuous(spec: EnvSpec, name: str) -> None:
    """Raise SpaceError unless the actions of `spec` are continuous."""
    if spec.actions:
        numbered = spec.observations and all(kind == "Discrete" for _, kind, _ in spec.observations)
        table = f", or learn a table: reverie solve {spec.name} --method q-learning" if numbered else ""
        raise SpaceError(
            f"{spec.name}: the action space is Discrete({spec.actions}); {name} needs a continuous Box: use dqn{table}"
        )


def require_discrete(spec: EnvSpec, name: str) -> None:
    """Raise SpaceError unless the actions of `spec` are discrete."""
    if not spec.actions:
        raise SpaceError(
            f"{spec.name}: the action space is a continuous Box of {spec.action_dim}; {name} needs a Discrete one: "
            "use naf, ddpg, sac or ppo"
        )
