"""Draw docs/packages.svg: the packages of the library, from the lowest up, and what each imports.

usage: python docs/packages.py
"""

import ast
import pathlib

SOURCE = pathlib.Path(__file__).parents[1] / "src" / "reverie"
PICTURE = pathlib.Path(__file__).with_name("packages.svg")
Arrows = dict[str, set[str]]


def imports() -> Arrows:
    """Return which packages each package imports."""
    packages = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))
    arrows: Arrows = {package: set() for package in packages}
    for package in packages:
        for file in (SOURCE / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                arrows[package] |= {name.split(".")[1] for name in names if name.startswith("reverie.")}
    return {package: (others & set(packages)) - {package} for package, others in arrows.items()}


def without_implied(arrows: Arrows) -> Arrows:
    """Return the arrows that no chain of others implies."""

    def reach(package: str) -> set[str]:
        return set().union(*({other} | reach(other) for other in arrows[package]))

    return {
        package: {other for other in others if not any(other in reach(third) for third in others - {other})}
        for package, others in arrows.items()
    }


def heights(arrows: Arrows) -> dict[str, int]:
    """Return the longest chain of imports below each package."""

    def height(package: str) -> int:
        return 1 + max(map(height, arrows[package]), default=-1)

    return {package: height(package) for package in arrows}


def described(arrows: Arrows) -> str:
    """Return the arrows as text; the picture carries it, so that a test can tell whether it is current."""
    return "; ".join(f"{package}: {', '.join(sorted(others))}" for package, others in sorted(arrows.items()))


def draw() -> None:
    """Write the picture."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "packages"
    from matplotlib import pyplot as plt

    arrows = without_implied(imports())
    rows: dict[int, list[str]] = {}
    for package, height in heights(arrows).items():
        rows.setdefault(height, []).append(package)
    places = {
        package: (4.0 * (i - (len(row) - 1) / 2), 1.6 * height)
        for height, row in rows.items()
        for i, package in enumerate(sorted(row))
    }
    figure, axes = plt.subplots(figsize=(8, 9))
    for package, others in arrows.items():
        for other in sorted(others):
            (x, y), (x_end, y_end) = places[package], places[other]
            arrow = {"arrowstyle": "->", "color": "#00796b", "shrinkA": 14, "shrinkB": 14, "lw": 1.0}
            arrow["connectionstyle"] = f"arc3,rad={0.0 if abs(y - y_end) < 2 else 0.12}"
            axes.annotate("", (x_end, y_end), (x, y), arrowprops=arrow)
    for package, (x, y) in places.items():
        box = {"boxstyle": "round,pad=0.4", "facecolor": "#e0f2f1", "edgecolor": "#00796b"}
        axes.text(x, y, package, ha="center", va="center", fontsize=11, bbox=box)
    wide = max(abs(x) for x, _ in places.values()) + 2
    axes.set_xlim(-wide, wide)
    axes.set_ylim(-1, max(y for _, y in places.values()) + 1)
    axes.axis("off")
    figure.savefig(PICTURE, metadata={"Date": None, "Description": described(arrows)}, bbox_inches="tight")


if __name__ == "__main__":
    draw()
