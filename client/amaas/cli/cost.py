"""The verb that shows what calls cost."""

from __future__ import annotations

from functools import partial

import click

from amaas.cli.base import Context, verb

verbs = click.Group()


@verb(verbs)
@click.argument("model", required=False)
@click.option("--since", default="30d", show_default=True, help="A time, or so long ago: 24h, 30d.")
@click.option("--until", help="A time, or so long ago. Default: now.")
@click.option("--instance-hour", type=float, help="Compare with an instance that costs so much an hour.")
@click.option("--instance-vcpus", type=float, help="How many vCPUs it has.")
@click.option("--utilization", type=float, help="The share of its time that it is busy for. Default: 0.5.")
def cost(
    context: Context,
    model: str | None,
    since: str,
    until: str | None,
    instance_hour: float | None,
    instance_vcpus: float | None,
    utilization: float | None,
) -> None:
    """Show what a model's calls cost, by version and for 1,000 answers; without MODEL, of all models.

    From measured time and the deployment's prices; with a model, from how many calls a month on an instance that is
    always on is cheaper.
    """
    from amaas.cli.display import costs as display

    own = (instance_hour, instance_vcpus, utilization)
    if model is None and own != (None, None, None):
        raise click.UsageError("an instance is compared with one model: name it")
    with context.client() as client:
        if model is None:
            listed = client.list_model_costs(since=since, until=until)
            context.answer(listed, partial(display.of_models, listed))
            return
        answer = client.get_model_cost(
            model,
            since=since,
            until=until,
            instance_hour=instance_hour,
            instance_vcpus=instance_vcpus,
            utilization=utilization,
        )
    context.answer(answer, partial(display.of_model, answer))
