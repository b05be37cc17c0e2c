"""pyeino models pull | list | path."""

from __future__ import annotations

import argparse

from pyeino.cli._terminal import ProgressBar, format_size, note, say
from pyeino.integrations.llamacpp import (
    DEFAULT_MODEL,
    LocalModel,
    list_models,
    model_path,
    models_folder,
    pull,
)


def pull_model(arguments: argparse.Namespace) -> int:
    """Fetch a model by name, or from an address; what is there already is left alone."""
    name = arguments.name or DEFAULT_MODEL
    there = {model.name for model in list_models() if model.path is not None}
    if name not in there:
        note(f"fetching {name} into {models_folder()}")
    bar = ProgressBar(name)
    try:
        path = pull(name, sha256=arguments.sha256, on_progress=bar.update)
    finally:
        bar.finish()
    note(f"{name} is there: {path} ({format_size(path.stat().st_size)})")
    return 0


def show_list(_: argparse.Namespace) -> int:
    """Print each model with its size, and whether it is on this machine."""
    models = list_models()
    width = max(len(model.name) for model in models)
    for model in models:
        say(f"{model.name:<{width}}  {_state(model)}")
    return 0


def show_path(arguments: argparse.Namespace) -> int:
    """Print where the file of a model is; an error when it is not on this machine."""
    say(str(model_path(arguments.name or DEFAULT_MODEL)))
    return 0


def _state(model: LocalModel) -> str:
    described = f"  {model.weights.description}" if model.weights else ""
    if model.path is not None:
        return f"{format_size(model.path.stat().st_size):>8}  there  {described}".rstrip()
    size = format_size(model.weights.size) if model.weights else ""
    return f"{size:>8}  absent {described}".rstrip()
