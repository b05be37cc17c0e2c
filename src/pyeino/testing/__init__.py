"""Fakes to test applications with, and the suites that implementations have to pass."""

from pyeino.testing._stores import STORE_CHECKS, ScopeOf, StoreCheck, StoreScope

__all__ = ["STORE_CHECKS", "ScopeOf", "StoreCheck", "StoreScope"]
