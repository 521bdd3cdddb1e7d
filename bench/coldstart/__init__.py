"""Cold starts under Amazon's emulator and runtime client, beside a ten-line handler: `python -m bench.coldstart`."""
