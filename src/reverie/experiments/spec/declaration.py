"""Types that describe experiments: domains, variants and numbers of episodes, as data to check against the paper."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

NOTHING: Mapping[str, Any] = {}
RANDOM = "random"  # name of the agent that acts at random and does not learn
TEST_EPISODES = 10  # greedy episodes per score
TEST_SEED = 12345  # of the starts of test episodes, which are the same for all cells of a domain
REST_SPEED = 0.05  # rad/s or m/s, RMS over joints and the last tenth of an episode: below it, the episode ends at rest
WORKER = "reverie.experiments.execution.worker"  # the module that does a cell of the paper
# Environment variables of a cell's process, so that it uses one thread.
PINNED = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
}


class Variant(NamedTuple):
    """A variant of an experiment: an agent with the paper's settings and some changes, with or without imagination."""

    name: str
    text: str  # one line for users
    agent: str = "naf"  # name of an algorithm, or RANDOM
    settings: Mapping[str, Any] = NOTHING  # changes to the agent's `paper(domain)`
    model: str = ""  # name of the dynamics model for Algorithm 2; "": no imagination
    model_settings: Mapping[str, Any] = NOTHING
    as_paper: bool = True  # True: settings of `Imagination.paper`; False: our defaults
    imagination: Mapping[str, Any] = NOTHING  # changes to these settings


class DomainExperiment(NamedTuple):
    """A domain of an experiment: its variants, and how long they learn."""

    domain: str
    episodes: int  # number of real episodes of each variant
    variants: tuple[Variant, ...]
    every: int = 10  # episodes between two scores
    length: int = 5  # l: steps of imagined rollouts


class Experiment(NamedTuple):
    """A table or a figure of the paper."""

    name: str
    text: str  # one line for users
    panels: tuple[DomainExperiment, ...]


class RunSpec(NamedTuple):
    """A cell: one variant learns on one domain with one seed, in one process. Its results depend only on these."""

    domain: str
    variant: Variant
    seed: int
    episodes: int  # number of real episodes
    every: int  # episodes between two scores
    length: int  # l: steps of imagined rollouts, if the variant imagines

    @property
    def key(self) -> tuple[str, str, int]:
        """The cell's key in tables: (domain, variant, seed)."""
        return self.domain, self.variant.name, self.seed

    @property
    def folder_name(self) -> str:
        """The name of the cell's folder."""
        return "--".join(map(str, self.key))

    @property
    def worker(self) -> str:
        """The module that does it."""
        return WORKER


def cells_of(
    panels: Iterable[DomainExperiment], seeds: int, episodes: int | None = None, first_seed: int = 0
) -> list[RunSpec]:
    """Return the cells of some panels. Each cell is returned once, because figures share them; the first seed comes first.

    seeds: number of seeds, from `first_seed` on.  episodes: number of real episodes instead of the panels' own.
    """
    found: dict[tuple[str, str, int], RunSpec] = {}
    panels = list(panels)
    for seed in range(first_seed, first_seed + seeds):
        for panel in panels:
            for variant in panel.variants:
                length = panel.every if variant.agent == RANDOM else episodes or panel.episodes  # it does not learn
                cell = RunSpec(panel.domain, variant, seed, length, panel.every, panel.length)
                found.setdefault(cell.key, cell)
    return list(found.values())
