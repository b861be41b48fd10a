"""Exploration noises by the name users type.  Adding one is its file and one line here."""

from reverie.core.registry import Registry

NOISES = Registry(
    {
        "ou": "reverie.maths.noises.ornstein_uhlenbeck:OrnsteinUhlenbeck",
        "gaussian": "reverie.maths.noises.gaussian_noise:GaussianNoise",
        "precision": "reverie.maths.noises.precision_noise:PrecisionNoise",
    }
)
