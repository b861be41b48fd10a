"""Sample-efficient continuous control: NAF, imagination to save real episodes, planning, and baselines.

    import reverie as rv
    learner = rv.Learner(rv.NAF(), env="Pendulum-v1", seed=0, out="runs/pendulum")
    learner.learn(20_000)

Names are imported when first used, so that `import reverie` alone is fast.
"""

import reverie.search_path  # noqa: F401, I001 (before all others)  # pyright: ignore[reportUnusedImport]

import importlib

from reverie.gymnasium_hook import register_with_gymnasium

TYPE_CHECKING = False  # not typing's own: until this file is through, the command line hears no Ctrl-C
if TYPE_CHECKING:
    from reverie.algorithms.ddpg import DDPG
    from reverie.algorithms.dqn import DQN
    from reverie.algorithms.naf import NAF
    from reverie.algorithms.ppo import PPO
    from reverie.algorithms.sac import SAC
    from reverie.algorithms.xqc import XQC
    from reverie.core.env_spec import EnvSpec
    from reverie.core.errors import (
        ConfigError,
        DivergedError,
        ReverieError,
        ReverieWarning,
        SpaceError,
        StorageError,
        WorldError,
    )
    from reverie.core.machine_limits import Limits
    from reverie.core.types import Transition
    from reverie.imagination.settings import Imagination
    from reverie.logs.log import Log
    from reverie.models.exact import Exact
    from reverie.models.linear_gaussian import LinearGaussian
    from reverie.models.neural import Neural
    from reverie.models.recent import Recent
    from reverie.report.progress import Progress
    from reverie.training.callbacks import (
        Began,
        Compiling,
        Ended,
        EpisodeEnded,
        Evaluate,
        Evaluated,
        Pretraining,
        SaveBest,
        StepEnded,
        StopAtReturn,
    )
    from reverie.training.clock import Clock
    from reverie.training.learner import Learner
    from reverie.training.recommendation import recommended

_HOMES = {
    "reverie.algorithms.naf": ("NAF",),
    "reverie.algorithms.ddpg": ("DDPG",),
    "reverie.algorithms.dqn": ("DQN",),
    "reverie.algorithms.ppo": ("PPO",),
    "reverie.algorithms.sac": ("SAC",),
    "reverie.algorithms.xqc": ("XQC",),
    "reverie.imagination.settings": ("Imagination",),
    "reverie.core.errors": (
        "ConfigError",
        "DivergedError",
        "ReverieError",
        "ReverieWarning",
        "SpaceError",
        "StorageError",
        "WorldError",
    ),
    "reverie.core.env_spec": ("EnvSpec",),
    "reverie.core.machine_limits": ("Limits",),
    "reverie.core.types": ("Transition",),
    "reverie.logs.log": ("Log",),
    "reverie.models.exact": ("Exact",),
    "reverie.models.linear_gaussian": ("LinearGaussian",),
    "reverie.models.neural": ("Neural",),
    "reverie.models.recent": ("Recent",),
    "reverie.report.progress": ("Progress",),
    "reverie.training.callbacks": (
        "Began",
        "Compiling",
        "Ended",
        "EpisodeEnded",
        "Evaluate",
        "Evaluated",
        "Pretraining",
        "SaveBest",
        "StepEnded",
        "StopAtReturn",
    ),
    "reverie.training.clock": ("Clock",),
    "reverie.training.learner": ("Learner",),
    "reverie.training.recommendation": ("recommended",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__version__ = "0.1.0"
__all__ = [
    "DDPG",
    "DQN",
    "NAF",
    "PPO",
    "SAC",
    "XQC",
    "Began",
    "Clock",
    "Compiling",
    "ConfigError",
    "DivergedError",
    "Ended",
    "EnvSpec",
    "EpisodeEnded",
    "Evaluate",
    "Evaluated",
    "Exact",
    "Imagination",
    "Learner",
    "Limits",
    "LinearGaussian",
    "Log",
    "Neural",
    "Pretraining",
    "Progress",
    "Recent",
    "ReverieError",
    "ReverieWarning",
    "SaveBest",
    "SpaceError",
    "StepEnded",
    "StopAtReturn",
    "StorageError",
    "Transition",
    "WorldError",
    "recommended",
]


register_with_gymnasium()


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'reverie' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
