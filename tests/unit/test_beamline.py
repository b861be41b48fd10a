"""The made-up beam line of the examples: its physics, the hand-written controller, and the count of two sets of books."""

import dataclasses
import json

import numpy as np
import pytest

from examples.beamline import books, control, response_matrix
from examples.beamline.machine import SHOT, BeamLost, Design, Machine, NoReading
from examples.beamline.machine import response_matrix as response_of
from examples.beamline.server import Service

STILL = Design(noise=0.0, offset=0.0, bend=0.0, gain_error=0.0, current_noise=0.0, failing=0.0, drift=0.0)


@pytest.mark.parametrize("correctors", [4, 6, 16])
def test_a_corrector_moves_only_what_lies_behind_it_and_all_can_be_told_apart(correctors):
    response = response_of(Design(correctors=correctors))
    assert response.shape == (correctors + 2, correctors)
    assert (np.triu(response, 1) == 0).all()
    assert (np.diag(response) > 0).all()  # the phase advance to the next monitor is below half a turn
    assert np.linalg.cond(response) < 20 * correctors


def test_the_orbit_is_the_response_to_all_kicks():
    machine = Machine(STILL)
    before = machine.begin()
    kicked = machine.reference + 0.1 * np.eye(4)[0]
    after = machine.shot(kicked)
    assert after.orbit - before.orbit == pytest.approx(0.1 * machine.response[:, 0])
    assert after.currents == pytest.approx(kicked)
    assert after.time == pytest.approx(SHOT)


def test_the_opposite_of_the_error_kicks_brings_the_orbit_to_zero():
    machine = Machine(STILL)
    reading = machine.begin()
    wanted = reading.currents - np.linalg.pinv(machine.response) @ reading.orbit
    for _ in range(3):  # a power supply moves by at most 0.8 A from shot to shot
        reading = machine.shot(wanted)
    assert reading.orbit == pytest.approx(np.zeros(6), abs=1e-9)


def test_power_supplies_are_slow_and_their_readback_is_not_the_set_point():
    machine = Machine(dataclasses.replace(STILL, gain_error=0.01, aperture=99.0))
    start = machine.begin().currents
    far = start + 1.2
    first, second = machine.shot(far).currents, machine.shot(far).currents
    assert first - start == pytest.approx(np.full(4, 0.8))
    assert second == pytest.approx(machine.gains * far)
    assert (np.abs(second - far) > 1e-4).all()


def test_set_points_are_clipped_to_what_the_supplies_have():
    machine = Machine(dataclasses.replace(STILL, aperture=1e9))
    machine.begin()
    for _ in range(9):
        reading = machine.shot(np.full(4, 50.0))
    assert reading.currents == pytest.approx(np.full(4, STILL.most_current))


def test_a_beam_that_touches_the_aperture_is_off_until_the_reset():
    machine = Machine(STILL)
    machine.begin()
    with pytest.raises(BeamLost, match="aperture"):
        for _ in range(9):
            machine.shot(np.full(4, 2.0))
    with pytest.raises(BeamLost, match="reset"):
        machine.shot(machine.reference)
    machine.reset()
    assert machine.shot(machine.reference).currents == pytest.approx(machine.reference)


def test_some_shots_have_no_reading():
    machine = Machine(dataclasses.replace(STILL, failing=0.3))
    machine.begin()
    failed = 0
    for _ in range(500):
        try:
            machine.shot(machine.reference)
        except NoReading:
            failed += 1
    assert 100 < failed < 200


def test_the_orbit_drifts_over_hours_and_not_from_shot_to_shot():
    machine = Machine(dataclasses.replace(STILL, drift=0.2))
    reading = machine.begin()
    soon = machine.shot(machine.reference)
    assert np.abs(soon.orbit - reading.orbit).max() < 1e-4
    machine.wait(6)
    assert np.abs(machine.shot(machine.reference).orbit - soon.orbit).max() > 0.05


def test_noise_has_the_size_that_the_design_says():
    machine = Machine(dataclasses.replace(STILL, noise=0.03))
    machine.begin()
    readings = np.array([machine.shot(machine.reference).orbit for _ in range(2000)])
    assert readings.std(axis=0) == pytest.approx(np.full(6, 0.03), rel=0.1)


def test_numbered_settings_are_alike_at_every_call_and_have_no_noise():
    machine = Machine()
    first = machine.begin(7)
    machine.shot(machine.reference)
    machine.begin()
    again = machine.begin(7)
    assert again.orbit.tolist() == first.orbit.tolist()
    assert machine.shot(again.currents).orbit == pytest.approx(again.orbit, abs=0.1)
    assert machine.begin(8).orbit.tolist() != first.orbit.tolist()


@pytest.mark.parametrize("correctors", [4, 8, 16])
def test_every_setting_begins_within_the_aperture(correctors):
    machine = Machine(Design(correctors=correctors))
    for case in range(50):
        machine.begin(case)
        machine.shot(machine.reference)  # raises no BeamLost


@pytest.mark.parametrize("correctors", [3, 17])
def test_lines_that_are_too_short_or_too_long_are_refused(correctors):
    with pytest.raises(ValueError, match="4 to 16 correctors"):
        Design(correctors=correctors)


class Local:
    """The requests of `Link`, answered by a machine in this process."""

    def __init__(self, machine):
        self.machine = machine
        self.line = Line(machine)

    def begin(self, case=None):
        return self.machine.begin(case)

    def shot(self, set_points):
        return self.machine.shot(set_points)

    def reset(self):
        self.machine.reset()


class Line:
    """What `control.limits` and the hand-written controller read."""

    def __init__(self, machine):
        self.reference, self.most_current = machine.reference.tolist(), machine.design.most_current


def test_the_response_matrix_is_measured_and_corrects_the_orbit():
    machine = Machine(STILL)
    measured = response_matrix.measure(Local(machine))
    assert measured.response == pytest.approx(machine.response, abs=1e-9)
    assert measured.points == 16
    reading = machine.begin(0)
    correct = response_matrix.controller(Local(machine), measured.response)
    for _ in range(3):
        reading = machine.shot(correct(reading))
    assert np.abs(reading.orbit).max() < 1e-6


def test_the_reward_is_the_negative_mean_square():
    reading = Machine(STILL).begin()._replace(orbit=np.array([1.0, -2.0]))
    assert control.reward(reading) == pytest.approx(-2.5)


def test_the_server_refuses_what_makes_no_sense(tmp_path):
    service = Service(Machine(STILL), tmp_path / "log.jsonl", 1e6)
    service.answer({"op": "begin"})
    service.answer({"op": "shot", "number": 3, "set": [0.0] * 4})
    for wrong in (
        {"op": "dance"},
        {"op": "shot", "number": 3, "set": [0.0] * 4},
        {"op": "shot", "number": 4, "set": [0.0] * 3},
        {"op": "shot", "number": 4, "set": [0.0, 0.0, 0.0, float("nan")]},
    ):
        with pytest.raises(ValueError):
            service.answer(wrong)
    service.close()
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert kinds == ["begin", "shot"]


def a_log(file, numbers, learnt):
    rows = [{"kind": "shot", "case": None, "number": n, "orbit": [n + 0.5], "currents": [0.25]} for n in numbers]
    rows += [{"kind": "learnt", "number": n} for n in learnt]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_books_count_what_is_lost_doubled_foreign_and_cut_off(tmp_path):
    log = a_log(tmp_path / "log.jsonl", numbers=[1, 2, 3, 4, 5], learnt=[1, 2, 5])
    seen = np.array([[1.5, 0.25], [3.5, 0.25], [3.5, 0.25], [9.0, 0.25], [5.5, 0.25]], np.float32)
    found = books.count(books.read_log(log), seen)
    assert found == books.Count(acknowledged=3, journalled=5, lost=1, doubled=1, foreign=1, cut_off=2)
    assert not found.good
    assert books.count(books.read_log(log), seen[[0, 1, 4]]) == books.Count(3, 3, 1, 0, 0, 2)
