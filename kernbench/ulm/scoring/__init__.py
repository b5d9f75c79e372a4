"""The published metric and loss: tolerance counts, thresholds, scores, floors."""
