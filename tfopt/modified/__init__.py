"""Models evaluated at modified weights: gradients through them, transforms that are learned, and checks."""
