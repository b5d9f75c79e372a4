"""`python -m kernbench`."""

from kernbench.cli import main

if __name__ == "__main__":
    main()
