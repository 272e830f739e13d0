"""A number that says where it comes from."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """`how`: the formula, or the source."""

    name: str
    value: float
    unit: str
    how: str

    def __post_init__(self) -> None:
        if not (self.name and self.how):
            raise ValueError(f"a quantity needs a name and says how it came about: {self}")
