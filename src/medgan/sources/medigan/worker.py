"""Run the `generate` function of a package in medigan's format; called with a request as JSON.

This file runs in the interpreter of the package, in a process of its own: it imports the standard
library and NumPy alone. The working directory holds models/<id>/<package>/, as medigan lays it out.
Each line on the standard output is a JSON document: `{"drawn": n}` after each batch, and last
`{"versions": ...}` or `{"error": ..., "missing": ...}`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BATCH = 32
"""Images that are asked for at once, as medigan does."""
REPORTED = ("torch", "torchvision", "numpy")


def main() -> int:
    """Draw the images and report."""
    report = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what the package prints goes to the log
    threading.Thread(target=_end_with_parent, daemon=True).start()
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        for drawn in _draw(request):
            report.write(json.dumps({"drawn": drawn}) + "\n")
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        said = f"{type(error).__name__}: {error}"
        report.write(json.dumps({"error": said[:500], "missing": missing}) + "\n")
        return 1
    report.write(json.dumps({"versions": _versions()}) + "\n")
    return 0


def _end_with_parent() -> None:
    """End when the process that reads the report has ended."""
    while os.read(0, 1024):
        pass
    os._exit(1)


def _draw(request: dict[str, Any]) -> Iterator[int]:
    """Write images.npy of the requested length; yield the number of images after each batch."""
    import numpy as np

    sys.path.insert(0, str(Path.cwd()))
    generate = getattr(importlib.import_module(request["module"]), request["function"])
    _seed(request["seed"], "torch" in sys.modules or "torch" in request["dependencies"])
    stored, done, count = None, 0, request["count"]
    while done < count:
        asked = min(BATCH, count - done)
        given = {**request["arguments"], "model_file": request["model_file"]}
        returned = generate(**given, num_samples=asked, output_path="output", save_images=False)
        images = [_image(one) for one in (() if returned is None else returned)][: count - done]
        if not images:
            raise ValueError("its generate function returned no images")
        if stored is None:
            shape = (count, *images[0].shape)
            stored = np.lib.format.open_memmap(
                "images.npy", mode="w+", dtype=images[0].dtype, shape=shape
            )
        for image in images:
            if image.shape != stored.shape[1:]:
                raise ValueError(f"its images differ in shape: {stored.shape[1:]}, {image.shape}")
            stored[done] = image
            done += 1
        yield done
    if stored is not None:
        stored.flush()


def _seed(seed: int, with_torch: bool) -> None:
    """Seed the generators that a package may draw from."""
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the global one is what packages use
    if with_torch:
        import torch

        torch.manual_seed(seed)


def _image(sample: Any) -> Any:
    """Return the image of a sample: its first part where a mask or label comes with it."""
    import numpy as np

    image = sample[0] if isinstance(sample, list | tuple) else sample
    if hasattr(image, "detach"):
        image = image.detach().cpu().numpy()
    return np.asarray(image)


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in REPORTED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
