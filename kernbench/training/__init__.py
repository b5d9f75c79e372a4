"""One training run: loop, settings, batches; the loss is handed in."""
