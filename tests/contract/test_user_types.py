"""Programs of users pass pyright in strict mode with the types that reverie declares, and mistakes are found."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import reverie

RIGHT = """
import numpy as np
import reverie as rv

with rv.Learner(rv.NAF(learning_rate=1e-3), env="Pendulum-v1", seed=0, out="runs/pendulum") as learner:
    learner.learn(20_000).learn(episodes=50)
    torque = float(learner.predict(np.zeros(3), explore=True)[0])
learner = rv.Learner.load("runs/pendulum")

spec = rv.EnvSpec(observation_dim=6, action_low=[-1, -1], action_high=[1, 1])
line = rv.Learner(rv.NAF(), spec=spec, out="runs/line7")
action = line.ask([0.0] * 6)
line.tell(float(action[0]), np.zeros(6), terminated=False, truncated=False)

agent = rv.Imagination(rv.NAF.paper("reacher"), model=rv.LinearGaussian(episodes=5), rollout_length=10)
models = rv.Imagination(rv.SAC(), rv.Neural()), rv.Imagination(rv.DQN(), rv.Exact()), rv.Imagination(rv.DDPG(), rv.Recent())
rv.Learner(agent, env="reacher").learn(10)
begin = rv.PPO().build(spec).begin
"""
WRONG = """
import reverie as rv

rv.NAF(lr=1e-3)
rv.Imagination(rv.NAF(), model=3)
"""


@pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="pyright is not installed")
def test_pyright_accepts_a_right_program_and_finds_mistakes(tmp_path):
    for name, text in (("right", RIGHT), ("wrong", WRONG)):
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "pyrightconfig.json").write_text(settings())
    found = json.loads(checked(tmp_path))
    errors = [(Path(each["file"]).stem, each["message"].splitlines()[0]) for each in found["generalDiagnostics"]]
    assert [message for file, message in errors if file == "right"] == []
    first, second = [message for file, message in errors if file == "wrong"]
    assert first == 'No parameter named "lr"' and '"model"' in second


def settings() -> str:
    """Return pyright's settings: strict, with the reverie that is tested."""
    return json.dumps({"typeCheckingMode": "strict", "extraPaths": [str(Path(reverie.__file__).parents[1])]})


def checked(folder: Path) -> str:
    """Return what pyright says of the programs in a folder, as JSON."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    return subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=300).stdout


def test_type_checkers_may_read_the_annotations():
    assert (Path(reverie.__file__).parent / "py.typed").is_file()
