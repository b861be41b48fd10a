"""A picture of a run's learning curve."""

import io
from pathlib import Path

from reverie.core.errors import ConfigError
from reverie.storage.episodes import COLUMNS as EPISODES
from reverie.storage.output_file import output_at
from reverie.storage.run import RunDirectory
from reverie.storage.tables import table_at
from reverie.training.evaluation import COLUMNS as EVALUATIONS


def draw_curve(run_directory: str | Path, output: Path, title: str) -> Path:
    """Draw returns against real steps and write the picture to `output` (PNG); return `output`.

    Training episodes are dots; evaluations are a line ± one standard deviation.
    Raises ConfigError where Matplotlib is not installed, StorageError where `output` cannot be written.
    """
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        raise ConfigError("the learning curve needs a package: pip install 'reverie[plot]'") from None
    run = RunDirectory(run_directory)
    episodes, evaluations = table_at(run.episodes_file, EPISODES), table_at(run.evaluations_file, EVALUATIONS)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(
        [row["step"] for row in episodes],
        [row["return"] for row in episodes],
        ".",
        color="#9aa7b5",
        markersize=4,
        label="training episodes (exploring)",
    )
    if evaluations:
        steps = [row["step"] for row in evaluations]
        mean = [row["return_mean"] for row in evaluations]
        std = [row["return_std"] for row in evaluations]
        axes.plot(steps, mean, "-o", color="#0b6e4f", markersize=4, label="greedy policy, mean ± sd")
        low = [m - s for m, s in zip(mean, std, strict=True)]
        high = [m + s for m, s in zip(mean, std, strict=True)]
        axes.fill_between(steps, low, high, color="#0b6e4f", alpha=0.15, linewidth=0)
    axes.set(xlabel="real environment steps", ylabel="return of an episode", title=title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    plt.close(figure)
    output_at(output).write(picture.getvalue())
    return output
