"""The figures as tables: aligned for a terminal, as Markdown for the documents."""

import pathlib

BEGIN, END = "<!-- begin bench -->", "<!-- end bench -->"
README, PERFORMANCE = pathlib.Path("README.md"), pathlib.Path("docs/performance.md")
PROCESSES = ("gateway", "order", "stock", "payment", "redis", "saga_redis", "rabbitmq", "load",
             "sum")


def ms(value):
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def count(value):
    return f"{value:,.0f}".replace(",", " ")


def small(value):
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def others(said):
    """The processors' time that was not ours, and not idle."""
    return f"{said['machine']['others'] + said['machine']['stolen']:.0%}"


def checkouts(report):
    """Rate and latencies of each phase."""
    about = report["about"]
    phases = [("fresh orders, closed loop", report["peak"]), ("one client alone", report["alone"]),
              ("open loop, 1 000/s", report["fixed"])]
    phases += [(f"open loop, {share} % of the peak", said)
               for share, said in report["shares"].items()]
    phases += [("half refused", report["refused"]), ("one hot item", report["hot"]),
               ("repeats of paid orders", report["repeats"]), ("sold out", report["sold_out"]),
               ("create, add, find", report["mix"])]
    rows = []
    for name, said in phases:
        latency = said["latency_ms"]
        wrong = said["wrong"] + sum(said["errors"].values())
        rows.append((name, count(said["rate"]), *(ms(latency[q]) for q in (
            "p50", "p90", "p99", "p999", "max")), str(wrong), others(said)))
    return ((f"{about['connections']} clients", "a second", "p50 ms", "p90", "p99", "p99.9", "max",
             "wrong", "others"), rows)


def kind(said, name):
    """The cells of one kind of answer: rate, p50, p99."""
    found = next(k for k in said["kinds"] if k["name"] == name)
    latency = found["latency_ms"]
    return (count(found["measured"] / max(said["seconds"], 1e-9)), ms(latency["p50"]),
            ms(latency["p99"]))


def overload(report):
    """More than is possible: who is paid, and who is told 429 how soon."""
    rows = []
    for name, said in (("3 times the peak", report["overload"]),
                       ("at once after it, half of it", report["recovery"]),
                       ("one user, as much as the peak", report["heavy"]["heavy"]),
                       ("and all others, as much again", report["heavy"]["others"])):
        wrong = said["wrong"] + sum(said["errors"].values())
        rows.append((name, count(said["offered"]), *kind(said, "paid"), *kind(said, "busy"),
                     str(wrong)))
    return (("overload", "due a second", "paid", "p50 ms", "p99", "429", "p50 ms", "p99", "wrong"),
            rows)


def pressure(report):
    """What an overload did to the others, in one line."""
    said, peak = report["overload"], report["peak"]["rate"]
    paid = next(k for k in said["kinds"] if k["name"] == "paid")
    goodput = paid["measured"] / max(said["seconds"], 1e-9) / max(peak, 1e-9)
    usual = report["shares"][max(report["shares"])]["latency_ms"]["p99"]
    before, after = said["gateway_mib"]
    load = said["cpu_seconds"] / max(said["whole_seconds"], 1e-9)
    return (f"overload: {goodput:.0%} of the peak are paid, with {load:.0%} of a processor for the "
            f"load generator; their p99 is {paid['latency_ms']['p99'] / max(usual, 1e-9):.1f} times "
            f"that at {max(report['shares'])} % of the peak; gateway {before:.0f} -> {after:.0f} "
            f"MiB; beside one heavy user the others get {report['heavy']['share']:.2f} of their "
            "part")


def bill(report):
    """What one checkout takes of each process, at the peak."""
    rows = []
    for name in PROCESSES:
        row = report["bill"][name]
        rows.append((name, f"{row['cpu_us']:.1f}", small(row.get("calls")),
                     small(row.get("commands")), small(row.get("messages")),
                     small(row.get("fsyncs")),
                     f"{row['memory_mib']:.0f}" if "memory_mib" in row else "",
                     small(report["idle_ms"].get(name))))
    return (("one checkout", "CPU us", "store calls", "commands", "messages", "fsyncs",
             "memory MiB", "idle ms/s"), rows)


def floor(report):
    """The parts, bare; and the peak beside what they allow."""
    f = report["floor"]
    rate, cpu_us = report["peak"]["rate"], report["bill"]["sum"]["cpu_us"]
    rows = [("HTTP request, GET /health", count(f["requests_per_s"]), f"{f['request_us']:.1f}")]
    rows += [(f"function call, {depth} at once", count(bare), f"{f['call_us'][depth]:.1f}")
             for depth, bare in f["calls_per_s"].items()]
    rows += [(f"row of a function call, {depth} at once", count(bare), f"{f['row_us'][depth]:.1f}")
             for depth, bare in f["rows_per_s"].items()]
    rows += [(f"message of {n} command{'s' * (n > 1)}", count(bare), f"{f['message_us'][n]:.1f}")
             for n, bare in f["messages_per_s"].items()]
    rows.append(("a checkout, measured", count(rate), f"{cpu_us:.1f}"))
    for name, key in (("a call for each step", "checkout"), ("rows", "checkout_rows")):
        least = f[key]
        rows.append((f"floor of a checkout, {name}", count(least["ceiling"]),
                     f"{least['cpu_us']:.1f}"))
        rows.append(("measured / that floor", f"{rate / least['ceiling']:.2f}",
                     f"{cpu_us / least['cpu_us']:.2f}"))
    return ("bare, alone", "a second", "CPU us"), rows


def growth(report):
    rows = [(count(row["stored"]), count(row["rate"]), ms(row["p99"]), f"{row['seconds']:.1f}",
             count(row["store_mib"]), others(row)) for row in report["growth"]]
    before, many, after = (row["rate"] for row in report["growth"])
    few = (before + after) / 2
    rows.append(("many / few", f"{many / few if few else 0:.2f}", "", "", "", ""))
    return (("orders stored", "checkouts a second", "p99 ms", "batch_init s", "in the store, MiB",
             "others"), rows)


TABLES = (checkouts, overload, floor, bill, growth)


def loaded(report):
    batch = report["batch_init"]
    return f"batch_init of {count(batch['count'])}: " + ", ".join(
        f"{name} {seconds:.2f} s" for name, seconds in batch["seconds"].items())


def heading(report):
    about = report["about"]
    runs = f", median of {about['runs']} runs" if about["runs"] > 1 else ""
    return (f"{about['at'][:10]}, {about['cores']} cores ({about['cpu']}), Linux "
            f"{about['kernel']}; {about['seconds']} s at the peak{runs}"
            f"{', --quick' if about['quick'] else ''}")


def groups(report):
    """How many went together at the peak, what group commit lives on; and was the machine ours?"""
    checkout = report["floor"]["checkout"]
    shares = ", ".join(f"{kind} {share:.0%}" for kind, share in report["peak"]["machine"].items())
    return (f"at the peak: {checkout['calls_at_once']:.0f} calls in a pipeline, "
            f"{checkout['commands_in_a_message']:.0f} commands in a message; the processors' time: "
            f"{shares}{disturbed(report)}")


def disturbed(report):
    again = report.get("again", 0)
    times = "once" if again == 1 else f"{again} times"
    return f"; measured again because the host had taken the processors: {times}" if again else ""


def verdict(report):
    found = report["findings"]
    return "every answer right, audits clean" if not found else f"{len(found)} FINDINGS"


def aligned(heads, rows):
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    return "\n".join("  ".join(
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in [heads, *rows])


def markdown(heads, rows):
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def text(report):
    parts = [heading(report), loaded(report)] + [aligned(*make(report)) for make in TABLES]
    parts += [groups(report), pressure(report)]
    parts.append("\n".join([verdict(report), *report["findings"]]))
    return "\n\n".join(parts) + "\n"


def put(document, body):
    """Replaces what stands between the marks."""
    head, begin, rest = document.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{document} has no marks for the bench's table")
    document.write_text(f"{head}{BEGIN}\n{body}\n{END}{tail}")


def write_docs(report):
    put(README, f"{heading(report)}:\n\n{markdown(*checkouts(report))}")
    put(PERFORMANCE, "\n\n".join([f"{heading(report)}. {loaded(report)}; "
                                  f"{groups(report)}; {pressure(report)}; {verdict(report)}."] + [
        markdown(*make(report)) for make in TABLES]))
