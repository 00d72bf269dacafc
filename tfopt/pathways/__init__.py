"""Which pathways carry a model's result: path weights, contributions on data, strongest paths, health.

The functions are called like their modules, and are found in `tfopt`.
"""
