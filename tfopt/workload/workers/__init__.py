"""Worker processes: what may crash or hang, or needs TensorFlow afresh, runs in one, and is listened to."""
