import numpy as np
import pytest

from reverie.maths import exploration


def run(process, scale, generator, steps=40_000):
    memory, out = process.begin(1), []
    for z in generator.standard_normal((steps, 1)):
        noise, memory = process.step(memory, z, scale)
        out.append(noise[0])
    return np.array(out)


def test_ornstein_uhlenbeck_has_the_stated_size_and_memory(generator):
    noise = run(exploration.process("ou"), 0.3, generator)
    assert np.std(noise) == pytest.approx(0.3 / np.sqrt(1 - 0.85**2), rel=0.05)
    assert np.corrcoef(noise[:-1], noise[1:])[0, 1] == pytest.approx(0.85, abs=0.02)


def test_gaussian_has_the_stated_size_and_no_memory(generator):
    noise = run(exploration.process("gaussian"), 0.3, generator)
    assert np.std(noise) == pytest.approx(0.3, rel=0.03)
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.02


def test_first_step_from_rest_by_hand():
    process = exploration.process("precision")
    noise, memory = process.step(process.begin(2), np.array([1.0, -2.0]), 0.5)
    np.testing.assert_allclose(noise, [0.5, -1.0])
    noise, _ = process.step(memory, np.array([0.0, 1.0]), 0.5)
    np.testing.assert_allclose(noise, [0.425, -0.35])
