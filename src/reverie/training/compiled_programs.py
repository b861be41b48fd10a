"""What learning calls, compiled ahead, so that no step waits for a compiler."""

from collections.abc import Callable, Iterable, Mapping


class CompiledPrograms:
    """Programs by name, each with the function that compiles it."""

    def __init__(self, programs: Mapping[str, Callable[[], None]]):
        self._compile = dict(programs)
        self._done: set[str] = set()

    @property
    def complete(self) -> bool:
        """Whether nothing is left to compile."""
        return self._done == self._compile.keys()

    def missing(self, called: Iterable[str]) -> list[str]:
        """Return those of the programs that will be called which were not compiled yet."""
        return [name for name in called if name in self._compile.keys() - self._done]

    def compile(self, names: Iterable[str]) -> None:
        """Compile programs; what `jit` holds then is called as it is."""
        for name in names:
            self._compile[name]()
            self._done.add(name)
