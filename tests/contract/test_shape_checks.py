"""Tests check the shapes in signatures at every call, and see one that is wrong."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from jaxtyping import Bool, Float, TypeCheckError, jaxtyped

import shape_checks
from reverie.maths.array_types import Array


class Pair(NamedTuple):
    K: Float[Array, "T m"]
    mean: Float[Array, "m"]


def check(function):
    return jaxtyped(typechecker=shape_checks.checked)(function)


@check
def product(A: Float[Array, "n m"], x: Float[Array, "m"] | None = None) -> Float[Array, "n"]:
    return A[:, 0] if x is None else A @ x


@pytest.mark.parametrize(
    "arguments",
    [
        (np.ones((2, 3)), np.ones(2)),
        (np.ones(3), np.ones(3)),
        (np.ones((2, 3), int), np.ones(3)),
        (np.ones((2, 3)), 1.0),
        ([[1.0]], None),
    ],
)
def test_arguments_that_break_a_promise_are_errors(arguments):
    with pytest.raises(TypeCheckError):
        product(*arguments)


def test_arguments_that_keep_it_pass():
    assert product(np.ones((2, 3)), np.ones(3, np.float32)).tolist() == [3, 3]
    assert product(np.ones((2, 3)), None).tolist() == [1, 1]


@pytest.mark.parametrize("mean", [np.ones(2), np.ones((3, 1)), np.ones(3, bool), None])
def test_fields_of_results_are_checked(mean):
    with pytest.raises(TypeCheckError, match="return value"):
        check(make_pair)(mean)


class Trajectory(NamedTuple):
    states: Float[Array, "T+1 n"]
    actions: Float[Array, "T m"]


@pytest.mark.parametrize(("states", "passes"), [(5, True), (4, False)])
def test_sizes_that_follow_from_others_are_checked_after_them(states, passes):
    given = np.ones((states, 2)), np.ones((4, 1))

    @check
    def function(states: Float[Array, "T+1 n"], actions: Float[Array, "T m"]) -> None: ...

    @check
    def in_a_tuple() -> tuple[Float[Array, "T+1 n"], Float[Array, "T m"]]:
        return given

    @check
    def in_fields() -> Trajectory:
        return Trajectory(*given)

    for call in (lambda: function(*given), in_a_tuple, in_fields):
        if passes:
            call()
        else:
            with pytest.raises(TypeCheckError):
                call()


def test_dicts_may_hold_lists_as_arguments_but_not_as_results():
    @check
    def function(moments: dict[str, Float[Array, "..."]]) -> dict[str, Float[Array, "..."]]:
        return moments

    assert function({"mean": np.ones(2)})
    with pytest.raises(TypeCheckError, match="return value"):
        function({"mean": [1.0, 1.0]})


@pytest.mark.parametrize("kind", [dict, list, tuple])
def test_there_may_be_none_in_place_of_several_arrays(kind):
    several = {
        dict: dict[str, Float[Array, "n"]],
        list: list[Float[Array, "n"]],
        tuple: tuple[Float[Array, "n"], ...],
    }

    @check
    def function() -> list[several[kind] | None]:
        return [None]

    assert function() == [None]


def test_functions_as_arguments_promise_no_arrays():
    @check
    def function(of: Callable[[Float[Array, "n"]], Float[Array, "n"]]) -> Float[Array, "n"]:
        return of(np.ones(2))

    assert function(lambda x: x).shape == (2,)


def make_pair(mean) -> Pair:
    return Pair(np.ones((4, 3)), mean)


def test_fields_of_results_that_fit_pass():
    assert check(make_pair)(np.ones(3)).mean.shape == (3,)


@pytest.mark.parametrize(
    "result", [(np.ones(2), np.ones(2, bool), 0), (np.ones(2), np.ones(2)), (np.ones(2), np.ones(3))]
)
def test_tuples_are_checked_one_by_one(result):
    @check
    def function() -> tuple[Float[Array, "n"], Bool[Array, "n"]]:
        return result

    with pytest.raises(TypeCheckError):
        function()


def test_every_module_of_the_packages_is_checked():
    for package in shape_checks.PACKAGES:
        module = importlib.import_module(package)
        for each in pkgutil.walk_packages(module.__path__, f"{package}."):
            loader = importlib.import_module(each.name).__spec__.loader
            assert "jaxtyping" in type(loader).__module__, each.name
