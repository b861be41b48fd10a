"""All studies by name.  A study is declared in the module that is named here, and imported when it is asked for."""

import importlib

from reverie.core.errors import unknown
from studies.study import Study

MODULES = {
    "paper": "catalogue.paper",
    "normalisation": "catalogue.naf",
    "naf-paper": "catalogue.naf",
    "baseline-scores": "catalogue.domains",
    "grasp": "catalogue.grasp",
    "reach": "catalogue.reach",
    "baselines": "catalogue.baselines",
    "imagine": "catalogue.imagine",
    "critique": "catalogue.critique",
    "priors": "catalogue.priors",
    "varying": "catalogue.varying",
    "plan": "catalogue.plan",
    "mpc-speed": "catalogue.mpc_speed",
    "pilqr-halves": "catalogue.pilqr",
    "dyna": "catalogue.dyna",
    "trials": "catalogue.trials",
    "samples": "catalogue.samples",
    "values": "analyses.values",
    "exchange": "analyses.exchange",
    "shape": "analyses.shape",
    "shoot": "analyses.shoot",
    "intervals": "analyses.intervals",
    "startup": "analyses.startup",
    "overhead": "analyses.overhead",
    "logs": "catalogue.logs",
    "clock": "catalogue.clock",
    "soak": "catalogue.soak",
    "tour": "analyses.tour",
}
HEADER = ("study", "question", "command", "minutes", "quoted in")


def find(name: str) -> Study:
    """Return a study.  Raises ConfigError, which names the nearest, where there is none of this name."""
    if name not in MODULES:
        raise unknown("study", name, MODULES, "`python -m studies list` names all")
    module = importlib.import_module(f"studies.{MODULES[name]}")
    return next(found for found in vars(module).values() if isinstance(found, Study) and found.name == name)


def table() -> str:
    """Return the table of all studies in Markdown."""
    lines = [HEADER, tuple("---" for _ in HEADER)]
    for study in map(find, MODULES):
        verb = "run" if study.columns or study.commands or study.measure else "plot"
        command = f"`python -m studies {verb} {study.name}`"
        lines.append((f"`{study.name}`", study.question, command, f"{study.minutes:g}", ", ".join(study.quoted)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
