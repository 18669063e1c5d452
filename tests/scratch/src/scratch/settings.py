from dataclasses import dataclass, field

from medgan.project.artifacts import context
from medgan.settings import CONFIG_LOADER_ARGS, CONTEXT_CLASS, DISABLE_HOOKS_FOR_PLUGINS, HOOKS

__all__ = ["CONFIG_LOADER_ARGS", "CONTEXT_CLASS", "DISABLE_HOOKS_FOR_PLUGINS", "HOOKS"]


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


context.sections = lambda: {"scale": str, "toy": Toy, "other": Toy, "empty": Empty}
