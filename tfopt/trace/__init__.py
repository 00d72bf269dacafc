"""What was recorded: reading traces and placing their time. Pure: never imports TensorFlow."""
