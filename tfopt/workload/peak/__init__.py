"""How much memory a step takes: liveness over its graph, TensorFlow's allocator, measured peaks, the largest batch."""
