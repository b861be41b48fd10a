"""Dynamics models by the names that users type. To add one, write its file and one line here."""

from reverie.core.registry import Registry

MODELS = Registry(
    {
        "linear": "reverie.models.linear_gaussian:LinearGaussian",
        "neural": "reverie.models.neural:Neural",
        "exact": "reverie.models.exact:Exact",
        "recent": "reverie.models.recent:Recent",
    }
)
