"""Show what this machine can do: versions, threads, kernels, devices, folders."""

import click

from ostinato.cli.options import json_option, show, table


@click.command("doctor")
@json_option
def doctor(as_json: bool) -> None:
    """Show what this machine can do: versions, threads, kernels, devices, folders."""
    import os

    import torch

    from ostinato.files import cache_folder
    from ostinato.kernels import dispatch
    from ostinato.kernels import native_library as library
    from ostinato.kernels.half import has_half
    from ostinato.run import bundle

    gpus = (
        [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
        if torch.cuda.is_available()
        else []
    )
    native = library.library()
    facts = {
        **bundle.versions(),
        "threads": str(torch.get_num_threads()),
        "cores": str(os.cpu_count()),
        "devices": ", ".join(["cpu", *gpus]),
        "kernels": ", ".join(dispatch.available()),
        "native kernel": library.why_not() or f"{native.instruction_set} (of {', '.join(native.instruction_sets)})",
        "bfloat16 on the CPU": "native products" if has_half() else "torch's autocast",
        f"{dispatch.VARIABLE}": os.environ.get(dispatch.VARIABLE, "not set"),
        "cache": str(cache_folder()),
        "computed natively": "rnn, lstm, gru, slstm with their options; recurrences of mingru, minlstm, sru; targets"
        " with input_feeding or context: before; scores of additive and concat attention; linear maps",
        "in plain torch": "layer_norm, projections, autocast, other devices",
        "targets step by step in Python": "location attention, readout: linear, scheduled_sampling, several attended"
        " inputs; reset: before with input feeding or context before the cell",
    }
    show(facts, as_json, lambda: table(list(facts.items())))
