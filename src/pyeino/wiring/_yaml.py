"""Settings from a YAML file, each with the line it stands on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

from pyeino.errors import MissingDependencyError
from pyeino.wiring._keys import all_keys, sections
from pyeino.wiring._sources import Source, flatten

try:
    import yaml
except ImportError as error:
    raise MissingDependencyError("PyYAML", extra="server") from error

_MAX_BYTES = 1_048_576
_QUOTED = re.compile(r"'[*!&]?\w[^']{2,}'")


def read_file(path: Path) -> Source:
    """The settings in the YAML file at `path`; a file that cannot be read is a problem."""
    source = Source()
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        source.refuse(
            "configuration file",
            str(path),
            f"cannot be read: {error.strerror}",
            remedy="Check the path and its permissions",
        )
        return source
    if len(content) > _MAX_BYTES:
        source.refuse(
            "configuration file",
            str(path),
            f"larger than {_MAX_BYTES} bytes",
            remedy="Is it the right file?",
        )
        return source
    return _read(source, content, str(path))


def _read(source: Source, content: bytes, name: str) -> Source:
    loader = yaml.SafeLoader(content)
    try:
        root = loader.get_single_node()
        if root is None or (isinstance(root, yaml.ScalarNode) and root.value == ""):
            return source
        if not isinstance(root, yaml.MappingNode):
            source.refuse(
                "configuration file",
                f"{name}:{root.start_mark.line + 1}",
                "expected a mapping of sections",
                remedy="Begin with a section such as `server:`",
            )
            return source
        flatten(source, _Walk(loader, source, name).pairs(root, ""))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        source.refuse(
            "configuration file",
            f"{name}{line}",
            f"not valid YAML: {_told(error)}",
            remedy="Mend the file; indentation and colons are the usual cause",
        )
    finally:
        loader.dispose()
    return source


def _told(error: yaml.YAMLError) -> str:
    """What is wrong, without the names in it: a secret that begins with * or ! looks like one."""
    problem = getattr(error, "problem", None)
    if not problem:
        return "it cannot be read"
    return _QUOTED.sub("'***' (quote a value that begins with a sign)", problem)


class _Walk:
    """One walk over the nodes of a file; a section is walked into, a key is taken whole."""

    def __init__(self, loader: yaml.SafeLoader, source: Source, name: str) -> None:
        # The stubs leave the type of `construct_object` open.
        self._construct: Callable[[yaml.Node], Any] = partial(
            cast("Any", loader).construct_object, deep=True
        )
        self._source = source
        self._name = name

    def pairs(self, node: yaml.MappingNode, prefix: str) -> Iterator[tuple[str, Any, str]]:
        """Each leaf below `node` as (path, value, origin)."""
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            origin = f"{self._name}:{line}"
            path = f"{prefix}{key_node.value}" if isinstance(key_node, yaml.ScalarNode) else ""
            if not path:
                self._source.refuse(
                    prefix or "configuration file", origin, "a key must be text", remedy="Rename it"
                )
                continue
            if path in seen:
                self._source.refuse(
                    path, origin, f"already set in line {seen[path]}", remedy="Remove one of them"
                )
                continue
            seen[path] = line
            yield from self._leaves(path, value_node, origin)

    def _leaves(self, path: str, node: yaml.Node, origin: str) -> Iterator[tuple[str, Any, str]]:
        if path in sections() and path not in all_keys():
            if isinstance(node, yaml.MappingNode):
                yield from self.pairs(node, f"{path}.")
                return
            if isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~"):
                return  # a section whose keys are all commented out
        yield path, self._construct(node), origin
