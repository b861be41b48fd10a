"""Names of settings in other libraries and papers, so that a user who types one is told ours.

Keys are our names; values are those of Stable-Baselines3, CleanRL, RLlib, TorchRL, Spinning Up, and the symbols of
papers.  Where several of ours match, the first one that exists in the context is used.
"""

from collections.abc import Collection, Iterable, Mapping

_OURS: Mapping[str, tuple[str, ...]] = {
    "learning_rate": (
        "lr",
        "learningrate",
        "step_size",
        "stepsize",
        "actor_lr",
        "critic_lr",
        "q_lr",
        "policy_lr",
        "adam_lr",
    ),
    "discount": ("gamma", "discount_factor", "discount_rate"),
    "target_rate": ("tau", "soft_tau", "target_tau", "soft_update", "target_update_rate"),
    "batch_size": ("batch", "bs", "minibatch", "minibatch_size", "mini_batch_size", "train_batch_size"),
    "updates_per_step": ("i", "utd", "utd_ratio", "gradient_steps", "updates", "num_updates", "train_iters"),
    "warmup_steps": ("warmup", "learning_starts", "start_steps", "random_steps", "starting_steps", "init_steps"),
    "replay_capacity": ("buffer_size", "replay_size", "memory_size", "capacity", "buffer", "replay_buffer_size"),
    "hidden": (
        "net_arch",
        "hidden_sizes",
        "hidden_size",
        "hidden_dims",
        "hidden_units",
        "layers",
        "units",
        "fcnet_hiddens",
    ),
    "actor_hidden": ("hidden_dims_actor", "actor_hidden_sizes", "actor_hidden_dims", "actor_layers", "policy_hidden"),
    "policy_delay": ("actor_delay", "policy_freq", "policy_frequency", "actor_update_interval"),
    "atoms": ("n_atoms", "num_atoms", "n_bins", "num_bins"),
    "value_limit": ("v_max", "vmax", "max_v"),
    "observation_normalisation": (
        "normalize_observations",
        "normalize_obs",
        "norm_obs",
        "obs_norm",
        "normalize_observation",
    ),
    "normalisation": ("norm", "normalize", "layer_norm", "layernorm", "batch_norm", "batchnorm"),
    "reward_scale": ("reward_scaling", "reward_factor", "scale_reward", "rew_scale"),
    "noise_scale": ("sigma", "noise_std", "noise_sigma", "action_noise", "exploration_noise", "ou_sigma", "act_noise"),
    "std": ("sigma", "action_std", "init_std", "log_std_init", "initial_std"),
    "noise": ("noise_type", "exploration", "action_noise_type"),
    "temperature": ("alpha", "ent_coef", "entropy_coef", "init_temperature", "initial_alpha"),
    "learn_temperature": ("autotune", "auto_alpha", "tune_alpha", "automatic_entropy_tuning"),
    "rollout": ("n_steps", "num_steps", "rollout_steps", "nsteps", "rollout_fragment_length"),
    "worlds": ("n_envs", "num_envs", "envs", "num_workers"),
    "epochs": ("n_epochs", "num_epochs", "update_epochs", "num_sgd_iter"),
    "trace": ("gae_lambda", "lambda", "lam", "gae"),
    "clip": ("clip_range", "clip_ratio", "clip_coef", "clip_param", "clip_eps"),
    "value_weight": ("vf_coef", "value_coef", "vf_loss_coeff"),
    "entropy_weight": ("ent_coef", "entropy_coef", "entropy_coeff", "beta"),
    "gradient_norm": ("max_grad_norm", "grad_clip", "gradient_clip", "clip_grad"),
    "epsilon_start": ("eps_start", "start_e", "exploration_initial_eps", "initial_epsilon"),
    "epsilon_end": ("eps_end", "end_e", "exploration_final_eps", "final_epsilon", "epsilon", "eps"),
    "epsilon_steps": ("exploration_fraction", "eps_decay", "epsilon_decay", "epsilon_timesteps"),
    "double": ("double_q", "double_dqn", "ddqn"),
    "rollout_length": ("l", "imagined_steps", "rollout_steps", "imagination_horizon"),
    "kl_bound": ("kl", "max_kl", "kl_step", "target_kl", "delta"),
    "plan_horizon": ("mpc_horizon", "planning_horizon"),
    "steps": ("timesteps", "total_timesteps", "num_timesteps", "n_steps", "num_steps", "n_timesteps", "num_env_steps"),
    "epsilon": ("eps", "exploration_rate"),
    "planning_steps": ("n_planning", "model_steps"),
    "out": ("output", "out_dir", "outdir", "output_dir", "log_dir", "logdir", "save_dir"),
    "output": ("out", "output_file"),
    "evaluate_every": ("eval_freq", "eval_every", "eval_interval", "evaluation_interval"),
    "evaluate_episodes": ("eval_episodes", "n_eval_episodes", "num_eval_episodes"),
}
_SYMBOLS = {"γ": "gamma", "τ": "tau", "σ": "sigma", "α": "alpha", "ε": "epsilon", "λ": "lambda"}
LAST_RESORT = {"alpha": "learning_rate"}  # for agents without a temperature


def called_here(name: str, known: Iterable[str]) -> str | None:
    """Return which of the `known` names means what `name` means elsewhere, or None.

    Case, hyphens and American spelling do not matter.  "model.lr" is treated as "model.learning_rate".
    """
    names: Collection[str] = set(known)
    plain = name.lower().replace("-", "_")
    prefix, _, short = plain.rpartition(".")
    prefix = prefix + "." if prefix else ""
    short = _SYMBOLS.get(short, short)
    candidates = [short, short.replace("iz", "is"), *(ours for ours, theirs in _OURS.items() if short in theirs)]
    candidates += [LAST_RESORT[short]] if short in LAST_RESORT else []
    return next((prefix + ours for ours in candidates if prefix + ours in names and prefix + ours != name), None)


def setting_meant(name: str) -> str | None:
    """Return the setting that `name` is or means, in any context; None if there is no such setting."""
    plain = name.lower().replace("-", "_")
    return plain if plain in _OURS else called_here(plain, _OURS)
