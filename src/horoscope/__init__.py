"""Horoscopes in Russian, written by a small language model of our own."""
