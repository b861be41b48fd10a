"""Names that stand for what is imported later."""

import subprocess
import sys

import pytest

from reverie.algorithms import ALGORITHMS
from reverie.bench import BENCHMARKS
from reverie.core.errors import ConfigError
from reverie.core.registry import Registry, first_line
from reverie.maths.noises import NOISES
from reverie.models import MODELS

LIGHT = """
import sys
from reverie.algorithms import ALGORITHMS
from reverie.models import MODELS
from reverie.maths.noises import NOISES
from reverie.bench import BENCHMARKS
assert "naf" in ALGORITHMS and "nav" not in ALGORITHMS and len(MODELS) >= 4 and len(NOISES) >= 3 and list(BENCHMARKS)
assert ALGORITHMS.text("naf").startswith("NAF: Q-learning")
print([name for name in ("jax", "numpy", "optax", "gymnasium") if name in sys.modules])
"""


def test_names_and_texts_cost_no_import():
    found = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("registry", [ALGORITHMS, MODELS, NOISES, BENCHMARKS])
def test_every_name_stands_for_something(registry):
    for name, thing in registry.items():
        assert callable(thing) and registry[name] is thing
        assert registry.text(name) == sys.modules[thing.__module__].__doc__.splitlines()[0]


def test_a_registry_behaves_as_a_dict():
    registry = Registry({"path": "os:path", "join": "os.path:join"})
    assert list(registry) == ["path", "join"] and len(registry) == 2 and "join" in registry and "x" not in registry
    assert registry["join"]("a", "b") in ("a/b", "a\\b") and registry.get("x") is None
    with pytest.raises(KeyError):
        registry["x"]


def test_a_module_without_docstring_has_no_text(tmp_path, monkeypatch):
    (tmp_path / "silent_module.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert first_line("silent_module") == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("joint", "unknown tool 'joint'; did you mean 'join'?"),
        ("os:nowhere", "cannot import tool 'os:nowhere': AttributeError"),
        ("no_such_module:x", "cannot import tool 'no_such_module:x': ModuleNotFoundError"),
    ],
)
def test_what_is_not_there_is_named(name, said):
    registry = Registry({"join": "os.path:join"})
    assert registry.find("join", "tool") is registry["join"] is registry.find("os.path:join", "tool")
    with pytest.raises(ConfigError) as caught:
        registry.find(name, "tool")
    assert said in str(caught.value)
