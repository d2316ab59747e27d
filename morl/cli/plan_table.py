"""What ``morl plan`` prints: memory by kind, the roofline, collectives, complaints."""

from rich.table import Table

from morl.cli.console import OUT
from morl.training.plan import Plan

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


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
            f"  {one.name} is held whole by every device ({amount(one.bytes)}): "
            "no axis of the mesh that splits it divides its sizes, or the table of "
            "morl.training.mesh does not name it"
        )
    for name in plan.unknown_loops:
        OUT.print(f"  {name}: rounds of this loop are not known, counted once")
    if plan.largest_batch is not None:
        OUT.print(
            f"  the largest training.batch_size that fits is {plan.largest_batch}"
        )


def amount(size: int | float) -> str:
    """Bytes in a unit that is read easily.

    Examples:
      >>> amount(1536.0)
      '1.50 KiB'
    """
    power = 0
    while size >= 1024 and power < len(UNITS) - 1:
        size, power = size / 1024, power + 1
    return f"{size:.2f} {UNITS[power]}" if power else f"{size:.0f} {UNITS[0]}"


def verdict(plan: Plan) -> str:
    """Whether it fits, in a sentence."""
    used = amount(plan.bytes_per_device["total"])
    if plan.memory is None:
        return f"{used} a device; nothing is published of {plan.device}"
    limit = f"{amount(plan.memory)} of a {plan.device}"
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
    table.add_column("memory", justify="right")
    for kind, size in plan.bytes_per_device.items():
        if size and kind != "total":
            table.add_row(kind, amount(size))
    table.add_row("total", amount(plan.bytes_per_device["total"]), style="bold")
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
    moved = amount(plan.bytes_moved)
    table.add_row("memory traffic", "", moved, shown(at("memory")))
    for kind, one in plan.collectives.items():
        table.add_row(kind, str(one.count), amount(one.bytes), "")
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
