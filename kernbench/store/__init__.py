"""What is kept: the database, its tables, the files beside it, and how they are read and looked after."""
