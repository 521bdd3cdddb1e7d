"""One table of settings: command line, recipe and checkpoints take them from it; service and client agree with it."""

from __future__ import annotations

import argparse
from dataclasses import fields

import pytest
from amaas.cli.arguments import RESERVED

from shared.jobs.training.arguments import OWN
from training.arguments import options, spelled
from training.compress.settings import parser as compress_parser
from training.options import GROUPS, Settings
from training.settings import parser, settings

TABLE = {name: option for name, option, _ in options(*GROUPS.values())}


def test_a_request_may_not_set_what_the_job_sets_and_no_more() -> None:
    by_job = {spelled(name)[2:] for name, option in TABLE.items() if option.by_job}
    assert set(OWN) == by_job | {"no-resume", "help"}


def test_the_client_refuses_what_it_or_the_job_sets() -> None:
    """All but what a training on this machine may choose: the cache, and whether to continue."""
    assert set(RESERVED) == set(OWN) - {"root", "resume", "no-resume"}


def test_every_option_is_in_one_group_and_on_the_command_line() -> None:
    names = [name for group in GROUPS.values() for name, _, _ in options(group)]
    assert len(names) == len(set(names))
    words = {word for action in parser(None)._actions for word in action.option_strings if not word.startswith("--no-")}
    assert words == {spelled(name) for name in names if not name.startswith("no_")} | {"-h", "--help"}
    assert [field.name for field in fields(Settings)] == list(GROUPS)


def test_values_have_their_options_types() -> None:
    chosen = settings(["--data", "x", "--out", "y", "--size", "8", "9", "--no-measure", "--compile", "--widths", "4"])
    assert (chosen.data.size, chosen.network.widths, chosen.machine.compile) == ((8, 9), (4,), "inductor")
    assert chosen.machine.measure is False and chosen.checkpointing.resume is None
    assert chosen.values()["weight_decay"] == chosen.optimization.weight_decay == 5e-4


@pytest.mark.parametrize("command_line", [parser(None), compress_parser()])
def test_every_option_has_a_help_text_that_can_be_shown(command_line: argparse.ArgumentParser) -> None:
    assert all(action.help for action in command_line._actions)
    assert "usage" in command_line.format_help()
