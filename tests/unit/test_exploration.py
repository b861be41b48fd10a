import numpy as np
import pytest

from reverie.maths import exploration


def run(process, scale, generator, steps=40_000):
    memory, out = process.begin(1), []
    for z in generator.standard_normal((steps, 1)):
        added, memory = process.step(memory, z, scale)
        out.append(added[0])
    return np.array(out)


def test_ornstein_uhlenbeck_has_the_stated_size_and_memory(generator):
    added = run(exploration.process("ou"), 0.3, generator)
    assert np.std(added) == pytest.approx(0.3 / np.sqrt(1 - 0.85**2), rel=0.05)
    assert np.corrcoef(added[:-1], added[1:])[0, 1] == pytest.approx(0.85, abs=0.02)


def test_gaussian_has_the_stated_size_and_no_memory(generator):
    added = run(exploration.process("gaussian"), 0.3, generator)
    assert np.std(added) == pytest.approx(0.3, rel=0.03)
    assert abs(np.corrcoef(added[:-1], added[1:])[0, 1]) < 0.02


def test_first_step_from_rest_by_hand():
    process = exploration.process("precision")
    added, memory = process.step(process.begin(2), np.array([1.0, -2.0]), 0.5)
    np.testing.assert_allclose(added, [0.5, -1.0])
    added, _ = process.step(memory, np.array([0.0, 1.0]), 0.5)
    np.testing.assert_allclose(added, [0.425, -0.35])
