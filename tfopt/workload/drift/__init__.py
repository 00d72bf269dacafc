"""What a variant does to the numbers: outputs, loss, gradients and metrics beside those of the float32 graph."""
