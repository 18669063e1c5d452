"""Files of weights that are not trained here: where they are, and which ones they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medgan.errors import MissingWeights, UserError
from medgan.files.digest import file_digest
from medgan.models import fits

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PARAMETER = "backbone_weights"


@dataclass(frozen=True)
class PretrainedWeights:
    """A file of tensors by torchvision's names, and its content."""

    network: str
    path: Path
    sha256: str
    parameter: str = PARAMETER
    """That gives the path."""

    @classmethod
    def find(cls, network: str, given: str | None, parameter: str = PARAMETER) -> PretrainedWeights:
        """Find the weights of a network.

        Args:
            network: a key of `networks.layouts.FILES`.
            given: a path; None searches torchvision's download folder. Nothing is downloaded.
            parameter: that gives the path.

        Raises:
            MissingWeights: no file is given, and there is none.
            UserError: the given file does not exist.
        """
        import torch

        from medgan.networks.layouts import FILES

        file = FILES[network]
        path = Path(given) if given else Path(torch.hub.get_dir()) / "checkpoints" / file
        if path.is_file():
            return cls(network, path, file_digest(path), parameter)
        if given:
            raise UserError(
                f"There are no weights at {path}: give --params {parameter}=PATH of a file such as "
                f"{file}, or leave it out."
            )
        raise MissingWeights(
            f"it needs the pretrained weights of {network}: give --params {parameter}=PATH, since "
            f"torch has no {file} on this machine"
        )

    def read(self) -> dict[str, Tensor]:
        """Read the tensors, without running anything that the file may hold.

        Raises:
            UserError: it is no file of tensors.
        """
        from medgan.networks.backbone import saved_tensors

        try:
            return saved_tensors(self.path)
        except Exception as error:  # of many kinds, UnpicklingError among them
            raise UserError(
                f"{self.path} is no file of weights as torch saves them: give --params "
                f"{self.parameter}=PATH of one for {self.network}."
            ) from error


@dataclass(frozen=True)
class GivenWeights:
    """A safetensors file of all weights of a model, such as that of a published one."""

    path: Path
    sha256: str

    @classmethod
    def find(cls, given: str) -> GivenWeights:
        """Find the file. Raises `UserError` where there is none."""
        path = Path(given)
        if not path.is_file():
            raise UserError(f"There are no weights at {path}: give a safetensors file.")
        return cls(path, file_digest(path))

    def read(self, name: str, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
        """Read the tensors.

        Args:
            name: of the model.
            shapes: those of its weights.

        Raises:
            UserError: it is no safetensors file, or its tensors are not those of the model.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            found = load_file(self.path)
        except SafetensorError as error:
            raise UserError(
                f"{self.path} is no safetensors file: other files of weights may hold code, so "
                "convert it with safetensors.torch.save_file."
            ) from error
        for tensor in sorted(shapes.keys() | found.keys()):
            wanted = shapes.get(tensor)
            there = found[tensor].shape if tensor in found else None
            if wanted is None or there is None or not fits(wanted, there):
                raise UserError(
                    f"{self.path} holds no weights of {name} as it is configured: {tensor} is "
                    f"{_shape(there)} there and {_shape(wanted)} here. Give the settings that it "
                    "was trained with."
                )
        return found


def _shape(shape: torch.Size | None) -> str:
    return "absent" if shape is None else str(tuple(shape))
