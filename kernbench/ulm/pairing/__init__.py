"""One-to-one metric: decoders, matching, localization error."""
