"""The `ostinato` command."""


def main() -> None:
    raise SystemExit(0)
