"""The published world of Blanken et al. (2022): its files and networks, in and out."""
