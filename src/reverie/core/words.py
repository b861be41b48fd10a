"""Words around numbers."""


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return "1 episode", "2 episodes"; plural: where it is not the noun with an s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
