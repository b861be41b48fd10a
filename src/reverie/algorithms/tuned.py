"""Data: settings of `NAF.paper(domain)` and `DDPG.paper(domain)` that were tuned here, by domain.

The paper searched 18 configurations for each domain and prints only the one of table 2.  `TUNED` holds our choice out of
those 18, and of what the paper does not print.  Reward scales bring the return of a good episode to some tens.

| domain | tuned with | measured by |
|---|---|---|
| reacher, cartpole, peg | NAF | `studies/catalogue/naf.py`; why cartpole's discount is not .99: `studies/analyses/values.py` |
| gripper | NAF, on its single start | `studies/catalogue/imagine.py` |
| swimmer6, cheetah | one seed of NAF | `studies/data/trials/trials.csv` |
| ant, walker2d, gripper_m, canada2d (DDPG) | one seed of NAF and one of DDPG; 120 episodes | `studies/data/trials/trials.csv` |
"""

from collections.abc import Mapping
from typing import Any

ARM = {
    "normalisation": "none",
    "discount": 0.95,
    "batch_size": 100,
    "target_rate": 0.005,
    "observation_normalisation": True,
}
# "batch_inputs" is the place of batch normalisation in DDPG's paper.  The cells of cheetah, swimmer6 and canada2d in
# `studies/data/paper` have "batch" still.
WALKERS = {"normalisation": "batch_inputs", "discount": 0.97, "target_rate": 0.02, "reward_scale": 10.0}
TUNED: Mapping[str, Mapping[str, Any]] = {
    "cartpole": {"normalisation": "none", "discount": 0.97, "reward_scale": 30.0},
    "peg": {**ARM, "reward_scale": 5.0},
    "reacher": {**ARM, "reward_scale": 20.0},
    "reacher_single": {**ARM, "reward_scale": 20.0},
    "gripper": {**ARM, "reward_scale": 5.0},
    "gripper_single": {**ARM, "reward_scale": 5.0},
    "gripper_m": {**ARM, "batch_size": 64, "reward_scale": 2.0},
    "swimmer6": {"batch_size": 100, "target_rate": 0.005, "observation_normalisation": True, "reward_scale": 0.1},
    "ant": WALKERS,
    "walker2d": WALKERS,
    "cheetah": {"batch_size": 100, "target_rate": 0.02, "observation_normalisation": True, "reward_scale": 10.0},
}
# Settings of one agent alone, by (agent, domain): the paper searched for each agent apart.  The learning rate lies between
# two of the 18 configurations'.  Why: docs/naf.md, docs/reproduce.md.
TUNED_PER_AGENT: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("naf", "swimmer6"): {"learning_rate": 3e-3},
    ("ddpg", "gripper_m"): {"normalisation": "batch_inputs", "observation_normalisation": False},
    ("ddpg", "canada2d"): {
        "normalisation": "none",
        "observation_normalisation": True,
        "discount": 0.95,
        "target_rate": 0.005,
        "reward_scale": 5.0,
    },
}
