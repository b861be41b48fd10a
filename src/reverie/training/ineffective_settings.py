"""Settings that can have no effect, or not the one they promise."""

from typing import Any

from reverie.core.agent import Agent
from reverie.core.words import count, number
from reverie.training.memory_needs import setting_text

NEVER_REACHED = 10**9  # steps or episodes; no run has so many


def ineffective_settings(config: Any, agent: Agent) -> list[str]:
    """Return a sentence for each setting that can have no effect, or not the one it promises."""
    requirements, imagined, found = agent.requirements, agent.imagination, []
    if requirements.warmup_steps > NEVER_REACHED:
        found.append(
            f"warmup_steps={setting_text(requirements.warmup_steps)}: no run takes so many steps, so nothing would ever be "
            "learnt"
        )
    if not requirements.rollout and requirements.replay_capacity < requirements.batch_size:
        found.append(
            f"replay_capacity={requirements.replay_capacity} is less than batch_size={requirements.batch_size}: each "
            "minibatch holds the same transitions many times; set replay_capacity higher"
        )
    if requirements.recent_share and requirements.recent_steps >= requirements.replay_capacity:
        found.append(
            f"recent_steps={setting_text(requirements.recent_steps)} is all of replay, so recent_share="
            f"{number(requirements.recent_share)} changes nothing: set recent_steps lower"
        )
    if requirements.recent_share and not round(requirements.recent_share * requirements.batch_size):
        found.append(
            f"recent_share={number(requirements.recent_share)} of batch_size={requirements.batch_size} is less than one "
            "transition, so it changes nothing: set one of them higher"
        )
    if imagined is not None and imagined.model.episodes > NEVER_REACHED:
        found.append(
            f"episodes={setting_text(imagined.model.episodes)} of the model: no run has so many, so it is never fitted"
        )
    elif imagined is not None and 0 < imagined.until_episode <= imagined.model.episodes:
        found.append(
            f"until_episode={imagined.until_episode} ends imagination before the model's first fit, after "
            f"{count(imagined.model.episodes, 'episode')}: set until_episode higher, or the model's episodes lower"
        )
    return found
