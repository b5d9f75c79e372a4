"""The process and the machine it runs on: files, and what else the system is asked for."""
