"""The numbers that Gu et al. 2016 print: table 1 and table 2."""

from typing import NamedTuple


class Published(NamedTuple):
    """A row of table 1. Scores are returns of an episode. Episodes are those until 5 % from the best test score."""

    random: float
    ddpg: float
    ddpg_episodes: int
    naf: float
    naf_episodes: int


TABLE1 = {
    "cartpole": Published(-2.1, -0.601, 420, -0.604, 190),
    "reacher": Published(-2.3, -0.509, 1370, -0.331, 1260),
    "peg": Published(-11.0, -0.950, 690, -0.438, 130),
    "gripper": Published(-29.0, 1.03, 2420, 1.81, 1920),
    "gripper_m": Published(-90.0, -20.2, 1350, -12.4, 730),
    "canada2d": Published(-12.0, -4.64, 1040, -4.21, 900),
    "cheetah": Published(-0.3, 8.23, 1590, 7.91, 2390),
    "swimmer6": Published(-325.0, -174.0, 220, -172.0, 190),
    "ant": Published(-4.8, -2.54, 2450, -2.58, 1350),
    "walker2d": Published(0.3, 2.96, 850, 1.85, 1530),
}
PAPER_DOMAINS = tuple(TABLE1)
TABLE1_LONGEST = {domain: max(row.ddpg_episodes, row.naf_episodes) for domain, row in TABLE1.items()}

# Table 2, with true dynamics: (domain, variant) -> (score, episodes). Names of variants are those of `paper`.
TABLE2 = {
    ("reacher", "true-naf"): (-0.488, 740),
    ("reacher", "true-mpc"): (-0.449, 670),
    ("reacher", "true-imagined"): (-0.448, 450),
    ("reacher", "true-both"): (-0.426, 430),
    ("reacher", "true-all-mpc"): (-0.548, 90),
    ("canada2d", "true-naf"): (-6.23, 1970),
    ("canada2d", "true-mpc"): (-6.23, 1580),
    ("canada2d", "true-imagined"): (-5.89, 570),
    ("canada2d", "true-both"): (-5.88, 140),
    ("canada2d", "true-all-mpc"): (-12.0, 210),
    ("cheetah", "true-naf"): (7.00, 580),
    ("cheetah", "true-mpc"): (7.10, 1080),
    ("cheetah", "true-imagined"): (7.36, 590),
    ("cheetah", "true-both"): (7.29, 740),
    ("cheetah", "true-all-mpc"): (6.43, 390),
}
TABLE2_LONGEST = {domain: max(n for (own, _), (_, n) in TABLE2.items() if own == domain) for domain, _ in TABLE2}
