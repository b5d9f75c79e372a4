"""What trained kernels became: analyses of the cells of a study, their files beside the database, their tables."""
