"""Files of films for the rows that read images: phantoms as JPEG, kept in build/bench."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import Image

from medgan.sources.phantoms import PhantomSource

FOLDER = Path("build/bench").resolve()
DRAWN = 60
"""Different phantoms; more films are copies of them, which take as long to decode."""
QUALITY = 90


@cache
def films(count: int, side: int) -> tuple[Path, ...]:
    """Write gray JPEG files of side x side pixels, unless they are there."""
    folder = FOLDER / f"films_{count}_{side}" / "films"
    paths = tuple(folder / f"{number:05d}.jpg" for number in range(count))
    if not paths[-1].exists():
        folder.mkdir(parents=True, exist_ok=True)
        source = PhantomSource(images=DRAWN, patients=DRAWN, size=side).open()
        for first, path in enumerate(paths[:DRAWN]):
            Image.fromarray(source.read(str(first)).pixels[:, :, 0]).save(path, quality=QUALITY)
        for number, path in enumerate(paths[DRAWN:]):
            path.write_bytes(paths[number % DRAWN].read_bytes())
    return paths
