"""Random workflows give what a plain reading of the rules gives, whole and streamed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pyeino.compose import END, START, Workflow

SOURCES: list[Any] = ["a", ("b", "c"), "b"]


@dataclass
class Link:
    """One arrow: what it maps (nothing: control alone), and whether it lets its target run."""

    source: str
    control: bool
    fields: dict[Any, Any]


@dataclass
class Node:
    name: str
    streams: bool
    links: list[Link]
    constants: dict[Any, Any]
    # the ends of its branch, and how many of them are picked
    ends: list[str] = field(default_factory=list[str])
    picks: int = 0


Drawn = list[Node]
"""Nodes in an order in which they can run; the last one is END."""


def answer(name: str, taken: dict[str, Any]) -> dict[str, Any]:
    """What a node makes: different for each input, with a field inside a field."""
    text = json.dumps(taken, sort_keys=True)
    return {"a": f"{name}<{text}>", "b": {"c": f"{name}:{len(text)}", "d": "d"}}


def picked(node: Node, given: dict[str, Any]) -> list[str]:
    """Which of its ends a branch picks: some of them, by what was given."""
    first = len(given["a"]) % len(node.ends)
    turned = node.ends[first:] + node.ends[:first]
    return turned[: node.picks]


@st.composite
def workflows(draw: st.DrawFn) -> Drawn:
    count = draw(st.integers(1, 6))
    names = [f"n{number}" for number in range(count)]
    nodes: Drawn = [Node(START, False, [], {})]
    for position, name in enumerate(names):
        earlier = [START, *names[:position]]
        sources = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3))
        links: list[Link] = []
        for source in sources:
            fields: dict[Any, Any] = {}
            for number, path in enumerate(draw(st.lists(st.sampled_from(SOURCES), max_size=2))):
                inside = draw(st.booleans())
                place = f"{source}{number}"
                fields[path] = ("deep", place) if inside else place
            control = draw(st.booleans()) or not fields
            links.append(Link(source, control, fields))
        constants = draw(st.sampled_from([{}, {"k": "k"}, {("deep", "k"): "k"}]))
        node = Node(name, draw(st.booleans()), links, constants)
        # something has to let it run: an earlier node's branch, or a link
        if not any(link.control for link in links):
            chooser = nodes[draw(st.integers(0, position))]
            chooser.ends.append(name)
            chooser.picks = draw(st.integers(0, len(chooser.ends)))
        nodes.append(node)
    ends = [Link(name, False, {"a": name}) for name in names]
    nodes.append(Node(END, False, [Link(START, True, {"a": "start"}), *ends], {}))
    return nodes


def naive(drawn: Drawn, value: dict[str, Any]) -> dict[str, Any]:
    """The rules, node after node, with everything in two dicts."""
    gave: dict[str, dict[str, Any]] = {START: value}
    chosen: dict[str, list[str]] = {}
    for node in drawn:
        if node.name != START:
            leads = [link.source for link in node.links if link.control and link.source in gave]
            leads += [name for name, ends in chosen.items() if node.name in ends]
            if not leads:
                continue
            taken: dict[str, Any] = {}
            parts = [*((place, part) for place, part in node.constants.items())]
            for link in node.links:
                if link.source not in gave:
                    continue
                for path, place in link.fields.items():
                    part: Any = gave[link.source]
                    for name in (path,) if isinstance(path, str) else path:
                        part = part[name]
                    parts.append((place, part))
            for place, part in parts:
                if isinstance(place, str):
                    taken[place] = part
                else:
                    taken.setdefault(place[0], {})[place[1]] = part
            if node.name == END:
                return taken
            gave[node.name] = answer(node.name, taken)
        if node.ends:
            chosen[node.name] = picked(node, gave[node.name])
    raise AssertionError("END always runs")


def build(drawn: Drawn) -> Workflow[dict[str, Any], dict[str, Any]]:
    workflow = Workflow(dict[str, Any], dict[str, Any])
    # inputs are declared from the last node to the first: their order has no meaning
    for node in reversed(drawn[1:]):
        target = workflow.end() if node.name == END else workflow.add(node.name, function(node))
        for link in node.links:
            if link.fields:
                target.input(link.source, link.fields, control=link.control)
            else:
                target.depends_on(link.source)
        for place, constant in node.constants.items():
            target.value(place, constant)
    for node in drawn:
        if node.ends:
            workflow.branch(node.name, lambda given, node=node: picked(node, given), node.ends)
    return workflow


def function(node: Node) -> Any:
    async def whole(taken: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return answer(node.name, taken)

    async def in_pieces(taken: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        made = answer(node.name, taken)
        for letter in made["a"]:
            yield {"a": letter}
        for name, text in made["b"].items():
            yield {"b": {name: text[:1]}}
            yield {"b": {name: text[1:]}}

    return in_pieces if node.streams else whole


@given(workflows())
def test_a_workflow_gives_what_the_rules_say(drawn: Drawn) -> None:
    value = answer("start", {})
    expected = naive(drawn, value)
    run = build(drawn).compile(name="drawn")

    async def both() -> None:
        async with asyncio.timeout(30):
            assert await run.invoke(value) == expected
            assert await run.stream(value).concat() == expected

    asyncio.run(both())
    compile(run.explain(), "explained", "exec")
    assert run.draw().startswith("---\ntitle: drawn")
