"""What MuJoCo says while environments are made, and afterwards."""

import subprocess
import sys

import pytest

from reverie.core.after_import import AfterImport
from reverie.environments.mujoco_messages import without_others_warnings

mujoco = pytest.importorskip("mujoco")

MADE = """
import os, sys
import gymnasium as gym
from reverie.environments.env_factory import make_env
assert "mujoco" not in sys.modules
make_env({source}).close()
import mujoco, numpy as np
assert mujoco.get_mju_user_warning() is None
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><body><freejoint/><geom size='.1'/></body></worldbody></mujoco>")
data = mujoco.MjData(model)
data.qpos[0] = np.nan
mujoco.mj_step(model, data)
print(os.listdir("."))
"""


@pytest.mark.parametrize("source", ['"HalfCheetah-v5"', 'lambda: gym.make("HalfCheetah-v5")'])
def test_a_deprecation_of_gymnasiums_models_reaches_nobody_and_no_file_is_written(source, tmp_path):
    words = [sys.executable, "-W", "error", "-c", MADE.format(source=source)]
    made = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (made.returncode, made.stdout) == (0, "[]\n"), made.stderr
    assert "settotalmass" not in made.stderr and "Nan, Inf or huge value" in made.stderr  # that one is for the user


def test_other_warnings_pass_and_a_handler_of_the_users_stays(capsys):
    said = []
    with without_others_warnings():
        handler = mujoco.get_mju_user_warning()
        handler("the mass is negative")
        handler("compiler attribute 'settotalmass' is deprecated and will be removed in a future release")
    assert capsys.readouterr().err == "WARNING: the mass is negative\n\n"
    mujoco.set_mju_user_warning(said.append)
    try:
        with without_others_warnings():
            mujoco.get_mju_user_warning()("theirs")
        assert said == ["theirs"]
    finally:
        mujoco.set_mju_user_warning(None)
    assert mujoco.get_mju_user_warning() is None


def test_a_call_waits_for_an_import_and_can_be_cancelled(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("waited_for", "cancelled_for"):
        (tmp_path / f"{name}.py").write_text("value = 3\n")
    seen, before = [], [*sys.meta_path]
    AfterImport("waited_for", lambda module: seen.append(module.value))
    AfterImport("cancelled_for", seen.append).cancel()
    AfterImport("sys", seen.append)
    assert seen == [sys]
    import cancelled_for  # pyright: ignore[reportMissingImports]  # noqa: F401
    import waited_for  # pyright: ignore[reportMissingImports]  # noqa: F401

    assert seen == [sys, 3] and sys.meta_path == before
