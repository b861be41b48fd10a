"""Tests compile with little optimisation (conftest.py): what is computed then is what users compute, but for rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cases import CASES
from plants import random_lqr
from reverie.algorithms import ALGORITHMS
from reverie.control import lqr
from reverie.core.types import Transition, row_width

AS_USERS_DO = {  # XLA's own defaults, whatever the environment says
    "xla_backend_optimization_level": 3,
    "xla_llvm_disable_expensive_passes": False,
    "xla_cpu_use_fusion_emitters": True,
    "xla_cpu_parallel_codegen_split_count": 32,
}


def assert_both_ways_agree(function, *arguments, rtol):
    """Compile a function as tests do and as users do, and compare what both return."""
    lowered = jax.jit(function).lower(*arguments)
    here, there = lowered.compile()(*arguments), lowered.compile(compiler_options=AS_USERS_DO)(*arguments)
    largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(there))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * largest), here, there)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_update_compiled_with_and_without_optimisation_is_the_same(name, generator):
    case = CASES[name]
    agent, n, m = case.make().build(case.spec), case.spec.observation_dim, case.spec.action_dim
    requirements = agent.requirements
    lead = (
        (requirements.rollout, requirements.worlds)
        if requirements.rollout
        else (requirements.updates_per_step, requirements.batch_size)
    )
    rows = generator.uniform(-1, 1, (*lead, row_width(n, m))).astype(np.float32)
    if case.spec.actions:
        rows[..., n : n + m] = generator.integers(case.spec.actions, size=rows[..., n : n + m].shape)

    def update(seed, rows):
        state = agent.init(jax.random.key(seed))
        state, metrics = agent.update(state, Transition.unpack(rows, n, m), jax.random.key(seed + 1))
        return agent.policy(state), metrics

    assert_both_ways_agree(update, np.uint32(0), jnp.asarray(rows), rtol=1e-3)


def test_a_riccati_pass_in_float64_compiled_with_and_without_optimisation_is_the_same(generator):
    with jax.enable_x64(True):
        assert_both_ways_agree(lqr.backward, *random_lqr(generator, 4, 2, 6), rtol=1e-9)
