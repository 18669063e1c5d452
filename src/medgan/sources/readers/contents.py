"""Contents that are known and not read: other images, archives, and what stands for a file."""

from __future__ import annotations

import re
from dataclasses import dataclass

PICTURE = "convert it to PNG or TIFF"
VIDEO = "extract its frames as PNG"
VOLUME = "convert it to one NIfTI file (.nii)"
ARRAY = "save each image as NPY, PNG or TIFF"
UNPACK = "unpack it"
DOWNLOAD = "download the file again, signed in where the page asks for it"


@dataclass(frozen=True)
class Content:
    """One kind of content that is not read."""

    pattern: bytes  # regular expression that fits from the first byte on, whatever the case
    name: str
    remedy: str
    is_image: bool = True
    """Whether such a file holds images that are left out, and not something else."""


CONTENTS: tuple[Content, ...] = (
    Content(rb"GIF8[79]a", "a GIF image", PICTURE),
    Content(rb"RIFF....WEBP", "a WebP image", PICTURE),
    Content(rb"%PDF", "a PDF document", "extract its images as PNG", is_image=False),
    Content(rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript document", PICTURE),
    Content(rb"8BP[SB]", "a Photoshop image", PICTURE),
    Content(rb"SIMPLE  =", "a FITS image", PICTURE),
    Content(rb"P[1-6]\s+[#\d]", "a PNM image", PICTURE),
    Content(rb"\x00\x00\x01\x00", "an icon", PICTURE),
    Content(rb"....ftyp(hei|hev|mif1|msf1|avi)", "a HEIF or AVIF image", PICTURE),
    Content(rb"\x00\x00\x00\x0cjP|\xff\x4f\xff\x51", "a JPEG 2000 image", PICTURE),
    Content(rb"\x00\x00\x00\x0cJXL|\xff\x0a", "a JPEG XL image", PICTURE),
    Content(rb"(II|MM)(\xbc\x01|\x01\xbc)", "a JPEG XR image", PICTURE),
    Content(rb"MM\x00\x2b", "a big-endian BigTIFF", "save it as a little-endian TIFF"),
    Content(rb"\x76\x2f\x31\x01", "an OpenEXR image", PICTURE),
    Content(rb"RIFF|....ftyp|\x1a\x45\xdf\xa3", "a video or sound", VIDEO, is_image=False),
    Content(rb"NRRD\d", "an NRRD volume", VOLUME),
    Content(rb"(ObjectType|NDims)\s*=", "a MetaImage header", VOLUME),
    Content(rb".{344}ni1\x00|.{4}ni2\x00", "the header of a NIfTI pair (.hdr and .img)", VOLUME),
    Content(
        rb"(\x5c\x01\x00\x00|\x00\x00\x01\x5c).{340}\x00",
        "an Analyze 7.5 header, which does not say how the volume is oriented",
        VOLUME,
    ),
    Content(
        rb"\x00\x00\x00\x01(\x00\x00..){3}\x00\x00..\x00\x00\x00[\x00-\x04]",
        "a FreeSurfer volume (MGH)",
        VOLUME,
    ),
    Content(rb"CDF[\x01\x02]", "a NetCDF or MINC file", VOLUME),
    Content(rb"\x89HDF\r\n", "an HDF5 file", ARRAY),
    Content(rb"MATLAB 5\.0", "a MATLAB file", ARRAY, is_image=False),
    Content(rb"\x80[\x02-\x05]", "a pickle, which is never loaded", ARRAY, is_image=False),
    Content(rb"PK(\x03\x04|\x05\x06|\x07\x08)", "a zip archive", UNPACK, is_image=False),
    Content(rb"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK, is_image=False),
    Content(rb"Rar!\x1a\x07", "a RAR archive", UNPACK, is_image=False),
    Content(rb".{257}ustar", "a tar archive", UNPACK, is_image=False),
    Content(rb"\x1f\x8b", "a gzip archive", UNPACK, is_image=False),
    Content(rb"BZh[1-9]", "a bzip2 archive", UNPACK, is_image=False),
    Content(rb"\xfd7zXZ\x00", "an xz archive", UNPACK, is_image=False),
    Content(rb"\x28\xb5\x2f\xfd", "a Zstandard archive", UNPACK, is_image=False),
    Content(
        rb"version https://git-lfs\.github\.com/spec/",
        "a Git LFS pointer, not the file itself",
        "fetch it with `git lfs pull`",
        is_image=False,
    ),
    Content(
        rb"(\.\./)*(\.git)?/annex/objects/",
        "a git-annex pointer, not the file itself",
        "fetch it with `git annex get`",
        is_image=False,
    ),
    Content(
        rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body)",
        "a web page, not the file that was to be downloaded",
        DOWNLOAD,
        is_image=False,
    ),
    Content(
        rb"(\xef\xbb\xbf)?\s*(<\?xml|<error|<svg|\{|\[\s*\{)",
        "a text (XML or JSON), perhaps the error message of a download",
        DOWNLOAD,
        is_image=False,
    ),
)


def known_content(head: bytes) -> Content | None:
    """Return the kind of content that begins so (540 bytes are enough); None for other content."""
    how = re.DOTALL | re.IGNORECASE
    return next((one for one in CONTENTS if re.match(one.pattern, head, how)), None)
