"""What JAX compiles while tests run."""

import jax

COMPILED = []  # names of what JAX has traced or compiled
jax.monitoring.register_event_duration_secs_listener(
    lambda name, *_, **__: COMPILED.append(name) if name.startswith("/jax/core/compile") else None
)
