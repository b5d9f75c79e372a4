"""Files beside the database: artifacts, checkpoints, scratch folders."""
