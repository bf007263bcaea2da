"""`python -m horoscope` is `horoscope`."""

from horoscope.cli import main

main()
