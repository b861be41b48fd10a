"""Tables 1 and 2 and figures 2 to 5 of Gu et al. 2016, as data.

Where the paper says nothing, or we differ:

 1. Hyper-parameters: `paper(domain)` of an agent is one configuration per domain. It is one of the paper's 18, with
    values for what the paper does not print. The paper reports the best of 18 per domain; `--search` runs all 18.
 2. Table 1: the number of episodes is 1.1 times that of the slower agent there. The paper does not print it.
 3. Table 2, figures 2 and 5: networks have two layers of 100 units instead of 200, so that enough seeds can be run.
    They have layer normalisation instead of batch normalisation. On the single-target arm and gripper plain NAF learns
    with and without it, and models are compared with the better of the two.
 4. Figure 3: noise is shaped by the precision from the first step. In the paper, from step 50,000.
 5. Figure 2: 100 episodes on the arm and 160 on the gripper. The paper does not print them. Linear models have a prior
    from the last 20 episodes; the paper does not mention one. "fitted" has our default, one Gaussian of all steps, with
    the weight of 10 episodes: its models vary little with time. "fitted-mixture" has that of Levine & Abbeel (2014),
    which the paper cites: a mixture, with the weight of 1 episode.
 6. Table 2: MPC has 50 steps. In "true-both" and "true-all-mpc" it searches quickly, with two iterations a step. In
    "true-mpc", of which there were cells before there was a quick search, it searches thoroughly, with three (study
    `mpc-speed`). The paper prints neither.
"""

from typing import Any

from reverie.experiments.spec.declaration import DomainExperiment, Experiment, Variant
from reverie.experiments.spec.paper_numbers import TABLE1

SMALL = {"hidden": (100, 100), "normalisation": "layer"}

NAF = Variant("naf", "NAF", "naf")
DDPG = Variant("ddpg", "DDPG", "ddpg")
RANDOM = Variant("random", "acts at random", "random")
SHAPED = Variant("naf-p", "NAF, noise shaped by P (appendix 8.2)", "naf", {"noise": "precision"})

QUICK = {"plan": "mpc", "plan_search": "quick", "plan_iterations": 2}
TABLE1_EPISODES = {
    domain: -(-max(row.ddpg_episodes, row.naf_episodes) * 11 // 100) * 10 for domain, row in TABLE1.items()
}  # 1.1 times the larger number, rounded up to a multiple of 10
TRUE = (
    Variant("true-naf", "NAF", "naf", SMALL),
    Variant(
        "true-mpc",
        "MPC acts in half of the episodes, no imagination",
        "naf",
        SMALL,
        "exact",
        imagination={"plan": "mpc", "mixture": 0.5, "rollout_length": 0},
    ),
    Variant("true-imagined", "imagination", "naf", SMALL, "exact"),
    Variant("true-both", "imagination and half MPC", "naf", SMALL, "exact", imagination=QUICK | {"mixture": 0.5}),
    Variant("true-all-mpc", "imagination and MPC alone", "naf", SMALL, "exact", imagination=QUICK | {"mixture": 0.0}),
)

NEURAL = {"episodes": 5}
POOLED = {"episodes": 5, "prior": "pooled", "prior_strength": 10.0}
MIXTURE = {"episodes": 5, "prior": "mixture", "prior_strength": 1.0}
OFF = 130  # the episode after which imagination ends on the gripper, in figure 2c
PLAIN = ("small-naf", "layer-naf")


def _fitted(**imagination: Any) -> tuple[Variant, ...]:
    """Return the variants of figure 2 on a single-target task.  imagination: settings of Algorithm 2."""
    return (
        Variant("small-naf", "NAF", "naf", {"hidden": (100, 100)}),
        Variant("layer-naf", "NAF with layer normalisation", "naf", SMALL),
        Variant(
            "fitted",
            "imagination, linear models, pooled prior of strength 10",
            "naf",
            SMALL,
            "linear",
            POOLED,
            imagination=imagination,
        ),
        Variant(
            "fitted-mixture",
            "imagination, linear models, mixture prior of strength 1",
            "naf",
            SMALL,
            "linear",
            MIXTURE,
            imagination=imagination,
        ),
        Variant(
            "neural", "imagination, a network as the model", "naf", SMALL, "neural", NEURAL, imagination=imagination
        ),
        Variant("recommended", "imagination as we recommend it", "naf", SMALL, "linear", POOLED, as_paper=False),
    )


def _everywhere(*variants: Variant) -> tuple[DomainExperiment, ...]:
    return tuple(DomainExperiment(domain, episodes, variants) for domain, episodes in TABLE1_EPISODES.items())


REACHER, CANADA, CHEETAH = (
    DomainExperiment("reacher", 810, TRUE, length=10),
    DomainExperiment("canada2d", 2170, TRUE, length=10),
    DomainExperiment("cheetah", 1190, TRUE),
)
ARM = DomainExperiment("reacher_single", 100, _fitted(), every=5, length=10)
GRIPPER = DomainExperiment("gripper_single", 160, _fitted(until_episode=OFF), every=5)

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "table1", "NAF and DDPG on the ten domains: scores, episodes to them", _everywhere(NAF, DDPG, RANDOM)
        ),
        Experiment("table2", "true dynamics: MPC data, imagination, both", (REACHER, CANADA, CHEETAH)),
        Experiment("fig2", "imagination on true, fitted linear and network models", (REACHER, ARM, GRIPPER)),
        Experiment("fig3", "exploration shaped by the precision P", _everywhere(NAF, DDPG, SHAPED)),
        Experiment("fig4", "learning curves of table 1", _everywhere(NAF, DDPG)),
        Experiment("fig5", "learning curves of table 2 beyond reacher", (CANADA, CHEETAH)),
    )
}
