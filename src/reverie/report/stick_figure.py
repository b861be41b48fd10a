"""Line drawings of MuJoCo scenes with Pillow, for machines without OpenGL.

Spheres and capsules are exact up to perspective.  Boxes, cylinders and ellipsoids are drawn as capsules along their
longest axis.  Planes become a grid.  This is enough to see what a policy does.
"""

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SIZE = 480
PLANE, SPHERE = 0, 2  # mjtGeom
SKY, FLOOR = (238, 243, 247), (205, 214, 222)


class StickFigure:
    """Draws `model` and `data` of a MuJoCo environment, seen from a camera like the viewer's free one."""

    def __init__(self, model: Any, data: Any, camera: dict[str, Any] | None = None):
        camera = camera or {}
        self.model, self.data = model, data
        # Defaults are those of Gymnasium's viewer.
        azimuth, elevation = np.radians(camera.get("azimuth", 90.0)), np.radians(camera.get("elevation", -45.0))
        distance = camera.get("distance", float(model.stat.extent))
        self._follow = camera.get("trackbodyid") if camera.get("type") == 1 else None
        self._target = np.asarray(camera.get("lookat", np.median(data.geom_xpos, axis=0)), float)
        forward = np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        )
        right = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
        # of the camera: x right, y up, z away from it
        self._axes = np.stack([right, np.cross(right, forward), forward])
        self._distance = distance
        self._focal = SIZE / 2 / np.tan(np.radians(float(model.vis.global_.fovy)) / 2)

    def _project(self, points: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pixels [k, 2] and depths [k] of points [k, 3] in the scene."""
        seen = (points - target) @ self._axes.T
        depth = np.maximum(seen[:, 2] + self._distance, 1e-2)
        return SIZE / 2 + self._focal * seen[:, :2] / depth[:, None] * [1, -1], depth

    def render(self) -> np.ndarray:
        """Return a picture [SIZE, SIZE, 3] of the present scene."""
        model, data = self.model, self.data
        target = self._target if self._follow is None else data.xpos[self._follow]
        picture = Image.new("RGB", (SIZE, SIZE), SKY)
        draw = ImageDraw.Draw(picture)
        shapes = []
        for i in range(model.ngeom):
            kind, size, rgba = model.geom_type[i], model.geom_size[i], model.geom_rgba[i]
            if rgba[3] == 0:
                continue
            if kind == PLANE:
                self._draw_floor(draw, data.geom_xpos[i][2], target)
                continue
            axis = data.geom_xmat[i].reshape(3, 3)
            if kind == SPHERE:
                radius, half, along = size[0], 0.0, axis[:, 2]
            elif size[2] > 0:  # box, ellipsoid: three half-sizes
                longest = int(np.argmax(size))
                radius, half, along = float(np.median(size)), float(size[longest]), axis[:, longest]
                half = max(half - radius, 0.0)
            else:  # capsule, cylinder: radius and half-length along z
                radius, half, along = size[0], size[1], axis[:, 2]
            ends = data.geom_xpos[i] + np.outer([-half, half], along)
            pixels, depth = self._project(ends, target)
            shapes.append((depth.mean(), pixels, max(1.0, self._focal * radius / depth.mean()), _shade(rgba)))
        for _, pixels, radius, colour in sorted(shapes, key=lambda shape: -shape[0]):
            draw.line([tuple(p) for p in pixels], fill=colour, width=max(1, round(2 * radius)))
            for x, y in pixels:
                draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
        return np.asarray(picture)

    def _draw_floor(self, draw: Any, height: float, target: np.ndarray) -> None:
        reach = 2.0 * self._distance
        for offset in np.arange(-8, 9) * reach / 8:
            for line in ([[-reach, offset], [reach, offset]], [[offset, -reach], [offset, reach]]):
                points = np.array([[x, y, height] for x, y in line])
                if (((points - target) @ self._axes[2]) > -0.9 * self._distance).all():
                    pixels, _ = self._project(points, target)
                    draw.line([tuple(p) for p in pixels], fill=FLOOR, width=1)


def _shade(rgba: np.ndarray) -> tuple[int, int, int]:
    r, g, b = (int(40 + 190 * float(c)) for c in rgba[:3])
    return r, g, b
