"""TensorBoard output of the tables' numbers, for users who ask for it."""

import importlib.util
from pathlib import Path
from typing import Any

from reverie.core.errors import ConfigError


def require() -> None:
    """Raise ConfigError where the package that writes TensorBoard files is not installed."""
    if importlib.util.find_spec("tensorboardX") is None:
        raise ConfigError("TensorBoard files need a package: pip install 'reverie[tensorboard]'")


class TensorBoard:
    """A writer of numbers under `folder`; it writes nothing if that is None."""

    def __init__(self, folder: Path | None):
        self._writer: Any = None
        if folder is not None:
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(str(folder))

    def add(self, group: str, step: int, row: dict[str, Any]) -> None:
        """Add each number of a row as `group/name`."""
        if self._writer is not None:
            for name, value in row.items():
                if name not in ("step", "episode") and isinstance(value, int | float):
                    self._writer.add_scalar(f"{group}/{name}", value, step)

    def flush(self) -> None:
        """Flush buffered numbers to the file."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Flush and close."""
        if self._writer is not None:
            self._writer.close()
