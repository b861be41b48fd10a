"""Ahead-of-time compilation of the programs that learning calls, so that no step waits for a compiler."""

from collections.abc import Callable, Iterable, Mapping


class CompiledPrograms:
    """Programs by name, each with the function that compiles it."""

    def __init__(self, programs: Mapping[str, Callable[[], None]]):
        self._compile = dict(programs)
        self._done: set[str] = set()

    @property
    def complete(self) -> bool:
        """Whether everything is compiled."""
        return self._done == self._compile.keys()

    def missing(self, called: Iterable[str]) -> list[str]:
        """Return the names in `called` that are not compiled yet."""
        return [name for name in called if name in self._compile.keys() - self._done]

    def compile(self, names: Iterable[str]) -> None:
        """Compile programs by name; `jit` then reuses the compiled result."""
        for name in names:
            self._compile[name]()
            self._done.add(name)
