"""`tfopt doctor`: what is wrong with this environment, or with a folder of runs, and the command that mends it."""
