"""What an experiment is: domains, contenders and how long they learn, as data that a reader can check against the paper."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

NOTHING: Mapping[str, Any] = {}
RANDOM = "random"  # the agent that acts at random and learns nothing
TEST_EPISODES = 10  # greedy episodes to a score
TEST_SEED = 12345  # of their starts, which are the same for all cells of a domain
REST_SPEED = 0.05  # rad/s (m/s), root mean square over joints and the last tenth of an episode: at less it ends at rest
# The environment of a cell's process: one thread to each.
PINNED = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
}


class Variant(NamedTuple):
    """A contender: an agent with the paper's settings for the domain and `settings` changed; a model, and it dreams."""

    name: str
    text: str
    agent: str = "naf"  # an algorithm's name, or RANDOM
    settings: Mapping[str, Any] = NOTHING  # changes to the agent's `paper(domain)`
    model: str = ""  # of dynamics, for Algorithm 2; "": none
    model_settings: Mapping[str, Any] = NOTHING
    as_paper: bool = True  # `Imagination.paper`, or what we recommend
    imagination: Mapping[str, Any] = NOTHING  # changes to that


class DomainExperiment(NamedTuple):
    """A domain of an experiment: who learns there, and for how long."""

    domain: str
    episodes: int  # real ones, each
    variants: tuple[Variant, ...]
    every: int = 10  # episodes between scores
    length: int = 5  # l of imagined rollouts


class Experiment(NamedTuple):
    """A table or a figure of the paper."""

    name: str
    text: str  # one line for people
    panels: tuple[DomainExperiment, ...]


class RunSpec(NamedTuple):
    """What one process does: one contender learns on one domain with one seed.  Knows all that decides its numbers."""

    domain: str
    variant: Variant
    seed: int
    episodes: int
    every: int
    length: int  # l, where the variant imagines

    @property
    def key(self) -> tuple[str, str, int]:
        """Its name in tables."""
        return self.domain, self.variant.name, self.seed

    @property
    def folder_name(self) -> str:
        """Its name as a folder."""
        return "--".join(map(str, self.key))


def cells_of(panels: Iterable[DomainExperiment], seeds: int, episodes: int | None = None) -> list[RunSpec]:
    """Return the cells of some panels, each once (figures share them), all of seed 0 first.

    episodes: instead of the panels' own.
    """
    found: dict[tuple[str, str, int], RunSpec] = {}
    panels = list(panels)
    for seed in range(seeds):
        for panel in panels:
            for variant in panel.variants:
                length = panel.every if variant.agent == RANDOM else episodes or panel.episodes  # it never changes
                cell = RunSpec(panel.domain, variant, seed, length, panel.every, panel.length)
                found.setdefault(cell.key, cell)
    return list(found.values())
