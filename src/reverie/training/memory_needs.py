"""Needs of memory, and the refusal of those that do not fit, with a value that would."""

from collections.abc import Callable
from typing import Any, NamedTuple

from reverie.core.errors import ConfigError
from reverie.core.words import number
from reverie.training import free_memory

SHARE = 0.9  # the share of free memory that may be used


class Need(NamedTuple):
    """The memory of one setting: `size` bytes, proportional to the setting's value to the power `power`.

    alternative: what to lower where even the least value of this setting does not fit.
    step: the value is a multiple of this.  least: smaller values make no sense.
    """

    setting: str
    value: Any
    size: float
    what: str
    power: float = 1.0
    alternative: "Need | None" = None
    step: int = 1
    least: int = 1

    def fitting(self, room: float, fits: Callable[[str, Any], bool] | None) -> Any:
        """Return a value that needs at most `room` bytes and that `fits` accepts, or None if there is none."""
        value = self._scaled(self.value, min(1.0, (room / self.size) ** (1.0 / self.power)))
        while fits is not None and not fits(self.setting, value):
            value, before = self._scaled(value, 0.7), value
            if value == before:
                return None
        return value

    def _scaled(self, value: Any, factor: float) -> Any:
        value = _scaled(value, factor)
        value = value if self.step == 1 else max(self.step, value // self.step * self.step)
        return value if isinstance(value, tuple) else max(value, min(self.least, self.value))


def require_room(
    needs: list[Need], where: str, free: float | None = None, fits: Callable[[str, Any], bool] | None = None
) -> None:
    """Raise ConfigError where `needs` exceed memory: for the first that is too large alone, else for the largest.

    where: the sizes, in words, for the message.  free: bytes; by default those that are available.
    fits: (setting, value) -> whether everything fits with that value.
    """
    room = SHARE * (free_memory.available() if free is None else free)
    worst = next((need for need in needs if need.size > room), max(needs, key=lambda need: need.size))
    if sum(need.size for need in needs) <= room:
        return
    # The message names another setting where lowering that one alone helps and lowering the worst does not.
    others = sorted(needs, key=lambda need: -need.size)
    tried = [worst, *([] if worst.alternative is None else [worst.alternative]), *others]
    lowered = ((need, value) for need in tried if (value := _value_that_fits(need, needs, room, fits)) is not None)
    worst, value = next(lowered, (worst, None))
    advice = (
        f"at most {worst.setting}={setting_text(value, down=True)} fits"
        if value is not None
        else f"{where} are too many"
    )
    raise ConfigError(
        f"{worst.setting}={setting_text(worst.value)} with {where} needs {size_text(worst.size)} "
        f"({worst.what}); {size_text(room)} are free: {advice}"
    )


def _value_that_fits(need: Need, needs: list[Need], room: float, fits: Callable[[str, Any], bool] | None) -> Any:
    """Return a value of one of `needs` that fits beside the others, or None."""
    rest = sum(other.size for other in needs if other.setting != need.setting)
    return need.fitting(room - rest if rest < 0.5 * room else 0.5 * room, fits)


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, tuple):
        return tuple(max(1, int(part * factor)) for part in value)
    return max(1, int(value * factor))


def setting_text(value: Any, down: bool = False) -> str:
    """Return a setting's value as a user may type it; down: large ones rounded down to three digits."""
    if isinstance(value, tuple):
        return ",".join(setting_text(part, down) for part in value)
    if down and value >= 10**7:
        unit = 10 ** (len(str(int(value))) - 3)
        value = int(value) // unit * unit
    return str(value) if value < 10**7 else number(value)


def size_text(size: float) -> str:
    """Return a number of bytes in words: "3.4 MB"."""
    for unit, name in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size / 1e3:.3g} kB"
