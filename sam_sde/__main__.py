"""`python -m sam_sde` is the command line."""

from sam_sde.cli import main

if __name__ == "__main__":
    main()
