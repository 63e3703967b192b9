"""`python -m mesh.cli`, which the script `hazina` runs."""

from mesh.cli.app import main

if __name__ == "__main__":
    main()
