"""Measurements of tfopt itself: each file is a program that prints the figures it was written for."""
