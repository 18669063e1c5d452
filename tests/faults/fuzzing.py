"""Damaged files by the thousand: sound small files of every format, and the ways in which they are
spoilt.
"""

from __future__ import annotations

import gzip
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig, SlicePolicy
from medgan.sources.readers.decoding import frames, read_picture
from tests.faults.making import BUNDLED, NIBABEL, dicom, nifti, noise, raster
from tests.sources.readers.raster_files import png, tiff

CONFIGS = (
    ReadingConfig(
        frames="all",
        slices=SlicePolicy(),
        volumes_4d="first",
        burned_in="keep",
        secondary_captures="all",
        pseudonym_key="a secret of the tests",
    ),
    ReadingConfig(
        frames="first",
        slices=SlicePolicy("sagittal", 0.0, 1.0, count=3),
        volumes_4d="first",
        window=(0.0, 400.0),
    ),
)
DICOM_FILES = (
    *(
        "CT_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "JPEG2000.dcm",
    ),
    *(
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",
        "SC_rgb_rle_16bit_2frame.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
    ),
    *(
        "rtdose.dcm",
        "rtdose_rle.dcm",
        "image_dfl.dcm",
        "liver_1frame.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_rgb_small_odd.dcm",
        "badVR.dcm",
    ),
    *("nested_priv_SQ.dcm", "UN_sequence.dcm", "reportsi.dcm", "examples_palette.dcm"),
)
NIFTI_FILES = (
    "standard.nii.gz",
    "example_nifti2.nii.gz",
    "resampled_anat_moved.nii",
    "anatomical.nii",
    "functional.nii",
)
SLOWEST = 5.0
"""Seconds that one input may take."""
LARGEST = 2 * 2**30
"""Bytes of memory that reading may need at its peak."""
SHOWN = 200
"""Images of one file that are read at most."""


def sound_files(folder: Path) -> dict[str, bytes]:
    """Name -> content of small valid files, the bundled ones of pydicom and nibabel among them."""
    color, grey = noise(0, 24, 32, 3), noise(1, 24, 32)
    image = Image.fromarray(color)
    raster(folder / "rgb.png", color)
    raster(folder / "deep.png", grey.astype(np.uint16) * 200)
    raster(folder / "palette.png", image.convert("P"))
    raster(
        folder / "moving.png",
        image,
        save_all=True,
        append_images=[Image.fromarray(noise(2, 24, 32, 3))],
    )
    raster(folder / "rgb.jpg", color, quality=80)
    raster(folder / "grey.jpg", grey)
    raster(folder / "progressive.jpg", color, progressive=True, comment="x" * 30)
    raster(folder / "cmyk.jpg", image.convert("CMYK"))
    raster(folder / "grey.bmp", grey)
    png(folder / "deep_rgb.png", color.astype(np.uint16) * 200, transparent=bytes(6))
    tiff(folder / "big.tif", color.astype(np.uint16) * 99, 2, big=True, deflate=True)
    tiff(folder / "film.tif", [grey.astype(np.uint16) * 99] * 2, 0)
    raster(folder / "packed.tif", color, compression="tiff_lzw")
    raster(
        folder / "pages.tif",
        grey.astype(np.uint16),
        save_all=True,
        append_images=[Image.fromarray(grey.astype(np.uint16))],
    )
    dicom(
        folder / "small.dcm",
        grey.astype(np.uint16) * 9,
        WindowCenter=900,
        WindowWidth=800,
        PatientAge="045Y",
        PatientID="1",
    )
    dicom(folder / "many.dcm", noise(3, 3, 12, 12), NumberOfFrames=3)
    nifti(folder / "small.nii", noise(4, 12, 10, 8).astype(np.int16), spacing=(1.0, 1.2, 3.0))
    nifti(folder / "float.nii.gz", noise(5, 12, 10, 8).astype(np.float32))
    nifti(folder / "four.nii", noise(6, 8, 8, 8, 2))
    np.save(folder / "array.npy", grey.astype(np.float32))
    np.savez_compressed(folder / "volume.npz", volume=noise(7, 9, 10, 11))
    bundled = [*(BUNDLED / name for name in DICOM_FILES), *(NIBABEL / name for name in NIFTI_FILES)]
    return {path.name: path.read_bytes() for path in [*sorted(folder.iterdir()), *bundled]}


Mutation = Callable[[bytearray, np.random.Generator, list[bytes]], bytearray]
HEADER = 512
SIZE_MARKS = (
    *(
        b"\x28\x00" + element
        for element in (
            b"\x02\x00",
            b"\x08\x00",
            b"\x10\x00",
            b"\x11\x00",
            b"\x00\x01",
            b"\x01\x01",
        )
    ),
    *(b"IHDR", b"\xff\xc0\x00", b"\xff\xc2\x00", b"\xff\x4f\xff\x51", b"'shape': ("),
)
"""What stands before sizes in DICOM (samples, frames, rows, columns, bits), PNG, JPEG, JPEG 2000
and NPY files.
"""
NIFTI_SIZES = 40
EDGES = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)


def flip_bits(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    for place in rng.integers(0, len(data), rng.integers(1, 16)):
        data[place] ^= 1 << int(rng.integers(8))
    return data


def cut(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    return data[: int(rng.integers(0, len(data)))]


def drop(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    start, length = int(rng.integers(0, len(data))), int(rng.integers(1, 64))
    return data[:start] + data[start + length :]


def splice(data: bytearray, rng: np.random.Generator, others: list[bytes]) -> bytearray:
    other = others[int(rng.integers(len(others)))]
    return data[: int(rng.integers(0, len(data)))] + other[int(rng.integers(0, len(other))) :]


def repeat(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    start, length = int(rng.integers(0, len(data))), int(rng.integers(1, 256))
    return data[:start] + data[start : start + length] * int(rng.integers(2, 40)) + data[start:]


def spoil_header(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Numbers at the edge of their range, where headers keep sizes and counts."""
    for _ in range(int(rng.integers(1, 4))):
        start, width = int(rng.integers(0, min(len(data), HEADER))), int(rng.choice([1, 2, 4]))
        data[start : start + width] = bytes([int(rng.choice(EDGES))]) * width
    return data


def spoil_numbers(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """A random whole number, little or big endian, anywhere: lengths of elements, chunks and
    strips.
    """
    start, width = int(rng.integers(0, len(data))), int(rng.choice([2, 4]))
    number = int(2 ** rng.uniform(0, 8 * width)) - 1
    data[start : start + width] = number.to_bytes(width, str(rng.choice(["little", "big"])))  # type: ignore[arg-type]
    return data


def spoil_sizes(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """A random whole number where a header says how large the image is."""
    found = [data.find(mark) + len(mark) for mark in SIZE_MARKS if mark in data] or [NIFTI_SIZES]
    start, width = (
        found[int(rng.integers(len(found)))] + int(rng.integers(0, 12)),
        int(rng.choice([1, 2, 4])),
    )
    data[start : start + width] = int(2 ** rng.uniform(0, 8 * width) - 1).to_bytes(
        width, str(rng.choice(["little", "big"]))
    )  # type: ignore[arg-type]
    return data


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    cut,
    drop,
    splice,
    repeat,
    spoil_header,
    spoil_numbers,
    spoil_sizes,
)


def inside_gzip(
    data: bytes, rng: np.random.Generator, others: list[bytes], mutation: Mutation
) -> bytes:
    """The packed content spoilt and packed again, so that it is looked at."""
    return gzip.compress(
        bytes(mutation(bytearray(gzip.decompress(data)), rng, others)), compresslevel=1
    )


def mutated(files: dict[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """(what was done to which file, content): input `index` is a function of the seed and its
    number alone.
    """
    names, contents = list(files), list(files.values())
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        name = names[index % len(names)]
        mutation = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
        data = files[name]
        if data.startswith(b"\x1f\x8b") and rng.random() < 0.7:
            spoilt = inside_gzip(data, rng, contents, mutation)
        else:
            spoilt = bytes(mutation(bytearray(data), rng, contents))
        yield f"{index}: {mutation.__name__} on {name}", spoilt


@dataclass
class Outcome:
    """What became of the inputs."""

    inputs: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    uncaught: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    seconds: float = 0.0
    """Time in the readers alone."""

    def add(self, name: str, found: str, seconds: float) -> None:
        self.inputs += 1
        self.seconds += seconds
        self.codes[found] += 1
        self.slowest = max(self.slowest, (seconds, name))

    def problems(self) -> list[str]:
        slow = (
            [f"{self.slowest[1]} took {self.slowest[0]:.1f} s"] if self.slowest[0] > SLOWEST else []
        )
        large = (
            [f"memory reached {peak_memory() / 2**20:.0f} MB"] if peak_memory() >= LARGEST else []
        )
        return self.uncaught + slow + large


def peak_memory() -> int:
    """Largest resident memory of this process, in bytes.

    Linux counts in `ru_maxrss` what the process that started this one held at that moment: the
    tests' own gigabytes.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        return int(re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE)[1]) * 1024  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def attempt(path: Path, config: ReadingConfig) -> str:
    """Reads every image of a file; the code of the first refusal, or `read`. Anything but
    `ImageRefused` goes up.
    """
    try:
        for number in [*frames(path, config)[:SHOWN]] or [None]:
            picture = read_picture(path, number, config)
            assert picture.pixels.dtype == np.uint8
            assert picture.pixels.ndim == 3
            assert picture.pixels.shape[2] in (1, 3)
            assert picture.pixels.size
    except ImageRefused as refused:
        return refused.code
    return "read"


def fuzz(
    folder: Path, count: int, seed: int, on_input: Callable[[int], None] = lambda _: None
) -> Outcome:
    """Reads `count` damaged files; `folder` is empty."""
    (folder / "sound").mkdir()
    outcome, path = Outcome(), folder / "input"
    for index, (name, data) in enumerate(mutated(sound_files(folder / "sound"), count, seed)):
        path.write_bytes(data)
        start = time.process_time()  # not the clock, since the machine may be busy
        try:
            found = attempt(path, CONFIGS[index // 97 % len(CONFIGS)])
        except Exception as error:
            found = "UNCAUGHT"
            outcome.uncaught.append(f"{name}: {type(error).__name__}: {error}")
        outcome.add(name, found, time.process_time() - start)
        on_input(index)
    return outcome
