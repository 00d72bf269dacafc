"""The command line: one file per verb that parses, calls one library function and shows its record."""
