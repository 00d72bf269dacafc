"""`tfopt.profile` without the summary of influence, which `test_influence_summary` is about."""

from __future__ import annotations

import functools

import tfopt

__all__ = ["profiled"]

profiled = functools.partial(tfopt.profile, influence=False)
