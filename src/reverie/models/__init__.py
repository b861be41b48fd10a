"""Dynamics models by the name users type.  Adding one is its file and one line here."""

from reverie.models.exact import Exact
from reverie.models.linear_gaussian import LinearGaussian
from reverie.models.neural import Neural
from reverie.models.recent import Recent

MODELS = {"linear": LinearGaussian, "neural": Neural, "exact": Exact, "recent": Recent}
