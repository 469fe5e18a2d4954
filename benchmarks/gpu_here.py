"""Say in one line why `make test-gpu` and `make bench-gpu` can't run, with exit code 2; nothing if they can."""

import sys

from datavol.training.hardware.device_errors import why_no_gpu


def main() -> None:
    """Look for a GPU."""
    reason = why_no_gpu()
    if reason is not None:
        print(f"a GPU must be here for test-gpu and bench-gpu, got none: {reason}", file=sys.stderr)
        raise SystemExit(2)


if __name__ == "__main__":
    main()
