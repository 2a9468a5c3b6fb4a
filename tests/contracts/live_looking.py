"""The simulated gateway with an account that looks live: for tests, and nowhere else."""

import gateway.options

gateway.options.ACCOUNT = "U1234567"  # before anything imports it by name

from gateway.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
