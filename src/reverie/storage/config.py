"""config.json and call.json of a run directory, as checked values.  Only this module reads and writes these files."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Annotated, Any

import msgspec

from reverie.core.errors import ConfigError, StorageError
from reverie.environments.imports import place_of
from reverie.storage.files import write_whole
from reverie.storage.key import own_key
from reverie.storage.reading import decode, exists, read_json, read_whole
from reverie.storage.spec import Spec

FORMAT = 1
RESTORE = "restore it, or start another run (`reverie recover` saves the experience)"
LONGEST = 10**7  # bytes; a larger file is not a config.json

Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


# Settings that earlier versions did not write down: the setting that they came beside, and the value that acted then.
ADDED = {
    "noise_theta": ("noise_scale", 0.15),
    "plan_search": ("plan_iterations", "thorough"),
    "domain_version": ("test_seed", 1),
}


def completed(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings and, where an earlier version wrote them, those that it did not write down."""
    return settings | {
        name: value for name, (beside, value) in ADDED.items() if beside in settings and name not in settings
    }


class Part(msgspec.Struct, omit_defaults=True):
    """Name and settings of a dynamics model."""

    name: str
    settings: dict[str, Any]


class Imagined(msgspec.Struct, omit_defaults=True):
    """The part of an agent that imagination adds."""

    model: Part
    settings: dict[str, Any]


class Agent(msgspec.Struct, omit_defaults=True):
    """Name ("package.module:Class" for a user's own) and settings of an algorithm."""

    name: str
    settings: dict[str, Any]
    imagination: Imagined | None = None

    def flat(self) -> dict[str, Any]:
        """Return all settings in one dict: the agent's and imagination's by name, the model's as "model.…"."""
        found = completed(self.settings)
        if self.imagination is not None:
            model = self.imagination.model
            found |= completed(self.imagination.settings) | {"model": model.name}
            found |= {f"model.{name}": value for name, value in model.settings.items()}
        return found

    @property
    def code(self) -> list[tuple[str, str]]:
        """What is to be imported beyond reverie: (agent, model or noise, its name)."""
        model = None if self.imagination is None else self.imagination.model.name
        named = {"agent": self.name, "model": model, "noise": self.settings.get("noise")}
        return [(what, name) for what, name in named.items() if isinstance(name, str) and ":" in name]


Numbers = float | list[float | None] | dict[str, float] | None


class WrittenRegion(msgspec.Struct):
    """A region round a reference."""

    reference: Numbers
    distance: Numbers


class WrittenLimits(msgspec.Struct, omit_defaults=True):
    """Limits of a machine as written: numbers for all actuators, for each, or by name."""

    low: Numbers = None
    high: Numbers = None
    slew: Numbers = None
    region: WrittenRegion | None = None
    veto: str | None = None  # "package.module:function", or a text without a colon where it has no name
    safe_action: list[float] | dict[str, float] | float | None = None


class WrittenClock(msgspec.Struct):
    """The pace of a machine as written, in seconds and as a share of the period."""

    period: Annotated[float, msgspec.Meta(gt=0)]
    tolerance: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1


class Chapter(msgspec.Struct, omit_defaults=True):
    """A part of a run's history with its own settings and action bounds."""

    step: Count  # they acted after this real step
    learnt_from: Count  # they learnt from the steps after this one; 0: the journal was learnt again from its start
    agent: Agent
    world: Spec | None = None
    limits: WrittenLimits | None = None  # that held
    evaluations: Count = 0  # rows of evaluations.csv before; after relearning they belong to another policy
    clock: WrittenClock | None = None  # that was kept


class Call(msgspec.Struct):
    """A command in progress: it learns `steps` steps from step `start`."""

    start: Count
    steps: Count


class Experience(msgspec.Struct, omit_defaults=True):
    """Logged transitions that a run learns from, and how."""

    source: str  # where they came from; experience/logged.safetensors holds them
    transitions: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    crc: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]  # of that file
    share: Annotated[float, msgspec.Meta(ge=0, le=1)]
    pretrain_updates: Count
    reward: str | None = None  # the function that computed the rewards; None: they are the log's


class Config(msgspec.Struct, omit_defaults=True):
    """Everything that decides a run."""

    format: int
    agent: Agent
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    tensorboard: bool
    env: str | None = None
    spec: Spec | None = None  # where the user's own program is the environment
    world: Spec | None = None  # description of the environment; missing in older versions
    experience: Experience | None = None  # None: it learns from its own steps alone
    versions: dict[str, str | None] = {}
    command: str = ""
    limits: WrittenLimits | None = None  # of the machine, beyond the bounds of its actuators
    clock: WrittenClock | None = None
    history: list[Chapter] = []  # from the first settings to the present ones; empty where they never changed
    moving: int = 0  # number of the change whose files must still be set aside; 0: none
    call: Call | None = None  # the command that makes this change, until call.json has it
    signature: str | None = None  # of the user and machine that wrote it, where it names code to import

    def __post_init__(self):
        if (self.env is None) == (self.spec is None):
            raise ValueError("it holds neither `env` nor `spec`" if self.env is None else "it holds `env` and `spec`")

    @property
    def code(self) -> list[tuple[str, str]]:
        """Code to import besides reverie and installed Gymnasium environments: (kind, name)."""
        env = self.env or ""  # includes "module:Id-v0", which Gymnasium imports
        veto = (None if self.limits is None else self.limits.veto) or ""
        return [*self.agent.code, *([("env", env)] if ":" in env else []), *([("veto", veto)] if ":" in veto else [])]

    @property
    def env_spec(self) -> Spec | None:
        """Description of the environment, be it the user's own program; None where an older version wrote none."""
        return self.world or self.spec

    @property
    def is_changing(self) -> bool:
        """Whether a change of settings is unfinished."""
        return bool(self.moving) or self.call is not None

    def before(self, number: int) -> "Config":
        """Return the config that was used before change `number`.  Raises ValueError where there was no such change."""
        if not 1 <= number < len(self.history):
            raise ValueError(f"it has no change {number}")
        chapter = self.history[number - 1]
        spec = {} if chapter.world is None else {"world" if self.spec is None else "spec": chapter.world}
        clock = chapter.clock or self.clock  # older versions wrote the present one alone
        then = {"agent": chapter.agent, "limits": chapter.limits, "clock": clock, "history": self.history[:number]}
        return self.changed(**then, moving=0, call=None, **spec)

    @property
    def relearnt(self) -> int:
        """How often the journal was learnt again from its start with other settings."""
        return sum(1 for chapter in self.history[1:] if chapter.learnt_from == 0)

    def changed(self, **changes: Any) -> "Config":
        """Return a copy with changes."""
        return msgspec.structs.replace(self, **changes)


class _Format(msgspec.Struct):
    format: int


def read_config(path: Path) -> Config:
    """Return config.json.  Raises StorageError where it is damaged or of another version."""
    data = read_whole(path, RESTORE, LONGEST)
    try:
        version = decode(data, _Format).format
        if version == FORMAT:
            return decode(data, Config)
    except ValueError as error:
        raise StorageError(f"{path} is damaged; {RESTORE} ({error})") from None
    raise StorageError(f"{path} has format {version}; this version of reverie reads {FORMAT}")


def write_config(path: Path, config: Config, sign: bool) -> None:
    """Write config.json, completely or not at all.

    sign: sign it as written by this user on this machine, if they have a key.
    Raises ConfigError where a setting cannot be written as JSON.
    """
    config = _as_read(config.changed(signature=None))
    if sign and (key := own_key()) is not None:
        config.signature = _signature(config, key)
    write_whole(path, (json.dumps(msgspec.to_builtins(config), indent=2) + "\n").encode())


def is_own(config: Config) -> bool:
    """Return whether this user on this machine wrote exactly this config."""
    if config.signature is None or (key := own_key(make=False)) is None:
        return False
    return hmac.compare_digest(config.signature.encode(), _signature(config, key).encode())


def _as_read(config: Config) -> Config:
    """Return the config as it will be after writing and reading it."""
    try:
        text = json.dumps(msgspec.to_builtins(config), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a setting of {config.agent.name} cannot be written to config.json ({error})") from None
    return decode(text, Config)


def _signature(config: Config, key: bytes) -> str:
    """Return the signature of a config and of the files of the code it names.

    The files' places are signed because a copy of the config elsewhere would find other code there.
    """
    places = [place_of(name) for _, name in config.code]
    signed = msgspec.json.encode([places, config.changed(signature=None)], order="deterministic")
    return hmac.new(key, signed, hashlib.sha256).hexdigest()


def read_call(path: Path) -> Call | None:
    """Return the command that was cut short, or None.  Raises StorageError where the file is damaged."""
    if not exists(path):
        return None
    return read_json(path, Call, "delete it; --steps then counts from the run's last step")


def write_call(path: Path, call: Call) -> None:
    """Write the command in progress, so that --resume can finish it."""
    write_whole(path, msgspec.json.encode(call) + b"\n")
