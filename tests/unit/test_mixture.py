"""The mixture behind priors, and the faults that its best-known ancestor has."""

import numpy as np
import pytest

from compilations import COMPILED
from reverie.models import mixture


@pytest.fixture
def blobs(generator):
    """Three well-parted clusters in 4 dimensions, 600 points, standardised."""
    centres = np.array([[4.0, 0, 0, 0], [-4, 0, 0, 0], [0, 4, 0, 0]])
    points = np.concatenate([centre + 0.3 * generator.standard_normal((200, 4)) for centre in centres])
    return (points - points.mean(0)) / points.std(0)


def test_objective_never_falls_and_convergence_is_noticed_at_any_sign(blobs):
    """Seen in cbfinn/gps: a test of |Δ| < 1e-5·ll never holds where ll is negative."""
    for spread in (0.01, 1.0):  # log-likelihoods of either sign
        objective = mixture.fit(blobs * spread, 0).objective
        assert np.diff(objective).min() > -1e-9
        assert 2 <= len(objective) < mixture.ITERATIONS


def test_log_likelihood_is_what_the_definition_says(blobs):
    """The last objective, put together by brute force."""
    found = mixture.fit(blobs, 0)
    whole = blobs.T @ blobs / len(blobs)
    pull = 4 * (whole + mixture.FLOOR * np.eye(4))
    density, penalty = np.zeros(len(blobs)), 0.0
    for weight, mean, covariance in zip(found.weight, found.mean, found.covariance, strict=True):
        inverse, size = np.linalg.inv(covariance), np.linalg.det(covariance)
        off = blobs - mean
        density += weight * np.exp(-0.5 * ((off @ inverse) * off).sum(1)) / np.sqrt((2 * np.pi) ** 4 * size)
        penalty += 0.5 * (np.trace(pull @ inverse) + 4 * np.log(size))
    assert found.objective[-1] == pytest.approx((np.log(density).sum() - penalty) / len(blobs), rel=1e-9)


def test_parameters_are_moments_under_the_responsibilities(generator, blobs):
    """Seen in cbfinn/gps: scatter divided by the number of clusters, not of points."""
    many = mixture.fit(blobs, 0)
    share = mixture.responsibilities(many, blobs)
    np.testing.assert_allclose(share.sum(1), 1.0)
    assert many.weight.sum() == pytest.approx(1.0)
    joint = mixture.mixed(many, many.weight)
    np.testing.assert_allclose(joint.mean, blobs.mean(0), atol=0.05)
    between = joint.covariance - np.tensordot(many.weight, many.covariance, 1)
    assert np.diagonal(between)[:2].min() > 0.8  # of a variance of 1: most of it lies between clusters


def test_covariances_are_of_each_clusters_points_and_of_imagined_ones(generator):
    """Two blobs far apart, so that EM ends where responsibilities are 0 and 1."""
    points = generator.standard_normal((80, 4)) + np.repeat([[30.0], [-30.0]], [50, 30], axis=0)
    found, pulled = mixture.fit(points, 0), points.T @ points / 80 + mixture.FLOOR * np.eye(4)
    for cluster in (points[:50], points[50:]):
        k = np.abs(found.mean - cluster.mean(0)).sum(1).argmin()
        scatter = (cluster - cluster.mean(0)).T @ (cluster - cluster.mean(0))
        np.testing.assert_allclose(found.mean[k], cluster.mean(0), atol=1e-6)
        np.testing.assert_allclose(found.covariance[k], (scatter + 4 * pulled) / (len(cluster) + 4), rtol=1e-4)
        assert found.weight[k] == pytest.approx(len(cluster) / 80)


def test_same_seed_same_mixture_and_another_differs(blobs):
    first, second, other = (mixture.fit(blobs, seed) for seed in (0, 0, 1))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.mean, other.mean)


def test_number_of_clusters_is_bounded():
    assert mixture.clusters_for(10, 4) == 2
    assert mixture.clusters_for(400, 4) == 10
    assert mixture.clusters_for(400, 40) == 2
    assert mixture.clusters_for(100_000, 4) == mixture.CLUSTERS


def test_points_that_are_all_the_same_or_fewer_than_clusters_give_no_nan():
    """Seen in cbfinn/gps: a first cluster without points gives NaN."""
    for points in (np.zeros((300, 3)), np.ones((1, 3)), np.repeat(np.eye(3), 2, axis=0)):
        for part in mixture.fit(points, 0):
            assert np.isfinite(part).all()


def test_number_of_points_is_that_of_the_points_given(blobs):
    """Seen in cbfinn/gps: after a warm start the count of the first fit goes on being used.  Here nothing is kept."""
    mixture.fit(blobs[:100], 0)
    again = mixture.fit(blobs, 0)
    for a, b in zip(again, mixture.fit(blobs, 0), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(again.weight) == mixture.clusters_for(len(blobs), 4)


def test_fits_of_like_size_share_a_program(generator):
    mixture.fit(generator.standard_normal((300, 3)), 0)
    COMPILED.clear()
    for count in (260, 400, 512):
        mixture.fit(generator.standard_normal((count, 3)), 0)
    assert not COMPILED


def test_of_very_many_points_some_are_drawn(generator):
    mixture.fit(generator.standard_normal((mixture.POINTS, 3)), 0)
    COMPILED.clear()
    mixture.fit(generator.standard_normal((5 * mixture.POINTS, 3)), 0)
    assert not COMPILED
