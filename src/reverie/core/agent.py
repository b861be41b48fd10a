"""The contract between algorithms and training: pure functions of an explicit state."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import SpaceError
from reverie.core.types import Array, Transition

# An algorithm's own named tuples of arrays, which nothing else looks into.
AgentState: TypeAlias = Any  # all that an agent has learnt
Policy: TypeAlias = Any  # what acting reads of it
Memory: TypeAlias = Array  # what lasts for one episode: the state of the noise process, one float32 array
Metrics: TypeAlias = dict[str, Array]  # scalars by name

# When updates run: after each step; as far as there is time in a tick of a clock; after each episode; in a thread.
UpdateAfter: TypeAlias = Literal["step", "time", "episode", "background"]

KEPT = 32  # agents that `built_once` keeps, and programs that training keeps for them: some megabytes each


class DataRequirements(NamedTuple):
    """What an algorithm asks of training, as numbers."""

    batch_size: int  # rows of one minibatch
    updates_per_step: int  # I: minibatch updates per real step
    warmup_steps: int  # real steps with uniformly random actions before the first update
    replay_capacity: int  # transitions kept; the oldest are dropped first
    update_after: UpdateAfter  # when updates run
    # T, for on-policy agents: each update uses the last T steps of each environment once, and nothing else
    rollout: int = 0
    worlds: int = 1  # E, for on-policy agents: environments that take turns
    discount: float | None = None  # γ; with the reward scale it says which values the rewards allow
    reward_scale: float | None = 1.0  # None: training scales rewards, by the spread of discounted returns
    learning_rate: float | None = None  # for the advice when learning diverges, as is the next one
    observation_normalisation: bool | None = None  # None: there is no such setting
    recent_share: float = 0.0  # of each minibatch: drawn from the newest transitions alone
    recent_steps: int = 1  # how many are the newest

    @property
    def first_update(self) -> int:
        """The earliest step at which learning can begin, if nothing was logged before."""
        return self.rollout * self.worlds if self.rollout else max(self.warmup_steps + 1, self.batch_size)


class Init(Protocol):
    """Makes the first state."""

    def __call__(self, key: Array, /) -> AgentState:
        """Return the state before the first update.  key: a JAX key, as everywhere here."""
        ...


class Begin(Protocol):
    """Begins an episode."""

    def __call__(self, state: AgentState, key: Array | None, /) -> Memory:
        """Return the memory at the start of an episode.  Its shape depends on neither argument; both may be None."""
        ...


class Act(Protocol):
    """Acts, greedily or exploring."""

    def __call__(
        self, state: AgentState, memory: Memory, observation: Array, key: Array, explore: bool | Array = True, /
    ) -> tuple[Array, Memory]:
        """Return the action [m] in [-1, 1] at an observation [n], and the memory after it."""
        ...


class Update(Protocol):
    """Learns from experience."""

    def __call__(self, state: AgentState, batches: Transition, key: Array, /) -> tuple[AgentState, Metrics]:
        """Return the state after minibatches [I, B, ...] in order, and the mean of each metric over them.

        On-policy agents take the newest steps [T, E, ...] instead, in order of time.
        """
        ...


class Diagnose(Protocol):
    """Looks at the state of learning."""

    def __call__(self, state: AgentState, batch: Transition, /) -> Metrics:
        """Return what is too costly to compute in every update, at the transitions [B, ...] of a minibatch."""
        ...


class ReadPolicy(Protocol):
    """Takes from a state what acting reads."""

    def __call__(self, state: AgentState, /) -> Policy:
        """Return the arrays that acting reads."""
        ...


class Greedy(Protocol):
    """Acts without noise."""

    def __call__(self, policy: Policy, observation: Array, /) -> Array:
        """Return the best actions [..., m] at observations [..., n]."""
        ...


class Explore(Protocol):
    """Acts with noise."""

    def __call__(self, policy: Policy, memory: Memory, observation: Array, noise: Array, /) -> tuple[Array, Memory]:
        """Return actions [..., m] at observations [..., n], and the memory after them.  noise: standard normal [..., m]."""
        ...


class BoundValues(Protocol):
    """Limits what an agent may think states are worth."""

    def __call__(self, state: AgentState, low: float, high: float, /) -> AgentState:
        """Return the state after which updates take no state of the environment to be worth less or more, as scaled."""
        ...


class Agent(NamedTuple):
    """An algorithm built for one environment.  Every array is in `state` (learnt) or `memory` (noise of one episode).

    `init`, `begin`, `act` and `update` are JAX functions that work with `jit`, `vmap` over keys and `lax.scan`.
    `greedy` and `explore` are the two halves of `act`.  They read only what `policy` takes from the state, and run on
    NumPy arrays as well as on JAX arrays, so that a control loop can act without calling a compiled program.
    """

    spec: EnvSpec
    requirements: DataRequirements
    init: Init
    begin: Begin
    act: Act
    update: Update
    diagnose: Diagnose
    policy: ReadPolicy
    greedy: Greedy
    explore: Explore
    bound_values: BoundValues | None = (
        None  # called before updates, with what rewards allow; None: they are not bounded
    )
    imagination: Any = None  # settings of imagination (`reverie.imagination.settings`), or None


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


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """Settings and sizes of an agent.  Two are equal where one agent serves both."""

    config: Any = dataclasses.field(compare=False)
    spec: EnvSpec = dataclasses.field(compare=False)
    kind: type
    settings: str  # as text, which tells 1 from 1.0 and True, and -0.0 from 0.0
    sizes: tuple[int, int, int]

    @classmethod
    def of(cls, config: Any, spec: EnvSpec) -> "_Wanted":
        return cls(config, spec, type(config), repr(config), (spec.observation_dim, spec.action_dim, spec.actions))


def built_once(build: Callable[[Any, EnvSpec], Agent]) -> Callable[[Any, EnvSpec], Agent]:
    """Return `build` such that equal settings and equal sizes give agents of the very same functions.

    JAX finds compiled programs by the function that they are of, so learners with such agents share them.
    build: (settings of an algorithm of this library, EnvSpec) -> Agent.  It reads no more of the spec than
        `observation_dim`, `action_dim` and `actions`.  What a spec must fulfil is to be checked before.

    Code of the user's own may hold state or be loaded again.  So settings of a class that was derived elsewhere, and
    those that name such a class ("package.module:Class"), always give new functions.
    """

    @functools.lru_cache(maxsize=KEPT)
    def kept(wanted: _Wanted) -> Agent:
        return build(wanted.config, wanted.spec)

    @functools.wraps(build)
    def built(config: Any, spec: EnvSpec) -> Agent:
        wanted = _Wanted.of(config, spec)
        if wanted.kind.__module__ != build.__module__ or ":" in wanted.settings:
            return build(config, spec)
        return kept(wanted)._replace(spec=spec)

    return built


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
            "use naf, ddpg, sac, xqc or ppo"
        )
