"""What share of faces and number plates is found, at the size that clips are kept at: plates of real streets, real faces put into them.

Plates were marked by hand in DGP's first test scene (the car stands: 5 plates, 3 pictures of each). Faces are the 100 of Labeled Faces in the
Wild that scikit-image carries, 25 pixels wide, all from the front and all found by a cascade when that set was made, so this recall flatters.
"""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from bench.figure import Figure
from motorworks.clips.frames import open_image
from motorworks.curate.privacy import Region, RegionFinder, finder_with
from motorworks.geometry.array import Array

SCENE = Path(__file__).parents[2] / "shared/data/dgp_test_scenes/test_scene/scene_01/rgb"
PLATES_PX = {  # left, top, right, bottom of 1936 by 1216
    "CAMERA_01": ((998, 773, 1097, 816), (1460, 663, 1508, 686)),
    "CAMERA_06": ((600, 759, 659, 796), (1318, 791, 1355, 821), (20, 652, 58, 663)),
}
FACES_PX = (10, 14, 20, 30)
COVERED = 0.9  # of a plate's or a face's inner part, to count


def measure() -> list[Figure]:
    """Recall by kind; none where the pictures are not here."""
    weights = os.environ.get("MOTORWORKS_NANODET")
    finder = finder_with(Path(weights) if weights else None)
    if not SCENE.is_dir():
        print(f"privacy: {SCENE} is not there, so nothing is measured")
        return []
    hits = [shares(box, found) for picture, boxes in _plates() for found in [finder.find(picture[None])[0]] for box in boxes]
    figures = [_figure("plate", hits, f"{len(hits)} plates, 4 to 12 px wide, {finder.name}")]
    if importlib.util.find_spec("skimage") is None:
        print("privacy: scikit-image, which carries faces, is not installed")
        return figures
    for size in FACES_PX:
        hits, num_false = _faces(size, finder)
        figures.append(_figure(f"face_{size}px", hits, f"{len(hits)} faces from the front; {num_false / 20:.1f} false ones a picture; {finder.name}"))
    return figures


def shares(box: tuple[float, ...], found: tuple[Region, ...]) -> float:
    """Of a box (shares of a picture) that lies in what was found."""
    rows, columns = np.linspace(box[1], box[3], 40), np.linspace(box[0], box[2], 40)
    inside = np.zeros((40, 40), bool)
    for one in found:
        inside |= ((rows >= one.top_frac) & (rows <= one.bottom_frac))[:, None] & ((columns >= one.left_frac) & (columns <= one.right_frac))
    return float(inside.mean())


def _figure(kind: str, hits: list[float], about: str) -> Figure:
    recall = float(np.mean(np.array(hits) >= COVERED))
    return Figure(name=f"privacy.{kind}_recall_frac", value=recall, unit="of 1", against=f"all of them; {about}", ratio=recall)


def _plates() -> Iterator[tuple[UInt8[Array, "height width 3"], list[tuple[float, ...]]]]:
    for camera, boxes in PLATES_PX.items():
        for file in sorted((SCENE / camera).iterdir()):
            yield open_image(file), [(left / 1936, top / 1216, right / 1936, bottom / 1216) for left, top, right, bottom in boxes]


def _faces(size_px: int, finder: RegionFinder) -> tuple[list[float], int]:
    import skimage

    faces = np.load(Path(skimage.__file__).parent / "data/lfw_subset.npy")[:100]
    street = open_image(sorted((SCENE / "CAMERA_05").iterdir())[0])
    height, width = street.shape[:2]
    hits, num_found, num_hit = [], 0, 0
    for start in range(0, 100, 5):
        picture, boxes = street.copy(), []
        for place, face in enumerate(faces[start : start + 5]):
            small = np.asarray(Image.fromarray((face * 255).astype(np.uint8)).resize((size_px, size_px), Image.Resampling.BOX))
            x, y = 8 + 44 * place, 60 + 7 * place
            picture[y : y + size_px, x : x + size_px] = small[..., None]
            inner = size_px * 0.2
            boxes.append(((x + inner) / width, (y + inner) / height, (x + size_px - inner) / width, (y + size_px - inner) / height))
        found = finder.find(picture[None])[0]
        hits += [shares(box, found) for box in boxes]
        num_found += sum(region.kind == "face" for region in found)
        num_hit += sum(shares(box, (region,)) > 0.3 for region in found for box in boxes if region.kind == "face")
    return hits, max(0, num_found - num_hit)
