"""`python -m loadstar` is `loadstar`."""

from loadstar.cli.app import main

if __name__ == "__main__":
    main()
