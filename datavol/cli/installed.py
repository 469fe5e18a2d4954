"""Names the extra that brings a package which is not installed."""

from importlib.util import find_spec

from datavol.errors import ConfigError

EXTRAS = {"train": ("torch", "torchvision", "lightning", "timm", "torchmetrics", "wandb", "submitit")}
"""Packages that parts of datavol need and `pip install datavol` leaves out, by extra."""


def check_installed(extra: str) -> None:
    """Raise a ConfigError unless an extra's packages are there; imports none."""
    missing = [package for package in EXTRAS[extra] if find_spec(package) is None]
    if missing:
        raise not_installed(missing[0], extra)


def not_installed(package: str, extra: str) -> ConfigError:
    """Word what is missing, and what brings it."""
    return ConfigError(f"this needs the package {package}, got none; type pip install 'datavol[{extra}]'")


def explained(error: ModuleNotFoundError) -> ConfigError | None:
    """Explain a failed import of an extra's package; None for others."""
    package = (error.name or "").partition(".")[0]
    extra = next((extra for extra, packages in EXTRAS.items() if package in packages), None)
    return None if extra is None else not_installed(package, extra)
