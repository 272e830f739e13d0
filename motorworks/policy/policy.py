"""The policy socket: who holds the wheel."""

from typing import Protocol

from motorworks.datatypes.observation import Observation
from motorworks.datatypes.trajectory import Plan


class Policy(Protocol):
    """Observation to plan, batch first. Memory of past frames lives inside and is forgotten where `observation.first`."""

    name: str
    privileged: bool  # reads observation.scene
    uses_camera: bool  # reads observation.frames; the world renders only when true

    def act(self, observation: Observation) -> Plan:
        """One plan per batch item."""
        ...
