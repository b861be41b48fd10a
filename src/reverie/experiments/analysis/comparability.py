"""Check that cells may be in one report.

They must be made with one version of reverie and of each domain, and be as long as those they are compared with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reverie.core.errors import ConfigError
from reverie.core.words import count, joined, listed
from reverie.domains import DOMAINS
from reverie.experiments.execution.results_store import ResultsStore
from reverie.experiments.spec.declaration import RANDOM, DomainExperiment
from reverie.experiments.spec.hyperparameter_search import searched
from reverie.experiments.spec.paper import EXPERIMENTS
from reverie.storage.config import completed

Settings = Mapping[str, Mapping[str, Any]]  # by "domain/variant"


def require_as_long(settings: Settings, remedy: str) -> None:
    """Raise ConfigError if two variants of a panel, or of its search, have different numbers of episodes.

    settings: of cells, by "domain/variant".  remedy: what to do, for the message.
    """
    for panel in _panels():
        names = [f"{panel.domain}/{variant.name}" for variant in panel.variants if variant.agent != RANDOM]
        lengths = {name: settings[name]["episodes"] for name in names if name in settings}
        first = next(iter(lengths), "")
        for name, episodes in lengths.items():
            if episodes != lengths[first]:
                raise ConfigError(
                    f"{first} has {count(lengths[first], 'episode')} and {name} {episodes}: they would be compared; {remedy}"
                )


def _panels() -> list[DomainExperiment]:
    panels = [panel for experiment in EXPERIMENTS.values() for panel in experiment.panels]
    return [*panels, *map(searched, panels)]


def is_older(settings: Settings, name: str) -> bool:
    """Return whether cells "domain/variant" were made with another version of their domain than today's."""
    domain = DOMAINS.get(name.partition("/")[0])
    made = completed(dict(settings.get(name, {}))).get("domain_version")
    return domain is not None and made is not None and made != domain.version


def require_current(folder: ResultsStore, what: str, remedy: str) -> None:
    """Raise ConfigError if cells of a folder are of another version of their domain than today's.

    what: is to be said of these cells.  remedy: what to do.
    """
    seeds: dict[str, list[int]] = {}
    for domain, variant, seed in sorted(folder.cells):
        if is_older(folder.settings, f"{domain}/{variant}"):
            seeds.setdefault(f"{domain}/{variant}", []).append(seed)
    if not seeds:
        return
    domains = dict.fromkeys(name.partition("/")[0] for name in seeds)
    cells = [f"{name} (seed{'s' * (len(own) > 1)} {joined(own)})" for name, own in seeds.items()]
    raise ConfigError(
        f"{folder.path} holds cells of an older {joined(domains)}, which has changed since: {listed(cells)} {what}; {remedy}"
    )


def require_together(folders: Sequence[ResultsStore]) -> None:
    """Raise ConfigError if the results in some folders cannot be on one page."""
    for folder in folders:
        require_current(folder, "say nothing of today's", "make them anew, or leave the folder out")
    versions = {folder.version: folder.path for folder in reversed(folders)}
    if len(versions) > 1:
        makers = " and ".join(f"{path} by reverie {version}" for version, path in reversed(versions.items()))
        raise ConfigError(f"{makers}: results of two versions do not mix; make a page of each")
    require_as_long({name: own for folder in folders for name, own in folder.settings.items()}, "make a page of each")
