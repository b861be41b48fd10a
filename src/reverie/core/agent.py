"""The one contract between algorithms and training: pure functions of an explicit state."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from reverie.core.errors import SpaceError
from reverie.core.types import EnvSpec


class DataRequirements(NamedTuple):
    """Numbers that training obeys without knowing the algorithm."""

    batch_size: int  # rows of one minibatch
    updates_per_step: int  # I: minibatch updates for each real step
    warmup_steps: int  # real steps of uniformly random actions before the first update
    replay_capacity: int  # transitions kept; the oldest go first
    update_after: Literal["step", "episode"]  # when updates run; after an episode all of its steps' updates run at once
    rollout: int = 0  # T, of on-policy agents: updates are fed the last T steps of each world, once, and nothing else
    worlds: int = 1  # E, of on-policy agents: worlds that are stepped in turns
    discount: float | None = None  # γ; with the scale of rewards it tells which values those seen allow
    reward_scale: float = 1.0
    learning_rate: float | None = None  # with the next, for what to say where learning diverges
    observation_normalisation: bool | None = None  # None: nobody can set it


class Agent(NamedTuple):
    """An algorithm built for one world.  Every array lives in `state` (learnt) or `memory` (one episode's noise).

    `init`, `begin`, `act` and `update` are JAX functions: `jit`, `vmap` over keys and `lax.scan` just work.
    `greedy` and `explore` are the two halves of `act`; they read only what `policy` picks from the state and run on
    NumPy arrays as well as on JAX arrays, so that a control loop need not call into a compiled program to act.
    """

    spec: EnvSpec
    requirements: DataRequirements
    init: Callable[..., Any]  # (key) -> state
    begin: Callable[..., Any]  # (state, key) -> memory
    act: Callable[..., Any]  # (state, memory, observation [n], key, explore) -> (action [m] in [-1, 1], memory)
    # (state, Transition [I, B, ...], key) -> (state, metrics: dict of scalars); of on-policy agents [T, E, ...], in time
    update: Callable[..., Any]
    diagnose: Callable[..., Any]  # (state, Transition [B, ...]) -> dict of scalars too costly for every update
    policy: Callable[..., Any]  # (state) -> the arrays that acting reads
    greedy: Callable[..., Any]  # (policy, observation [..., n]) -> action [..., m]
    explore: Callable[..., Any]  # (policy, memory, observation [..., n], innovation [..., m]) -> (action, memory)
    imagination: Any = None  # settings of imagination, where whoever feeds `update` is to dream as well


@runtime_checkable
class Algorithm(Protocol):
    """A frozen dataclass of hyper-parameters that can build its agent for a world.

    `build` raises SpaceError where the world's actions are not of its kind (`require_continuous`, `require_discrete`).
    """

    @property
    def name(self) -> str:
        """What users call it."""
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
