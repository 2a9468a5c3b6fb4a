"""Run the gateway's command line: `python -m gateway run`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
