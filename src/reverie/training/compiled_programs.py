"""The programs that learning calls, shared by equal agents, and compiled ahead so that no step waits for a compiler."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from reverie.core.agent import KEPT, Agent, AgentState, Diagnose, Init, Metrics, Policy, ReadPolicy, Update
from reverie.core.seeds import BEGIN, UPDATE
from reverie.core.types import Array, Transition, row_width
from reverie.training.flat_arrays import flat, splitter


class AgentPrograms(NamedTuple):
    """An agent's functions as compiled programs, which hold no arrays: seeds and states are arguments."""

    update: Any  # (data of the root key, state, packed rows [I, B, …], number of the update) -> (state, flat)
    diagnose: Any  # (state, packed rows [B, …]) -> dict of scalars
    pack: Any  # (state) -> flat, with metrics of 0
    split: Callable[[np.ndarray], Any]  # (flat) -> the policy's arrays
    metric_names: tuple[str, ...]
    diagnosis_names: tuple[str, ...]


def programs_of(agent: Agent, root: jax.Array) -> AgentPrograms:
    """Return the programs of an agent; those of an earlier one with the same functions (`core.agent.built_once`).

    root: a key of the kind that the run draws with.  Programs of the user's own functions are not kept, since these may
    hold any amount of data.
    """
    # Its imagination is left out, and all of its spec but the sizes: no program depends on them.
    sizes = agent.spec.observation_dim, agent.spec.action_dim
    requirements = agent.requirements
    updates = max(1, requirements.updates_per_step), requirements.batch_size
    lead = (requirements.rollout, requirements.worlds) if requirements.rollout else updates
    functions = _Functions(agent.init, agent.update, agent.diagnose, agent.policy)
    make = _programs if all(map(_ours, functions)) else _programs.__wrapped__
    return make(functions, sizes, lead, jax.random.key_impl(root))


def episode_key(root: np.ndarray, number: int, kind: Any) -> jax.Array:
    """Return the key with which episode `number` begins.

    root, kind: data of the root key, and its implementation.  Folding without a compiled program takes far longer.
    """
    return jax.random.wrap_key_data(_folded(root, np.uint32(BEGIN), np.uint32(number), kind), impl=kind)


@functools.partial(jax.jit, static_argnames="kind")
def _folded(root: jax.Array, stream: jax.Array, number: jax.Array, kind: Any) -> jax.Array:
    key = jax.random.fold_in(jax.random.wrap_key_data(root, impl=kind), stream)
    return jax.random.key_data(jax.random.fold_in(key, number))


def forget_programs() -> None:
    """Forget the programs that are kept, so that they are compiled anew: with other options of the compiler, say."""
    _programs.cache_clear()


def _ours(function: Any) -> bool:
    """Return whether a function, or the one in a `functools.partial`, is of this library."""
    return str(getattr(getattr(function, "func", function), "__module__", "")).startswith("reverie.")


class _Functions(NamedTuple):
    """The functions of an agent that are compiled."""

    init: Init
    update: Update
    diagnose: Diagnose
    policy: ReadPolicy


@functools.lru_cache(maxsize=KEPT)
def _programs(agent: _Functions, sizes: tuple[int, int], lead: tuple[int, int], kind: Any) -> AgentPrograms:
    """Return an agent's programs.  lead: the leading axes of what an update learns from.  kind: of the root key."""

    def unpack(rows: Array) -> Transition:
        return Transition.unpack(rows, *sizes)

    @functools.partial(jax.jit, inline=True)  # so that learning need not trace again what is traced here for its names
    def learn(state: AgentState, rows: Array, key: jax.Array) -> tuple[AgentState, Metrics, Policy]:
        state, metrics = agent.update(state, unpack(rows), key)
        return state, metrics, agent.policy(state)

    def update(root: jax.Array, state: AgentState, rows: Array, number: Array) -> tuple[AgentState, jax.Array]:
        key = jax.random.fold_in(jax.random.wrap_key_data(root, impl=kind), UPDATE)
        state, metrics, policy = learn(state, rows, jax.random.fold_in(key, number))
        return state, flat(metrics, policy)

    key = jax.eval_shape(lambda: jax.random.key(0, impl=kind))
    rows = jax.ShapeDtypeStruct((*lead, row_width(*sizes)), jnp.float32)
    state, metrics, policy = jax.eval_shape(learn, jax.eval_shape(agent.init, key), rows, key)
    diagnosis = jax.eval_shape(lambda state, rows: agent.diagnose(state, unpack(rows[0])), state, rows)
    return AgentPrograms(
        update=jax.jit(update),  # the old state is kept until the new one is known to be sound
        diagnose=jax.jit(lambda state, rows: agent.diagnose(state, unpack(rows))),
        pack=jax.jit(lambda state: flat(jnp.zeros(len(metrics), jnp.float32), agent.policy(state))),
        split=splitter(policy, len(metrics)),
        metric_names=tuple(sorted(metrics)),
        diagnosis_names=tuple(sorted(diagnosis)),
    )


class CompiledPrograms:
    """Programs by name, each with the function that compiles it."""

    def __init__(self, programs: Mapping[str, Callable[[], object]]):
        self._compile = dict(programs)
        self._done: set[str] = set()

    @property
    def complete(self) -> bool:
        """Whether everything is compiled."""
        return self._done == self._compile.keys()

    def missing(self, called: Iterable[str]) -> list[str]:
        """Return the names in `called` that are not compiled yet."""
        return [name for name in called if name in self._compile.keys() - self._done]

    def compile(self, names: Iterable[str]) -> None:
        """Compile programs by name; `jit` then reuses the compiled result."""
        for name in names:
            self._compile[name]()
            self._done.add(name)


def compilers(
    programs: AgentPrograms,
    root: np.ndarray,
    state: Callable[[], Any],
    agent: Agent,
    minibatches_per_real: int,
    diagnosed: int,
) -> dict[str, Callable[[], object]]:
    """Return, by name, the functions that compile updates and the diagnosis of metrics.

    They run each program once, on zeros: the first call of a compiled program takes several times as long as the next.
    root: data of the root key.  state: () -> the agent's.  minibatches_per_real: minibatches of an update for each real
    one, that included.  diagnosed: transitions in a diagnosis.
    """
    requirements = agent.requirements
    width = row_width(agent.spec.observation_dim, agent.spec.action_dim)

    def rows_of(*lead: int) -> np.ndarray:
        return np.zeros((*lead, width), np.float32)

    def compile_updates() -> None:
        """Compile updates on real minibatches alone, and on those with the source's minibatches."""
        shapes = [(requirements.rollout, requirements.worlds)]
        if not requirements.rollout:
            count, size = requirements.updates_per_step, requirements.batch_size
            shapes = [(times * count, size) for times in dict.fromkeys((1, minibatches_per_real))]
        for shape in shapes:
            jax.block_until_ready(programs.update(root, state(), rows_of(*shape), np.uint32(0)))

    def compile_diagnosis() -> None:
        jax.block_until_ready(programs.diagnose(state(), rows_of(diagnosed)))

    return {"update": compile_updates, "diagnosis": compile_diagnosis}
