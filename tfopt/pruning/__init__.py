"""What can go: which weights count least, and masks that keep them at zero."""
