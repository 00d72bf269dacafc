"""The facts of models that budgets hold, found in worker processes."""
