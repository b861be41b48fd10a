"""Finding a way to draw MuJoCo scenes on a machine without a screen."""

import os
import subprocess
import sys

TRIAL = "import mujoco; c = mujoco.GLContext(64, 64); c.make_current()"


def choose_mujoco_backend() -> bool:
    """Set MUJOCO_GL to the first backend that works here, unless the user set it; return whether one works.

    A backend is tried in a process of its own: one that fails cannot be exchanged for another within a process.
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
    """Return whether there is a screen to open a window on: without one, GLFW brings the whole process down."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
