"""The first pass over files: decode, hash (SHA-256 and 256 perceptual bits), resize, store.

Ours reads every file twice: ingestion lists what can be used, and preprocessing stores that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.paired import Case, Within
from benchmarks.plain.first_pass import Hash, prepare_all, to_array
from benchmarks.rows.films import FOLDER, films
from benchmarks.scale import Scale
from medgan.images.config import IngestionConfig, PreprocessingConfig
from medgan.images.manifest import build_manifest
from medgan.images.metadata import ImageFacts, read_facts
from medgan.images.store import ImageStore, write_store
from medgan.pipelines.preprocessing.nodes import build_images
from medgan.sources.folder import FolderSource

SIZE, SIDE = 64, 1_000
NEARLY_LINEAR = 0.8
"""Speed-up for each core."""
PIXELS = Within(0, lambda mine, theirs: float(np.abs(mine - theirs).max()), "gray levels")


def against_one_process(scale: Scale) -> Case:
    """PIL, hashlib and imagehash in one process."""
    return _against_pil(scale, 1)


def against_processes(scale: Scale) -> Case:
    """PIL, hashlib and imagehash in a process for each core."""
    return _against_pil(scale, os.cpu_count() or 1)


def against_webdataset(scale: Scale) -> Case:
    """The same, written as a tar file by webdataset."""
    from webdataset import TarWriter

    paths, cores = _films(scale), os.cpu_count() or 1
    target = str(FOLDER / "films.tar")

    def theirs() -> NDArray[np.int16]:
        pixels = []
        with TarWriter(target) as tar:
            for number, film in enumerate(prepare_all(paths, SIZE, _hash(), cores)):
                tar.write({"__key__": f"{number:05d}", "npy": film.pixels, "cls": film.checksum})
                pixels.append(film.pixels)
        return np.stack(pixels).astype(np.int16)

    return _case(paths, f"webdataset, {cores} processes", theirs)


def against_one_core(scale: Scale) -> Case:
    """Ours on one core: what more cores bring."""
    paths, cores = _films(scale), sorted(os.sched_getaffinity(0))

    def theirs() -> NDArray[np.int16]:
        os.sched_setaffinity(0, cores[:1])  # of this thread and those that it starts
        try:
            return _ours(paths[0].parent)
        finally:
            os.sched_setaffinity(0, cores)

    goal = NEARLY_LINEAR * len(cores)
    return _case(paths, f"ours, one core of {len(cores)}", theirs, goal)


def _against_pil(scale: Scale, processes: int) -> Case:
    paths, hashed = _films(scale), _hash()

    def theirs() -> NDArray[np.int16]:
        prepared = prepare_all(paths, SIZE, hashed, processes)
        return to_array(prepared, FOLDER / "films.npy").astype(np.int16)

    name = "one process" if processes == 1 else f"{processes} processes"
    return _case(paths, f"PIL + hashlib + imagehash, {name}", theirs)


def _hash() -> Hash:
    from imagehash import phash

    return partial(phash, hash_size=16)


def _films(scale: Scale) -> tuple[Path, ...]:
    return films(*scale.of((160, SIDE), (64, SIDE)))


def _case(paths: Sequence[Path], against: str, other: Callable[[], Any], goal: float = 1.5) -> Case:
    work = f"First pass over {len(paths)} films of {SIDE:,} px: decode, hash, resize, store"
    return Case(work, against, goal, lambda: _ours(paths[0].parent), other, PIXELS)


class _Facts:
    """`KnownFacts` of this pass, none at its beginning."""

    def __init__(self) -> None:
        self.found: dict[str, ImageFacts] = {}

    def of(self, paths: Sequence[str]) -> dict[str, ImageFacts]:
        return {path: self.found[path] for path in paths if path in self.found}


def _ours(folder: Path) -> NDArray[np.int16]:
    """Do what ingestion and preprocessing do, without their reports."""
    source, facts = FolderSource(str(folder.parent)).open(), _Facts()
    ingestion = IngestionConfig(normal=folder.name)
    for part in read_facts(source, source.rows()["path"].tolist(), facts):
        facts.found |= {fact.path: fact for fact in part}
    manifest, _, _ = build_manifest(source, facts, ingestion)
    plan = build_images(source, manifest, PreprocessingConfig(size=SIZE), ingestion)
    target = FOLDER / "first_pass"
    write_store(target, plan.images(), plan.info)
    order = np.argsort(manifest["path"].to_numpy())
    return ImageStore.open(target).read(order)[..., 0].astype(np.int16)


CASES = (against_one_process, against_processes, against_webdataset, against_one_core)
