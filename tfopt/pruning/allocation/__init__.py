"""How much goes where: from scores, or from thresholds, to masks."""
