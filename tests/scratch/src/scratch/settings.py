from dataclasses import dataclass, field

from medgan.project.context import MedganContext
from medgan.settings import (
    CONFIG_LOADER_ARGS,
    CONFIG_LOADER_CLASS,
    DISABLE_HOOKS_FOR_PLUGINS,
    HOOKS,
)

__all__ = [
    "CONFIG_LOADER_ARGS",
    "CONFIG_LOADER_CLASS",
    "CONTEXT_CLASS",
    "DISABLE_HOOKS_FOR_PLUGINS",
    "HOOKS",
]


@dataclass(frozen=True)
class Model:
    latent_dim: int


@dataclass(frozen=True)
class Toy:
    model: Model
    steps: int = 3
    pause: float = 0.0
    refuse: str = "nowhere"


@dataclass(frozen=True)
class Empty:
    note: str = field(default="")


class CONTEXT_CLASS(MedganContext):
    @classmethod
    def sections(cls):
        return {"scale": str, "keep_versions": int, "toy": Toy, "other": Toy, "empty": Empty}
