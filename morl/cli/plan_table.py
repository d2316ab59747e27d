"""What ``morl plan`` prints: memory by kind, the roofline, collectives, complaints."""

from rich.table import Table

from morl.cli.console import OUT
from morl.training.plan import Plan

GIB = 2**30


def print_plan(plan: Plan) -> None:
    """The plan as tables, and what is wrong with it as lines."""
    OUT.print(_memory(plan))
    if plan.why:
        OUT.print(plan.why)
    if plan.compiled:
        OUT.print(_time(plan))
    OUT.print(f"  {verdict(plan)}")
    for one in plan.held_whole:
        OUT.print(
            f"  {one.name} is held whole by every device ({one.bytes / GIB:.3f} GiB): "
            "no axis of the mesh that splits it divides its sizes, or the table of "
            "morl.training.mesh does not name it"
        )
    for name in plan.unknown_loops:
        OUT.print(f"  {name}: rounds of this loop are not known, counted once")
    if plan.largest_batch is not None:
        OUT.print(
            f"  the largest training.batch_size that fits is {plan.largest_batch}"
        )


def verdict(plan: Plan) -> str:
    """Whether it fits, in a sentence."""
    used = f"{plan.bytes_per_device['total'] / GIB:.2f} GiB"
    if plan.memory is None:
        return f"{used} a device; nothing is published of {plan.device}"
    limit = f"{plan.memory / GIB:.0f} GiB of a {plan.device}"
    if plan.fits is None:
        return f"{used} and activations in {limit}: only a compiler can tell"
    return f"{used} {'fit' if plan.fits else 'do not fit'} in the {limit}"


def _memory(plan: Plan) -> Table:
    mesh = " x ".join(f"{axis} {size}" for axis, size in plan.mesh.items())
    table = Table(
        title=f"{plan.topology}: {plan.devices} devices, {mesh}; "
        f"{plan.batch['rows']} rows, {plan.batch['tokens']} tokens a step",
        title_justify="left",
        show_edge=False,
    )
    table.add_column("on each device")
    table.add_column("GiB", justify="right")
    for kind, size in plan.bytes_per_device.items():
        if size and kind != "total":
            table.add_row(kind, f"{size / GIB:.3f}")
    table.add_row("total", f"{plan.bytes_per_device['total'] / GIB:.3f}", style="bold")
    return table


def _time(plan: Plan) -> Table:
    table = Table(show_edge=False)
    table.add_column("in a step, each device")
    for header in ("times", "amount", "seconds at its peak"):
        table.add_column(header, justify="right")
    seconds = plan.seconds
    assert plan.flops is not None and plan.bytes_moved is not None
    shown = lambda value: "" if value is None else f"{value:.4f}"
    at = lambda name: None if seconds is None else seconds._asdict()[name]
    table.add_row(
        "products", "", f"{plan.flops / 1e12:.2f} TFLOP", shown(at("compute"))
    )
    moved = f"{plan.bytes_moved / GIB:.2f} GiB"
    table.add_row("memory traffic", "", moved, shown(at("memory")))
    for kind, one in plan.collectives.items():
        table.add_row(kind, str(one.count), f"{one.bytes / GIB:.3f} GiB", "")
    table.add_row("collectives in all", "", "", shown(at("network")))
    if plan.binds is not None:
        tokens = plan.tokens_per_second
        table.add_row(
            f"a step, bound by {plan.binds}",
            "",
            "" if tokens is None else f"{tokens:,.0f} tokens/s",
            shown(plan.seconds_per_step),
            style="bold",
        )
    return table
