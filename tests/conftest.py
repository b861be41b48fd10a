"""Fixtures, and JAX told to be strict: a key used twice is an error in every test."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
import pytest

jax.config.update("jax_debug_key_reuse", True)


@pytest.fixture
def generator():
    return np.random.default_rng(0)
