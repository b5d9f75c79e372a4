"""Which family a bundled study is about; most are about any."""

# Studies of one family, or of a size that free taps have at one K alone.
SIREN = ("jonker_omega", "omega_extent", "omega_sweep", "size_or_delay", "siren_starts")
FAMILIES = dict.fromkeys(SIREN, "siren") | {"poles_starts": "poles"}
