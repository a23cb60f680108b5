"""Tell what this machine can do: versions, threads, kernels, devices, folders."""

import click

from ostinato.cli.options import json_option, show, table


@click.command("doctor")
@json_option
def doctor(as_json: bool) -> None:
    """Tell what this machine can do: versions, threads, kernels, devices, folders."""
    import os

    import torch

    from ostinato import bundle
    from ostinato.kernels import dispatch
    from ostinato.preparing import cache_folder

    gpus = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    facts = {
        **bundle.versions(),
        "threads": str(torch.get_num_threads()),
        "cores": str(os.cpu_count()),
        "devices": ", ".join(["cpu", *gpus]),
        "kernels": ", ".join(dispatch.KERNELS),
        "kernels not in this build": ", ".join(name for name in dispatch.KNOWN if name not in dispatch.KERNELS) or "none",
        f"{dispatch.VARIABLE}": os.environ.get(dispatch.VARIABLE, "not set"),
        "cache": str(cache_folder()),
        "fast path": "whole targets run as one recurrence with context: after and input_feeding: false",
        "leaves the fast path": "context: before, input_feeding, location attention, scheduled_sampling (a step at a time)",
    }
    show(facts, as_json, lambda: table(list(facts.items())))
