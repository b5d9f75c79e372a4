"""`kernbench doctor`: what of this machine, its device and its storage works, one finding for each check."""
