"""Names and units of sensors and actuators, from the metadata of an environment."""

import dataclasses
import warnings
from typing import Any

import gymnasium as gym

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ReverieWarning, SpaceError

FIELDS = ("observation_names", "observation_units", "action_names", "action_units")


def names_in(env: gym.Env[Any, Any], spec: EnvSpec) -> EnvSpec:
    """Return `spec` with the names and units that `env.metadata` has under the names of EnvSpec's fields.

    Wrappers pass the metadata on, also those that change an observation's size.  What does not fit is left out, with a
    warning.
    """
    metadata: Any = getattr(env, "metadata", None)
    if not isinstance(metadata, dict):
        return spec
    for field in FIELDS:
        if (given := metadata.get(field)) is None:
            continue
        try:
            spec = dataclasses.replace(spec, **{field: given})
        except SpaceError as error:
            warnings.warn(f"{error} (in the environment's metadata; left out)", ReverieWarning, stacklevel=4)
    return spec
