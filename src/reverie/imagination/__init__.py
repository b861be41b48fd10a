"""Imagined transitions for any off-policy agent.  Gu et al. 2016, Algorithm 2."""
