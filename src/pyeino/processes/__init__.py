"""Several processes that serve as one: who starts and ends them, and what they tell each other."""

from pyeino.processes._child import ChildSpec
from pyeino.processes._crew import Crew
from pyeino.processes._link import Link, LinkClosedError, LinkError
from pyeino.processes._member import Member

__all__ = ["ChildSpec", "Crew", "Link", "LinkClosedError", "LinkError", "Member"]
