"""Fuse steps of a program that together are one operation of ONNX: layer normalisation, and clipping to two numbers.

JAX writes layer normalisation as thirteen steps. One is faster in every reader. What is not found stays as it is.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from reverie.export.program import Program, Step

MEAN = ("ReduceSum", "Reshape", "Div")
NORMALISATION = (*MEAN, "Sub", "Mul", *MEAN, "Add", "Sqrt", "Div", "Mul", "Add")


def fused(program: Program) -> Program:
    """Return a program of fewer steps with the same result, up to the rounding of float32."""
    steps = list(_clips(list(_normalisations(program.steps, program.constants)), program.constants))
    used = {name for step in steps for name in step.inputs}
    return Program(tuple(steps), {name: value for name, value in program.constants.items() if name in used})


def _normalisations(steps: Sequence[Step], constants: dict[str, np.ndarray]) -> Iterator[Step]:
    """Yield the steps, with LayerNormalization in place of (x - mean) / (variance + ε)^½ * gain + shift."""
    i = 0
    while i < len(steps):
        found = _normalisation(steps[i : i + len(NORMALISATION)], constants)
        within = {step.output for step in steps[i : i + len(NORMALISATION) - 1]}
        later = {name for step in steps[i + len(NORMALISATION) :] for name in step.inputs}
        if found is None or within & later:
            yield steps[i]
            i += 1
        else:
            yield found
            i += len(NORMALISATION)


def _normalisation(steps: Sequence[Step], constants: dict[str, np.ndarray]) -> Step | None:
    """Return the one step that these thirteen are, or None."""
    if tuple(step.op for step in steps) != NORMALISATION:
        return None
    total, column, mean, centred, squared, total2, column2, variance, shifted, deviation, scaled, gained, moved = steps
    x, sizes = total.inputs[0], (constants.get(mean.inputs[1]), constants.get(variance.inputs[1]))
    wired = (
        column.inputs[0] == total.output
        and mean.inputs[0] == column.output
        and centred.inputs == (x, mean.output)
        and squared.inputs == (centred.output, centred.output)
        and total2.inputs[0] == squared.output
        and column2.inputs[0] == total2.output
        and variance.inputs[0] == column2.output
        and shifted.inputs[0] == variance.output
        and deviation.inputs == (shifted.output,)
        and scaled.inputs == (centred.output, deviation.output)
        and gained.inputs[0] == scaled.output
        and moved.inputs[0] == gained.output
    )
    gain, shift = constants.get(gained.inputs[1]), constants.get(moved.inputs[1])
    epsilon = constants.get(shifted.inputs[1])
    if not wired or gain is None or shift is None or epsilon is None or epsilon.size != 1:
        return None
    if any(size is None or size.size != 1 or float(size.item()) != gain.size for size in sizes):
        return None
    names = x, gained.inputs[1], moved.inputs[1]
    return Step("LayerNormalization", names, moved.output, {"axis": -1, "epsilon": float(epsilon.item())})


def _clips(steps: Sequence[Step], constants: dict[str, np.ndarray]) -> Iterator[Step]:
    """Yield the steps, with Clip in place of Max and Min with numbers that follow one another."""
    i = 0
    while i < len(steps):
        step, after = steps[i], steps[i + 1] if i + 1 < len(steps) else None
        low = _number(step, "Max", constants)
        high = None if after is None else _number(after, "Min", constants)
        once = sum(name == step.output for other in steps for name in other.inputs) == 1
        if low is None or high is None or after is None or not once or high[0] != step.output:
            yield step
            i += 1
        else:
            yield Step("Clip", (low[0], low[1], high[1]), after.output)
            i += 2


def _number(step: Step, op: str, constants: dict[str, np.ndarray]) -> tuple[str, str] | None:
    """Return the (input, constant) of a Max or Min with one number, in either order; None where it is something else."""
    if step.op != op or len(step.inputs) != 2:
        return None
    for x, bound in (step.inputs, step.inputs[::-1]):
        if x not in constants and bound in constants and constants[bound].ndim == 0:
            return x, bound
    return None
