"""Schema of what a checkpoint holds beside its arrays: counts, generators, and the state of imagination and planner."""

import math
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from reverie.core.status import Status
from reverie.core.words import count

Count = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


class Bits(msgspec.Struct):
    """The state of PCG64: two numbers of 128 bits."""

    state: int
    inc: int


class Generator(msgspec.Struct):
    """The state of a generator, in NumPy's format."""

    bit_generator: Literal["PCG64"]
    state: Bits
    has_uint32: Literal[0, 1]
    uinteger: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]

    def __post_init__(self):
        state = msgspec.structs.asdict(self) | {"state": msgspec.structs.asdict(self.state)}
        try:
            generator: Any = np.random.PCG64(0)
            generator.state = state
            taken = generator.state == state
        except Exception:  # NumPy may raise anything here
            taken = False
        if not taken:
            raise ValueError("NumPy takes no such state of a generator")


class Dreams(msgspec.Struct):
    """State of imagination beside its arrays."""

    episodes: Count
    fits: Count
    refused: Count
    waited: Count
    imagined: Count
    cut: Count
    rolled: Count
    added: Count
    trust: Annotated[float, msgspec.Meta(ge=0, le=1)]
    report: dict[str, float]
    status: int
    known: bool
    generator: Generator
    filled: Count = 0  # missing in older versions
    left_out: Count = 0

    def __post_init__(self):
        Status(self.status)  # ValueError for an unknown one


class Plan(msgspec.Struct, forbid_unknown_fields=True):
    """State of a planner that acts in episodes, beside its controller."""

    eta: Annotated[float, msgspec.Meta(gt=0)]
    failures: Count
    repairs: Count
    kl: float = 0.0
    predicted: float = 0.0
    status: int = 0


OpenReturns = list[tuple[Count, float]]  # episodes in progress, and their returns so far


class Improvement(msgspec.Struct):
    """Returns of random actions and of the newest episodes."""

    steps: Count
    open: OpenReturns
    random_open: list[Count]
    random: tuple[Count, float]
    newest: list[float]
    random_range: list[float] = []  # missing in older versions

    def __post_init__(self):
        returns = (*(gained for _, gained in self.open), self.random[1], *self.newest, *self.random_range)
        if not all(map(math.isfinite, returns)):
            raise ValueError("improvement is not finite")


class Health(msgspec.Struct):
    """Counters of learning problems."""

    skipped: Count
    in_a_row: Count
    lasting: dict[str, Count]
    clipped: list[str]
    improvement: Improvement | None = None


class Logged(msgspec.Struct):
    """State of learning from logged transitions."""

    pretrained: Count  # updates before the first real step
    generator: Generator


class ReturnStatistics(msgspec.Struct):
    """State of the scale of rewards."""

    count: Count
    mean: float
    squares: Annotated[float, msgspec.Meta(ge=0)]
    open: OpenReturns  # discounted

    def __post_init__(self):
        if not all(map(math.isfinite, (self.mean, self.squares, *(gained for _, gained in self.open)))):
            raise ValueError("return_scale is not finite")


class Facts(msgspec.Struct):
    """What every checkpoint holds."""

    agent: str
    steps: Count
    episodes: Count
    updates: Count
    minibatches: Count
    owed: Count
    noise_generator: Generator
    sample_generator: Generator
    metric_sums: list[float]
    metric_count: Count
    in_episode: list[bool]
    crc: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] | None
    identity: dict[str, Any] | None = None  # what decided the run; missing in older versions
    config: dict[str, Any] | None = None  # content of config.json then; missing in older versions
    dreams: Dreams | None = None
    plan: Plan | None = None
    health: Health | None = None
    set_aside: list[tuple[Count, Count]] = []
    logged: Logged | None = None
    return_scale: ReturnStatistics | None = None

    def __post_init__(self):
        before = 0 if self.logged is None else self.logged.pretrained
        most = {"episodes": self.steps, "owed": self.steps}
        most |= dict.fromkeys(("updates", "metric_count"), self.steps + before)
        for name in ("episodes", "updates", "owed", "metric_count"):
            if getattr(self, name) > most[name]:
                raise ValueError(f"{name} are {getattr(self, name)} after {count(self.steps, 'step')}")
        if self.updates == 0 and (self.minibatches or self.metric_count):
            raise ValueError("minibatches without an update")
        if any(number >= self.steps for pair in self.set_aside for number in pair):
            raise ValueError("set_aside are steps that were never taken")
        if not all(map(math.isfinite, self.metric_sums)):
            raise ValueError("metric_sums are not finite")
