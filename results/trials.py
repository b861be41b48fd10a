"""Settings tried on a domain, one seed each: `python results/trials.py [NAME …]` fills `trials.csv` (all if none is named).

A trial is a cell of `reverie reproduce` with other settings: those of `paper()` where no domain is chosen for (the paper's
table 2), and these changes; NAF's unless it says otherwise.  Few episodes and one seed show what is hopeless, not what is
best.  Trials that the CSV already holds are not run again.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import cells

from reverie.experiments.execution.worker import learn
from reverie.experiments.spec.declaration import RunSpec, Variant

FILE = Path(__file__).with_suffix(".csv")
COLUMNS: tuple[str, ...] = ("domain", "name", "seed", "episode", "return_mean", "seconds")
EVERY = 10
TABLE2 = {"normalisation": "batch", "target_rate": 0.001, "batch_size": 64, "discount": 0.99}
TABLE2 |= {"observation_normalisation": False, "reward_scale": 1.0}  # said, for a domain may have others by now
SEEN = {"observation_normalisation": True}
FASTER = {"target_rate": 0.005, "batch_size": 100}  # targets
BARE = {"normalisation": "none"}
TRACKING = {"target_rate": 0.02, "batch_size": 100}  # targets that follow closely
SWIMMER = SEEN | FASTER | {"reward_scale": 0.1}  # what both agents have on swimmer6
QUICK = SWIMMER | {"learning_rate": 0.003}  # and what NAF has there
CHEETAH = SEEN | TRACKING | {"reward_scale": 10.0}  # what both have on cheetah
ARM = BARE | SEEN | FASTER | {"reward_scale": 5.0}


class Trial(NamedTuple):
    """What is tried, where, and for how long."""

    domain: str
    episodes: int
    changes: dict[str, Any]
    seed: int = 0
    agent: str = "naf"


TRIALS = {
    "swimmer": Trial("swimmer6", 200, {}, seed=1),
    "swimmer-scale-5": Trial("swimmer6", 200, {"reward_scale": 5.0}),
    "swimmer-discount-.97": Trial("swimmer6", 200, {"discount": 0.97}),
    "swimmer-discount-.95": Trial("swimmer6", 200, {"discount": 0.95}),
    "swimmer-rate-.01": Trial("swimmer6", 200, {"learning_rate": 0.01}),
    "swimmer-noise-.1": Trial("swimmer6", 200, {"noise_scale": 0.1}),
    "swimmer-noise-1": Trial("swimmer6", 200, {"noise_scale": 1.0, "reward_scale": 0.1}),
    "swimmer-layer": Trial("swimmer6", 200, {"normalisation": "layer"}),
    "swimmer-seen": Trial("swimmer6", 200, SEEN | {"reward_scale": 0.1}),
    "swimmer-faster": Trial("swimmer6", 200, FASTER | {"reward_scale": 0.1}),
    "swimmer-bare": Trial("swimmer6", 200, SWIMMER | BARE),
    "swimmer-chosen": Trial("swimmer6", 200, SWIMMER),
    "swimmer-chosen-scale-1": Trial("swimmer6", 200, SEEN | FASTER),
    "swimmer-chosen-scale-1-discount-.97": Trial("swimmer6", 200, SEEN | FASTER | {"discount": 0.97}),
    "swimmer-chosen-discount-.97": Trial("swimmer6", 200, SWIMMER | {"discount": 0.97}),
    "swimmer-chosen-clip": Trial("swimmer6", 200, SWIMMER | {"mean_bound": "clip"}),
    "swimmer-chosen-tracking": Trial("swimmer6", 200, SWIMMER | TRACKING),
    "swimmer-chosen-discount-.995": Trial("swimmer6", 250, SWIMMER | {"discount": 0.995}),
    "swimmer-chosen-batch-256": Trial("swimmer6", 110, SWIMMER | {"batch_size": 256}),
    "swimmer-chosen-batch-32": Trial("swimmer6", 250, SWIMMER | {"batch_size": 32}),
    "swimmer-chosen-noise-1": Trial("swimmer6", 70, SWIMMER | {"noise_scale": 1.0}),
    "swimmer-chosen-rate-.0003": Trial("swimmer6", 170, SWIMMER | {"learning_rate": 0.0003}),
    "swimmer-chosen-rate-.003": Trial("swimmer6", 250, QUICK),
    "swimmer-chosen-1-rate-.003-batch-50": Trial("swimmer6", 220, QUICK | {"batch_size": 50}, seed=1),
    "swimmer-chosen-1-rate-.003-batch-25": Trial("swimmer6", 100, QUICK | {"batch_size": 25}, seed=1),
    "swimmer-chosen-1-rate-.003-noise-.1": Trial("swimmer6", 110, QUICK | {"noise_scale": 0.1}, seed=1),
    "swimmer-chosen-1-rate-.003-discount-.98": Trial("swimmer6", 160, QUICK | {"discount": 0.98}, seed=1),
    "swimmer-chosen-rate-.003-tracking": Trial("swimmer6", 80, QUICK | TRACKING),
    "swimmer-chosen-rate-.01": Trial("swimmer6", 250, SWIMMER | {"learning_rate": 0.01}),
    "swimmer-chosen-rate-.003-updates-1": Trial("swimmer6", 250, QUICK | {"updates_per_step": 1}),
    "swimmer-chosen-rate-.003-updates-2": Trial("swimmer6", 250, QUICK | {"updates_per_step": 2}),
    "swimmer-chosen-rate-.003-updates-10": Trial("swimmer6", 190, QUICK | {"updates_per_step": 10}),
    "swimmer-ddpg": Trial("swimmer6", 200, SWIMMER, agent="ddpg"),
    "swimmer-ddpg-bare": Trial("swimmer6", 200, SWIMMER | BARE, agent="ddpg"),
    "canada": Trial("canada2d", 200, {}),
    "canada-ddpg": Trial("canada2d", 300, SEEN | {"reward_scale": 5.0}, agent="ddpg"),
    "canada-ddpg-bare": Trial("canada2d", 300, ARM, agent="ddpg"),
    "canada-ddpg-faster": Trial("canada2d", 300, SEEN | FASTER | {"reward_scale": 5.0}, agent="ddpg"),
    "canada-seen": Trial("canada2d", 300, SEEN | {"reward_scale": 5.0}),
    "canada-seen-discount-.95": Trial("canada2d", 300, SEEN | {"reward_scale": 5.0, "discount": 0.95}),
    "canada-ddpg-discount-.95": Trial("canada2d", 300, SEEN | {"reward_scale": 5.0, "discount": 0.95}, agent="ddpg"),
    "canada-seen-tracking": Trial("canada2d", 300, SEEN | TRACKING | {"reward_scale": 5.0}),
    "canada-arm": Trial("canada2d", 200, ARM),
    "canada-arm-discount-.95": Trial("canada2d", 200, ARM | {"discount": 0.95}),
    "cheetah": Trial("cheetah", 300, {}),
    "cheetah-seen": Trial("cheetah", 300, SEEN | {"reward_scale": 10.0}),
    "cheetah-seen-discount-.95": Trial("cheetah", 300, SEEN | {"reward_scale": 10.0, "discount": 0.95}),
    "cheetah-seen-faster": Trial("cheetah", 300, SEEN | FASTER | {"reward_scale": 10.0}),
    "cheetah-seen-clip": Trial("cheetah", 300, SEEN | {"reward_scale": 10.0, "mean_bound": "clip"}),
    "cheetah-seen-tracking": Trial("cheetah", 300, CHEETAH),
    "cheetah-seen-tracking-2-discount-.97": Trial("cheetah", 300, CHEETAH | {"discount": 0.97}, seed=2),
    "cheetah-seen-tracking-2-rate-.01": Trial("cheetah", 130, CHEETAH | {"target_rate": 0.01}, seed=2),
    "cheetah-seen-tracking-0-bounded": Trial("cheetah", 1000, CHEETAH | {"value_bound": True}),
    "cheetah-seen-tracking-1-bounded": Trial("cheetah", 1000, CHEETAH | {"value_bound": True}, seed=1),
    "cheetah-seen-tracking-2-bounded": Trial("cheetah", 1000, CHEETAH | {"value_bound": True}, seed=2),
    "cheetah-seen-tracking-3-bounded": Trial("cheetah", 1000, CHEETAH | {"value_bound": True}, seed=3),
    "cheetah-ddpg-tracking": Trial("cheetah", 300, CHEETAH, agent="ddpg"),
    "cheetah-ddpg": Trial("cheetah", 300, SEEN | {"reward_scale": 10.0}, agent="ddpg"),
    "cheetah-layer": Trial("cheetah", 300, SEEN | FASTER | {"reward_scale": 10.0, "normalisation": "layer"}),
    "cheetah-bare": Trial("cheetah", 300, BARE | SEEN | FASTER | {"reward_scale": 10.0}),
}


def run(name: str) -> list[dict[str, Any]]:
    """Return a row per score of a trial."""
    domain, episodes, changes, seed, agent = TRIALS[name]
    variant = Variant(name, name, agent, TABLE2 | changes)
    rows: list[dict[str, Any]] = []

    def add(row: dict[str, Any]) -> None:
        values = domain, name, seed, row["episode"], row["return_mean"], row["seconds"]
        rows.append(dict(zip(COLUMNS, values, strict=True)))
        print(*values, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        learn(RunSpec(domain, variant, seed, episodes, EVERY, 0), Path(folder), add)
    return rows


def main() -> None:
    """Run what is missing."""
    for name in sys.argv[1:] or TRIALS:
        if name not in {row["name"] for row in cells.read(FILE)}:
            cells.add(FILE, run(name))


if __name__ == "__main__":
    main()
