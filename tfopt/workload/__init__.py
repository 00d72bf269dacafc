"""What runs: a loaded model, a batch, a placement and a precision, made into one compiled step."""
