"""PILQR: what a fitted model explains of the cost is minimised by LQR, what it misses by path integrals.

Chebotar, Hausman, Zhang, Sukhatme, Schaal & Levine 2017.  A cost is c = ĉ + c̃: ĉ quadratic under fitted dynamics, c̃ the
residual on sampled episodes.  With costs to go S = Ŝ + S̃, the controller that is best within a KL bound factorises,

    p(u | x) ∝ q(u | x) exp(-S/η) = p̂(u | x) exp(-S̃/η)  with  p̂ ∝ q exp(-Ŝ/η).                                  (4)

Stage 1 finds p̂ with one multiplier η_t a step (`lqr_kl`), stage 2 is PI² about p̂ with the weights of S̃ (`path_integral`):

    w_i ∝ exp(-S̃_i/η),  where η is the temperature of the whole cost S; then (3) with L̂ for L.                     (6)

The paper's text was not at hand; its side below is the authors' code, cbfinn/gps.  Where we differ (ours / theirs):
 1. Both stages share a temperature, as (4) has it: η_t of stage 1 is at least that of stage 2, and that of stage 2 at
    least such that the weights of S̃ keep within their bound, too (`shared`) / each has its own; then stage 1, which no
    sampling error slows down, undoes at each iteration what stage 2 has found (`docs/pilqr.md`).
 2. The residual is rolled out from each sample's own start / from the mean start.
 3. The schedules of ε and of its multiplier run over t/T / are written down for T = 100.
 4. Where the sampled cost is 0 its bound stays as it is / the residual is divided by 0.
 5. Where stage 1 fails, where costs are not finite, or where the model runs away, the old controller stays / not said.
Those of the two stages are numbered in `path_integral` and `lqr_kl`.
"""

import dataclasses
from typing import Any, Literal, NamedTuple

import numpy as np

from reverie.control import kl_step_per_time, shapes
from reverie.control.controller import Controller
from reverie.control.lqr import QuadraticCost
from reverie.control.path_integral import costs_to_go, moved, temperature, weights
from reverie.core.argument_checks import shown
from reverie.core.checked_settings import Settings
from reverie.core.dynamics import Linear
from reverie.core.errors import ConfigError, SpaceError
from reverie.core.status import Status

MOST, LEAST = (10.0, 5.0), (0.01, 0.5)  # of the multipliers of ε, at the first step and the last


@dataclasses.dataclass(frozen=True, kw_only=True)
class PILQR(Settings):
    """Settings of PILQR and of its halves; defaults are those of the authors' code where it has them."""

    stages: Literal["both", "lqr", "pi2"] = "both"
    """Both stages; LQR under a KL bound alone (c̃ := 0); path integrals alone (ĉ := 0, no model)."""
    kl_first: float = 0.4
    """ε of stage 1 at the first step of an episode, nats; before its multiplier."""
    kl_last: float = 0.2
    """ε at the last step; straight in between."""
    sample_kl: float = 1.0
    """ε of stage 2: how far the samples' weights go from uniform, nats."""
    damping: float = 2.0
    """Of the covariance in stage 2: the greater, the longer exploration lasts."""
    share_low: float = 0.05
    """Where the model misses less of the cost than this share, the bound of stage 1 doubles."""
    share_high: float = 0.2
    """Where it misses more than this, the bound is halved."""
    exact: bool = False
    """Whether stage 1 counts the KL of later steps, too, and so lowers the modelled cost as far as its bounds allow; the
    authors' code does not (`control/kl_step_per_time.py`)."""
    shared: bool = True
    """Whether both stages share a temperature (difference 1); only with both of them."""
    centred: bool = True
    """Whether weights count from 1/N (difference 1 of `control/path_integral.py`)."""
    noise: float = 0.3
    """σ of the first controller, u = σ ε, in the unit of actions, which lie in [-1, 1]."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("kl_first", "kl_last", "sample_kl", "noise"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be positive")
        self.require(damping=1, share_low=0, share_high=self.share_low)

    def bounds(self, multiplier: np.ndarray) -> np.ndarray:
        """Return ε_t times its multiplier [T], nats."""
        multiplier = shapes.real("PILQR.bounds", "multipliers", multiplier)
        return np.linspace(self.kl_first, self.kl_last, len(multiplier)) * multiplier

    def adapted(self, multiplier: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Return the multipliers [T] for the next stage 1, from the residual's share of the cost to go [T] (NaN: none)."""
        multiplier, share = (shapes.real("PILQR.adapted", "multipliers", part) for part in (multiplier, share))
        factor = np.where(share > self.share_high, 0.5, np.where(share < self.share_low, 2.0, 1.0))
        low, high = (np.linspace(*ends, len(multiplier)) for ends in (LEAST, MOST))
        return np.clip(multiplier * factor, low, high)


class Sampled(NamedTuple):
    """N episodes of the old controller."""

    starts: np.ndarray  # x_0 [N, n]
    noise: np.ndarray  # ε [N, T, m], as drawn, before any clipping
    costs: np.ndarray  # minus rewards [N, T]


class Explained(NamedTuple):
    """What a fitted model makes of them."""

    dynamics: Linear
    cost: QuadraticCost
    modelled: np.ndarray  # ĉ [N, T], of `modelled_costs`


class Update(NamedTuple):
    """A new controller and how it was found; what a stage that was left out would tell is None."""

    controller: Controller
    status: Status
    eta: np.ndarray | None = None  # η_t of stage 1 [T]
    temperature: np.ndarray | None = None  # η_t of stage 2 [T]; ∞ where all samples cost the same


def explain(dynamics: Linear, cost: QuadraticCost, old: Controller, sampled: Sampled) -> Explained:
    """Return ĉ too: what the same starts and noise under `old` cost by the model's mean.  Not finite where that runs away."""
    dynamics, cost, old, sampled = shapes.fit("pilqr.explain", dynamics, cost, old, sampled)
    x, found = np.array(sampled.starts, float), []
    with np.errstate(all="ignore"):
        for t in range(sampled.noise.shape[1]):
            y = np.concatenate([x, x @ old.K[t].T + old.k[t] + sampled.noise[:, t] @ old.chol[t].T], axis=1)
            found.append(0.5 * np.einsum("id,de,ie->i", y, cost.C[t], y) + y @ cost.c[t] + cost.c0[t])
            x = y @ dynamics.F[t].T + dynamics.f[t]
    return Explained(dynamics, cost, np.stack(found, axis=1))


def residual_share(costs: np.ndarray, modelled: np.ndarray) -> np.ndarray:
    """Return Σ_i Σ_{s≥t} |ĉ - c| / Σ_i Σ_{s≥t} |c|  [T] of costs c and ĉ [N, T]; NaN where all costs are 0."""
    costs, modelled = shapes.fit("pilqr.residual_share", costs=costs, modelled=modelled)
    missed, whole = (costs_to_go(np.abs(part)).sum(0) for part in (modelled - costs, costs))
    return np.divide(missed, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def update(
    settings: PILQR,
    old: Controller,
    sampled: Sampled,
    model: Explained | None,
    bounds: np.ndarray,
    eta: Any = None,
) -> Update:
    """Return the step that `settings.stages` want from the controller that drove `sampled`.

    model: None with "pi2".  bounds: ε_t of stage 1 [T].  eta: its multipliers to begin with [T].  Status: of the worse stage;
    where it is NONFINITE_MODEL or UNSTABLE the controller is the old one.  Raises SpaceError where shapes do not fit.
    """
    old, sampled, model, bounds, eta = _fitted(old, sampled, model, bounds, eta)
    if not np.isfinite(sampled.costs).all():
        return Update(old, Status.NONFINITE_MODEL)
    warmth = temperature(costs_to_go(sampled.costs), settings.sample_kl)
    controller, residual, first, status = old, sampled.costs, None, Status.DONE
    if model is not None:
        if not np.isfinite(model.modelled).all():
            return Update(old, Status.UNSTABLE)
        least = _finite(warmth.eta) if settings.stages == "both" and settings.shared else 0.0
        start = kl_step_per_time.start_of(sampled.starts)
        found = kl_step_per_time.bounded_steps(
            model.dynamics, model.cost, old, bounds, *start, eta=eta, least=least, exact=settings.exact
        )
        controller, first, status = found.controller, found.eta, Status(int(found.status))
        if status == Status.NONFINITE_MODEL:
            return Update(old, status)
        residual = sampled.costs - model.modelled
    if settings.stages == "lqr":
        return Update(controller, status, first)
    left, eta = costs_to_go(residual), warmth.eta
    if model is not None and settings.shared:
        eta = np.maximum(eta, _finite(temperature(left, settings.sample_kl).eta))
    controller = moved(controller, sampled.noise, weights(left, eta), settings.damping, settings.centred)
    return Update(controller, max(status, warmth.status), first, eta)


def _fitted(old: Any, sampled: Any, model: Any, bounds: Any, eta: Any) -> tuple[Any, ...]:
    """Return these as arrays.  Raises SpaceError unless all of them are of one problem."""
    if not (model is None or isinstance(model, Explained)):
        raise SpaceError(f"pilqr.update: model is {shown(model)}; give what `explain` returns, or None")
    parts = () if model is None else (model.dynamics, model.cost)
    modelled = None if model is None else model.modelled
    given = {"bounds": bounds, "modelled": modelled, "multipliers": eta}
    *parts, old, sampled, bounds, modelled, eta = shapes.fit("pilqr.update", *parts, old, sampled, **given)
    model = None if model is None else Explained(parts[0], parts[1], modelled)
    return old, sampled, model, bounds, eta


def _finite(eta: np.ndarray) -> np.ndarray:
    """Return η, or 0 where all samples cost the same."""
    return np.where(np.isfinite(eta), eta, 0.0)
