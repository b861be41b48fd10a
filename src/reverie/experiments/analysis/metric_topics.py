"""The columns of metrics.csv by topic, each with its meaning, in the order of the page of a run."""

from collections.abc import Iterable
from typing import NamedTuple

NOT_DRAWN = ("step", "episode", "updates")
OTHERS = "Other measurements"


class Topic(NamedTuple):
    """A section of the page: its columns with what they mean, and the beginnings of names that belong to it as well."""

    title: str
    columns: dict[str, str]
    prefixes: tuple[str, ...] = ()


TOPICS = (
    Topic(
        "Losses",
        {
            "loss": "what the updates minimise, mean over the minibatches since the last row",
            "surrogate": "PPO's clipped objective",
            "kl": "estimated KL divergence from the policy before the update",
            "clipped": "share of probability ratios that were clipped",
            "skipped": "updates that were undone, so far",
            "set_aside": "transitions set aside as outliers, so far",
            "dead_weights": "share of weights that the optimiser no longer moves",
            "staleness": "updates between the policy that acted and the one that learns",
            "logged_share": "share of each minibatch that comes from logs",
        },
    ),
    Topic(
        "Values",
        {
            "q_mean": "mean Q of the actions in the minibatches",
            "value_mean": "mean value of states in replay",
            "value_excess": "how far the mean value lies outside what the rewards allow, as a share of that range",
            "advantage_of_best": "mean of the best action's Q less the mean over all actions",
            "critics_apart": "mean difference between the two critics",
            "reward_scale": "what updates multiply rewards by",
            "target_beyond": "share of the targets' probability beyond the critics' range of values",
        },
    ),
    Topic(
        "Exploration",
        {
            "exploration": "root mean square of executed minus greedy action over the last 200 steps",
            "epsilon": "share of actions drawn at random",
            "temperature": "weight of the entropy",
            "entropy": "entropy of the policy, in nats",
            "std_mean": "mean standard deviation of the policy",
            "p_condition": "median condition number of P",
            "mean_saturated": "share of greedy actions near a bound",
            "mean_stuck": "share of actuators whose greedy action is at one bound in all states examined",
        },
    ),
    Topic(
        "Missed ticks",
        {
            "missed_ours": "ticks missed because learning or acting took too long",
            "missed_machine": "ticks missed because the machine took too long",
            "owed": "steps whose updates have not run yet",
        },
        ("missed_",),
    ),
    Topic(
        "Imagination and planning",
        {
            "model_error_1": "held-out error of the model after one step",
            "model_reward_error": "held-out error of the fitted reward, over the reward's spread",
            "model_status": "status of the last fit",
            "model_fits": "fits so far",
            "model_refused": "fits that were refused, so far",
            "dream_trust": "share of updates that may use imagined transitions",
            "dreams": "imagined transitions so far",
            "dream_cut_share": "share of rollouts that were cut",
            "plan_status": "status of the planner's last step",
            "plan_failures": "planner's steps that failed",
            "plan_kl": "KL divergence from the old controller, in nats per step",
            "plan_predicted_return": "return that the model predicts",
            "plan_drives": "whether the planner acts in the episode",
        },
        ("model_", "dream", "plan_"),
    ),
)


def by_topic(columns: Iterable[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return (title, [(column, its meaning or "")]) of each topic that has columns; unknown ones come last."""
    left = [name for name in dict.fromkeys(columns) if name not in NOT_DRAWN]
    found = []
    for topic in TOPICS:
        own = [name for name in topic.columns if name in left]
        own += [name for name in left if name not in own and name.startswith(topic.prefixes or ("\0",))]
        left = [name for name in left if name not in own]
        if own:
            found.append((topic.title, [(name, topic.columns.get(name, "")) for name in own]))
    return [*found, (OTHERS, [(name, "") for name in left])] if left else found
