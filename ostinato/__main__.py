"""`python -m ostinato`: the command where its script is not on the path."""

from ostinato.cli.main import main

if __name__ == "__main__":
    main()
