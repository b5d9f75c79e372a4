"""What a kernel family is, and the layer that convolves with it."""
