"""Fixtures, and JAX told to be strict: a key used twice is an error in every test."""

import gc
import os
import shutil
import tempfile
import zlib

from things import ROOT

# Most of the tests' time is compilation. Each program is compiled once, also for the processes that tests start, and
# without costly optimisation; tests/contract/test_compilation.py compares its numbers with those of optimised programs.
# JAX_DISABLE_MOST_OPTIMIZATIONS=0 compiles as users do.
QUICK = os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") != "0"
COMPILED = ROOT / ".pytest_cache" / "compiled"
QUICK_FLAGS = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
if QUICK and QUICK_FLAGS not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICK_FLAGS}".strip()
os.environ |= {
    "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu"),
    "JAX_COMPILATION_CACHE_DIR": str(COMPILED),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "XDG_STATE_HOME": tempfile.mkdtemp(prefix="reverie-tests-"),  # the key of whoever runs the tests is not touched
}

import jax
import numpy as np
import pytest

import shape_checks

shape_checks.install()
pytest.register_assert_rewrite("commands")  # whose assertions say what a command printed

jax.config.update("jax_debug_key_reuse", True)


BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def is_torn(compressed):
    """Return whether a program in JAX's cache, if it is compressed with zlib, lacks its end."""
    try:
        return compressed[:1] in (b"", b"x") and not zlib.decompress(compressed)
    except zlib.error:
        return True


def pytest_sessionstart(session):
    """Delete what a process was writing into the cache when it was killed: JAX would warn of it for ever."""
    if not hasattr(session.config, "workerinput"):
        for file in COMPILED.glob("*-cache"):
            if is_torn(file.read_bytes()):
                file.unlink(missing_ok=True)


def pytest_collection_finish():
    """Have the garbage collector pass over what lasts as long as the tests: modules, tests, JAX."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True, scope="session")
def no_timed_checkpoints():
    """Write checkpoints only when a test asks for them: otherwise a slow machine writes more of them than a fast one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reverie.training.run_logger.CHECKPOINT_SECONDS", (1e9, 1e9))
        yield


@pytest.fixture
def generator():
    return np.random.default_rng(0)


@pytest.fixture
def optimised(monkeypatch):
    """Compile as users do from here on, for tests that learn for long: their programs run three times as fast."""
    from reverie.training.compiled_programs import forget_programs  # imported late: few tests need it

    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "0")
    jax.config.update("jax_disable_most_optimizations", False)
    forget_programs()
    yield
    jax.config.update("jax_disable_most_optimizations", QUICK)
    forget_programs()


@pytest.fixture(scope="module")
def browser():
    """A browser without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="a browser is driven by: pip install playwright")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is here; for Debian: apt-get install chromium")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
