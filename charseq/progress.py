"""How far something is: what takes long calls a function with it."""

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], object]  # how many are done, of how many
