"""A run: its plan, its workers on this host and elsewhere, its disks."""
