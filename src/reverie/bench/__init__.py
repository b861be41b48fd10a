"""Benchmarks of speed. Each is a ratio to another library or to a limit, measured side by side in one call."""

from reverie.core.registry import Registry

BENCHMARKS = Registry(  # keys are arguments of `reverie bench`; values are functions (peers, rounds) -> facts
    {
        "update": "reverie.bench.benchmarks:update",
        "step": "reverie.bench.benchmarks:step",
        "act": "reverie.bench.benchmarks:act",
        "clock": "reverie.bench.clock_benchmark:clock",
        "fit": "reverie.bench.fit_benchmark:fit",
        "plan": "reverie.bench.planner_benchmark:plan",
        "imagine": "reverie.bench.imagination_benchmark:imagine",
        "collect": "reverie.bench.collector_benchmark:collect",
        "solve": "reverie.bench.tabular_benchmark:solve",
    }
)
