"""Collectors: processes that act in environments of their own and send what happened to one learner."""
