"""What a layer is in a surrogate: one rule per kind, in a registry that users extend."""

from tfopt.pathways.rules import activations, layers, merges, norms
from tfopt.pathways.rules.registry import Call, role_of, roles, rule, rule_for

__all__ = ["Call", "activations", "layers", "merges", "norms", "role_of", "roles", "rule", "rule_for"]
