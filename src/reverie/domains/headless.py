"""Choose a way to draw MuJoCo scenes on a machine without a screen."""

import os
import subprocess
import sys

TRIAL = "import mujoco; c = mujoco.GLContext(64, 64); c.make_current()"


def choose_mujoco_backend() -> bool:
    """Set MUJOCO_GL to the first backend that works, unless the user set it.  Returns whether one works.

    Each backend is tried in a separate process, because a process cannot change to another one after a failure.
    """
    chosen = os.environ.get("MUJOCO_GL")
    backends = [chosen] if chosen else (["egl", "osmesa"] if sys.platform == "linux" else [""])
    if not chosen and os.environ.get("DISPLAY"):
        backends.append("glfw")
    for backend in backends:
        environment = os.environ | ({"MUJOCO_GL": backend} if backend else {})
        trial = subprocess.run([sys.executable, "-c", TRIAL], env=environment, capture_output=True, check=False)
        if trial.returncode == 0:
            if backend:
                os.environ["MUJOCO_GL"] = backend
            return True
    return False


def has_screen() -> bool:
    """Return whether there is a screen for a window. Without one, GLFW would end the whole process."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
