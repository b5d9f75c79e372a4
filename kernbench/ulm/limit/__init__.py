"""What physics and noise allow: the Cramer-Rao bound of the arrival of every bubble."""
