"""``python -m yolograft`` is the command line."""

from yolograft.cli import main

if __name__ == "__main__":
    main()
