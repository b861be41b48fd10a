"""Updates on logged transitions alone, before the first real step."""

from collections.abc import Callable, Iterator

from reverie.training.trainer import Trainer


def pretraining_left(trainer: Trainer) -> int:
    """Return how many updates are still to run before the first real step, each a compiled call."""
    return 0 if trainer.logged is None or trainer.steps else trainer.logged.pretraining_left


def pretraining(trainer: Trainer, stops: Callable[[], bool]) -> Iterator[None]:
    """Run these updates, and yield after each.  stops: whether to stop before the next one."""
    logged = trainer.logged
    while logged is not None and pretraining_left(trainer) and not stops():
        trainer.run_update()
        logged.pretrained += 1
        yield
