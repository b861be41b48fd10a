"""Fixtures, and JAX told to be strict: a key used twice is an error in every test."""

import os
import pathlib
import tempfile

ROOT = pathlib.Path(__file__).parents[1]


class Thing:
    """What is no number, text or array; each process that collects tests calls it by the same name."""

    def __repr__(self):
        return "a thing"


THING = Thing()

# Tests and the processes that they start compile many small and like programs: each once is enough.
os.environ |= {
    "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu"),
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".pytest_cache" / "compiled"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "XDG_STATE_HOME": tempfile.mkdtemp(prefix="reverie-tests-"),  # the key of whoever runs the tests is not touched
}

import jax
import numpy as np
import pytest

jax.config.update("jax_debug_key_reuse", True)


@pytest.fixture
def generator():
    return np.random.default_rng(0)
