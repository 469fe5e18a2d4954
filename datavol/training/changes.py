"""Finds data and weights that changed under names that stayed."""

import hashlib
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from datavol.config.model import AnyModel
from datavol.config.run import Run
from datavol.config.user_code import code_of, import_module
from datavol.data.prepare import Prepared
from datavol.data.sources.open import Source
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder, runs_of
from datavol.training.networks.pretrained import weights_file

NAMED = 3  # runs that a warning names


def weights_sha256(model: AnyModel) -> str | None:
    """Hash the file of `model.weights`; None if it names no file."""
    path = weights_file(model)
    if path is None:
        return None
    found = path.stat()
    return _file_sha256(str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(16)
def _file_sha256(path: str, *_: int) -> str:  # the stamps are part of the key: a file that changes is read again
    content = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(2**20):
            content.update(piece)
    return content.hexdigest()


def check_code_stayed(run: Run) -> None:
    """Import a run's modules; raise a ConfigError if a source changed."""
    for name in run.config.imports:
        import_module(name)
    today = code_of(run.values)
    for name, before in run.config.code.items():
        if today.get(name) != before:
            raise ConfigError(
                f"module {name} must stay as it was when the run was checked ({before}), got {today.get(name)}; "
                "type the command again"
            )


def check_weights_stayed(folder: RunFolder, model: AnyModel) -> None:
    """Raise a ConfigError if a run's file of weights has changed."""
    before, today = folder.record.get("weights_sha256"), weights_sha256(model)
    if before is not None and today is not None and before != today:
        raise ConfigError(
            f"model.weights must be the file that {folder.path} was started from (sha256 {before[:12]}), got "
            f"{today[:12]} in {model.weights}; bring it back, or try sweep.rerun=true or another study=..."
        )


def check_files_stayed(runs: list[Run], prepared: list[Prepared]) -> None:
    """Warn of studies whose files changed under the same names.

    Raises:
        ConfigError: Instead, with data.verify=true.
    """
    sources = {(run.folder.parent, id(data.source)): (run, data) for run, data in zip(runs, prepared, strict=True)}
    for (study, _), (run, data) in sources.items():
        rerun = {run.folder.name for run in runs if run.config.sweep.rerun}
        others = [name for name in runs_on_other_files(study, data) if name not in rerun]
        if others:
            more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
            named, remedy = ", ".join(others[:NAMED]) + more, "sweep.rerun=true or another study=..."
            if data.source.verify:
                raise ConfigError(
                    f"files of data={run.config.data.name} must be those that runs of {study} were trained on, as "
                    f"data.verify=true asks, got changed ones under the same names ({named}); bring them back, or try "
                    f"{remedy}"
                )
            print(
                f"datavol: warning: files of data={run.config.data.name} have changed under the same names since runs "
                f"of {study} were trained ({named}); bring them back, or try {remedy}",
                file=sys.stderr,
            )


def runs_on_other_files(study: Path, prepared: Prepared) -> list[str]:
    """List a study's runs on the same names with other contents.

    Runs that recorded no contents are left out.
    """
    if prepared.source.content is None or not study.is_dir():
        return []
    return [folder.path.name for folder in runs_of(study) if _differs(folder, prepared)]


def _differs(folder: RunFolder, prepared: Prepared) -> bool:
    try:
        manifest = folder.manifest
    except (OSError, ValueError):  # a damaged record, of which its own start and the report tell
        return False
    return manifest.get("fingerprint") == prepared.source.fingerprint and files_differ(manifest, prepared.source)


def files_differ(manifest: Mapping[str, Any], source: Source) -> bool:
    """Return whether files of the same names had other contents.

    By their whole hashes where both are known, else by the sampled ones.
    """
    for name in ("content_sha256", "content"):
        before, today = manifest.get(name), getattr(source, name)
        if before is not None and today is not None:
            return bool(before != today)
    return False
