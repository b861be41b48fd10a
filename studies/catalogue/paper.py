"""The paper's tables and figures: the cells of `reverie reproduce`, its results folder, and its page."""

from collections.abc import Iterator
from functools import partial

from reverie.experiments.analysis.claims import verdicts
from reverie.experiments.analysis.statistics import curves
from reverie.experiments.execution.results_store import ResultsStore
from reverie.experiments.spec.paper import EXPERIMENTS
from studies import paper_pictures
from studies.paper_tables import FOLDER, TABLES
from studies.study import Row, Study

# What filled the committed folder.  Other episodes or seeds of the same cells would be refused there.
COMMANDS = (
    "fig2 --domains reacher_single --variants small-naf,layer-naf,fitted,neural --seeds 5",
    "table1 --domains peg,cartpole,reacher,swimmer6 --seeds 4",
    "table1 --domains canada2d --seeds 4",
    "table1 --domains ant --seeds 4 --episodes 1230",
    "table1 --domains cheetah --seeds 4 --episodes 1000",
    "table2 --domains reacher,canada2d --variants true-naf,true-imagined,true-mpc --seeds 4 --episodes 80",
    "fig3 --domains cartpole,peg --variants naf-p --seeds 4",
    "fig3 --domains reacher --variants naf-p --seeds 2",
)


def _verdict(rows: list[Row]) -> Iterator[str]:
    del rows
    results = ResultsStore(FOLDER)
    found = curves(results)
    cells = ", ".join(f"{domain}/{variant} {len(curve.seeds)}" for (domain, variant), curve in sorted(found.items()))
    yield f"Seeds: {cells}."
    for judged in verdicts(found):
        yield f"{judged.outcome}: {judged.text}"
        yield from (f"  {line}" for line in judged.evidence)


STUDY = Study(
    name="paper",
    question="Do the paper's claims hold here?",
    variants=tuple(dict.fromkeys(v.name for e in EXPERIMENTS.values() for p in e.panels for v in p.variants)),
    tasks=tuple(dict.fromkeys(p.domain for e in EXPERIMENTS.values() for p in e.panels)),
    seeds=5,
    scored="the greedy return over 10 episodes, and whether things are at rest at the end",
    minutes=950,
    quoted=("docs/reproduce.md", "docs/naf.md", "docs/tour.md"),
    commands=tuple(f"reproduce {words}" for words in COMMANDS),
    tables=TABLES,
    verdict=_verdict,
    pictures={
        "tour/precision.png": partial(paper_pictures.draw, paper_pictures.PRECISION),
        "tour/locomotion.png": partial(paper_pictures.draw, paper_pictures.LOCOMOTION),
        "tour/models.png": partial(paper_pictures.draw, paper_pictures.MODELS),
    },
)
