"""PILQR: LQR minimises the part of the cost that a fitted model explains, path integrals minimise the rest.

Source: Chebotar, Hausman, Zhang, Sukhatme, Schaal & Levine 2017. The cost is c = ĉ + c̃. ĉ is quadratic under fitted
dynamics; c̃ is the residual on sampled episodes. With costs to go S = Ŝ + S̃, the best controller within a KL bound
factorises:

    p(u | x) ∝ q(u | x) exp(-S/η) = p̂(u | x) exp(-S̃/η)  with  p̂ ∝ q exp(-Ŝ/η).                                  (4)

Stage 1 (`kl_step_per_time`) finds p̂ with one multiplier η_t per time step. Stage 2 (`path_integral`) is PI² about p̂
with the weights of S̃:

    w_i ∝ exp(-S̃_i/η),  where η is the temperature of the whole cost S; then (3) with L̂ for L.                     (6)

The text of the paper was not available, so the comparison is with the authors' code, cbfinn/gps. Where we differ:

 1. Both stages share a temperature, as in (4) (`shared`). η_t of stage 1 is at least that of stage 2. η_t of stage 2 is
    at least so large that the weights of S̃ stay within their bound as well. There, each stage has its own temperature.
    Then stage 1, which has no sampling error, undoes at each iteration what stage 2 has found (`docs/pilqr.md`).
 2. The residual is computed by rollouts from each sample's own start; there, from the mean start.
 3. The schedules of ε and of its multiplier run over t/T; there, they are written for T = 100.
 4. If the sampled cost is 0, its bound does not change; there, the residual is divided by 0.
 5. The old controller stays if stage 1 fails, if costs are not finite, or if the model diverges; there, this is not
    said.

Differences within the stages are listed in `path_integral` and `kl_step_per_time`.
"""

import dataclasses
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from reverie.control import kl_step_per_time, shapes
from reverie.control.controller import Controller
from reverie.control.lqr import QuadraticCost
from reverie.control.path_integral import costs_to_go, moved, temperature, weights
from reverie.core.argument_checks import shown
from reverie.core.checked_settings import Settings
from reverie.core.dynamics import Linear
from reverie.core.errors import ConfigError, SpaceError
from reverie.core.status import Status
from reverie.maths.array_types import Array, Numbers

MOST, LEAST = (10.0, 5.0), (0.01, 0.5)  # limits of the multipliers of ε, at the first and at the last time step


@dataclasses.dataclass(frozen=True, kw_only=True)
class PILQR(Settings):
    """Settings of PILQR and of its two stages. Defaults are those of the authors' code, if it has them.

    Raises ConfigError where a value is out of range.
    """

    stages: Literal["both", "lqr", "pi2"] = "both"
    """Stages that are used: both, LQR under a KL bound only, or path integrals only (without a model)."""
    kl_first: float = 0.4
    """KL bound ε of stage 1 at the first step of an episode, nats. It is multiplied as the model's errors ask for."""
    kl_last: float = 0.2
    """KL bound ε of stage 1 at the last step of an episode, nats. In between it changes linearly."""
    sample_kl: float = 1.0
    """KL bound ε of stage 2, nats: largest divergence of the samples' weights from uniform weights."""
    damping: float = 2.0
    """How slowly stage 2 changes the covariance. With a larger value, exploration lasts longer."""
    share_low: float = 0.05
    """If the model misses less than this share of the cost, the KL bound of stage 1 doubles."""
    share_high: float = 0.2
    """If the model misses more than this share of the cost, the KL bound of stage 1 is halved."""
    exact: bool = False
    """Whether the cost to go of stage 1 contains the KL of later steps. True: lowest modelled cost within the bounds.
    False: as the authors' code, nearly as low."""
    shared: bool = True
    """Whether the two stages share a temperature. Used only with both stages. The authors' code does not share it."""
    centred: bool = True
    """Whether 1/N is subtracted from the weights of N samples, so that equal weights change nothing."""
    noise: float = 0.3
    """σ of the first controller, u = σ ε with standard normal ε, in the unit of actions: they lie in [-1, 1]."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("kl_first", "kl_last", "sample_kl", "noise"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be positive")
        self.require(damping=1, share_low=0, share_high=self.share_low)

    def bounds(self, multiplier: Numbers) -> Float[Array, "T"]:
        """Return the KL bounds of stage 1, ε_t times its multiplier, nats.  multiplier: [T]."""
        multiplier = shapes.real("PILQR.bounds", "multipliers", multiplier)
        return np.linspace(self.kl_first, self.kl_last, len(multiplier)) * multiplier

    def adapted(self, multiplier: Numbers, share: Numbers) -> Float[np.ndarray, "T"]:
        """Return the multipliers of the bounds for the next stage 1.

        multiplier: the current ones [T].  share: the residual's share of the cost to go [T]; NaN: no change.
        """
        multiplier, share = (shapes.real("PILQR.adapted", "multipliers", part) for part in (multiplier, share))
        factor = np.where(share > self.share_high, 0.5, np.where(share < self.share_low, 2.0, 1.0))
        low, high = (np.linspace(*ends, len(multiplier)) for ends in (LEAST, MOST))
        return np.clip(multiplier * factor, low, high)


class Sampled(NamedTuple):
    """N sampled episodes of the old controller."""

    starts: Float[np.ndarray, "N n"]  # x_0
    noise: Float[np.ndarray, "N T m"]  # ε, before actions were clipped
    costs: Float[np.ndarray, "N T"]  # minus rewards


class Explained(NamedTuple):
    """A fitted model, and what it explains of the sampled costs."""

    dynamics: Linear
    cost: QuadraticCost
    modelled: Float[np.ndarray, "N T"]  # ĉ


class Update(NamedTuple):
    """A new controller, and how it was found. Figures of a stage that is not used are None."""

    controller: Controller
    status: Status
    eta: Float[Array, "T"] | None = None  # η_t of stage 1
    temperature: Float[np.ndarray, "T"] | None = None  # η_t of stage 2; ∞ where all samples cost the same


def explain(dynamics: Linear, cost: QuadraticCost, old: Controller, sampled: Sampled) -> Explained:
    """Return the model with the costs ĉ that it predicts for the sampled episodes.

    ĉ is the cost of rollouts of the model's mean, from the same starts with the same noise under `old`. It is not
    finite if these diverge.  Raises SpaceError where shapes do not fit.
    """
    dynamics, cost, old, sampled = shapes.fit("pilqr.explain", dynamics, cost, old, sampled)
    x, found = np.array(sampled.starts, float), []
    with np.errstate(all="ignore"):
        for t in range(sampled.noise.shape[1]):
            y = np.concatenate([x, x @ old.K[t].T + old.k[t] + sampled.noise[:, t] @ old.chol[t].T], axis=1)
            found.append(0.5 * np.einsum("id,de,ie->i", y, cost.C[t], y) + y @ cost.c[t] + cost.c0[t])
            x = y @ dynamics.F[t].T + dynamics.f[t]
    return Explained(dynamics, cost, np.stack(found, axis=1))


def residual_share(costs: Numbers, modelled: Numbers) -> Float[np.ndarray, "T"]:
    """Return the residual's share of the cost to go, Σ_i Σ_{s≥t} |ĉ - c| / Σ_i Σ_{s≥t} |c|.

    costs: c [N, T].  modelled: ĉ [N, T].  NaN where all costs are 0.  Raises SpaceError where shapes do not fit.
    """
    costs, modelled = shapes.fit("pilqr.residual_share", costs=costs, modelled=modelled)
    missed, whole = (costs_to_go(np.abs(part)).sum(0) for part in (modelled - costs, costs))
    return np.divide(missed, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def update(
    settings: PILQR,
    old: Controller,
    sampled: Sampled,
    model: Explained | None,
    bounds: Numbers,
    eta: Numbers | None = None,
) -> Update:
    """Return one step of PILQR from the controller that acted in the sampled episodes.

    old: that controller.  model: what `explain` returns; None without stage 1 ("pi2").  bounds: ε_t of stage 1 [T].
    eta: multipliers of stage 1 to begin with [T].

    Status: that of the worse stage. With NONFINITE_MODEL or UNSTABLE the old controller is returned.  Raises SpaceError
    where shapes do not fit.  Source: Chebotar et al. 2017.
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


def _fitted(
    old: Controller, sampled: Sampled, model: Explained | None, bounds: Numbers, eta: Numbers | None
) -> tuple[Controller, Sampled, Explained | None, Float[Array, "T"], Float[Array, "T"] | None]:
    """Return the arguments of `update` as arrays.  Raises SpaceError where their shapes do not fit."""
    begin = {} if eta is None else {"multipliers": eta}
    if model is None:
        old, sampled, bounds, *found = shapes.fit("pilqr.update", old, sampled, bounds=bounds, **begin)
        return old, sampled, None, bounds, found[0] if found else None
    if not isinstance(model, Explained):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpaceError(f"pilqr_step.update: model is {shown(model)}; give what `explain` returns, or None")
    dynamics, cost, old, sampled, bounds, modelled, *found = shapes.fit(
        "pilqr.update", model.dynamics, model.cost, old, sampled, bounds=bounds, modelled=model.modelled, **begin
    )
    return old, sampled, Explained(dynamics, cost, np.asarray(modelled)), bounds, found[0] if found else None


def _finite(eta: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """Return η, with 0 instead of ∞: there all samples cost the same."""
    return np.where(np.isfinite(eta), eta, 0.0)
