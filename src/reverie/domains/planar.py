"""Planar geometry in closed form, so that observations and rewards need only the state. Lengths in m, angles in rad."""

from collections.abc import Iterable, Sequence

from reverie.domains.domain import Number, Ops, State

Vector = tuple[Number, Number]  # x and y

LINKS = (0.20, 0.20, 0.15)  # of the planar arms, as in `arm.xml` and the models of hands; a test compares them
TINY = 1e-12  # m²: keeps the derivatives of a distance finite at 0, and changes it by less than 1e-6 m


def end(q: Sequence[Number], lengths: Sequence[float], ops: Ops) -> Vector:
    """Return x and y of the free end of a chain of links that begins at the origin.

    q: angle of each link relative to the one before.  lengths: of the links.
    """
    sin, cos, heading, length = ops.sin, ops.cos, q[0], lengths[0]
    x, y = length * cos(heading), length * sin(heading)
    for i in range(1, len(lengths)):
        heading, length = heading + q[i], lengths[i]
        x, y = x + length * cos(heading), y + length * sin(heading)
    return x, y


def to_tip(q: Sequence[Number], target: Sequence[Number], ops: Ops) -> Vector:
    """Return the vector from a target to the tip of the arm."""
    x, y = end(q, LINKS, ops)
    return x - target[0], y - target[1]


def to_target(state: State, target: Sequence[Number], ops: Ops) -> Vector:
    """Return the vector to the target from a body whose first two positions are its x and y."""
    del ops
    return target[0] - state.q[0], target[1] - state.q[1]


def posture(q: Sequence[Number], v: Sequence[Number], ops: Ops) -> list[Number]:
    """Return sin q, cos q and the velocities v of joints, for observations. So no angle has to be wrapped."""
    return [*map(ops.sin, q), *map(ops.cos, q), *v]


def turn(vector: Vector, cosine: Number, sine: Number) -> Vector:
    """Return a vector (x, y) in axes whose x-axis points to (cosine, sine)."""
    x, y = vector
    return cosine * x + sine * y, cosine * y - sine * x


def distance(vector: Vector, ops: Ops) -> Number:
    """Return the length of (x, y), with finite derivatives everywhere."""
    x, y = vector
    return ops.sqrt(x * x + y * y + TINY)


def square(action: Iterable[Number]) -> Number:
    """Return |u|²."""
    total = 0.0
    for u in action:
        total = total + u * u
    return total
