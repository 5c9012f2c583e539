"""What every group of settings has in common, and the types that several of them use."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)


class Section(BaseModel):
    """A group of settings. Frozen: a run's settings never change while it runs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def _mistakes(self) -> Iterator[str]:
        """Settings that do not go together, each as ``setting: why``."""
        return iter(())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if mistakes := list(self._mistakes()):
            raise ValueError("\n".join(mistakes))
        return self


def _split_from_text(value: Any) -> Any:
    """Accept ``0.9/0.1/0`` as well as a list; a wrong type is left for the validator to name."""
    if not isinstance(value, str):
        return tuple(value) if isinstance(value, list) else value
    try:
        return tuple(float(part) for part in value.split("/"))
    except ValueError:
        return value


Share = Annotated[float, Field(ge=0.0, le=1.0)]
Split = Annotated[
    tuple[Share, Share, Share],
    BeforeValidator(_split_from_text),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "array",
                    "items": {"type": "number", "minimum": 0, "maximum": 1},
                    "minItems": 3,
                    "maxItems": 3,
                },
                {"type": "string", "pattern": "^[0-9.eE+-]+(/[0-9.eE+-]+){2}$"},
            ]
        }
    ),
]


def split_mistakes(split: tuple[float, float, float]) -> Iterator[str]:
    """What is wrong with the shares of train, valid and test."""
    total = sum(split)
    if abs(total - 1.0) > 1e-6:
        yield f"split: the shares add up to {total:g}, not to 1"
    if split[0] == 0.0:
        yield "split: the share for training is 0"


Backend = Literal["auto", "fused", "manual", "reference", "torch"]
Unknown = Literal["error", "skip", "replace"]
