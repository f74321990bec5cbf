"""The plots, where matplotlib is there."""

QUANTILES = ("p50", "p90", "p99", "p999")


def throughput(plt, report, path):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 1))
    series = report["peak"]["series"][:-1]  # the last second is not a whole one
    left.plot(range(1, len(series) + 1), series)
    left.set(xlabel="second", ylabel="checkouts/s", ylim=(0, None),
             title=f"{report['about']['connections']} clients, closed loop")
    rows = report["growth"]
    right.bar(range(len(rows)), [row["rate"] for row in rows],
              tick_label=[f"{row['stored']:,}" for row in rows])
    right.set(xlabel="orders stored", ylim=(0, None), title="growth")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def latency(plt, report, path):
    figure, axes = plt.subplots(figsize=(7, 4))
    runs = sorted([report["fixed"], *report["shares"].values()], key=lambda said: said["offered"])
    for name in QUANTILES:
        axes.plot([said["offered"] for said in runs], [said["latency_ms"][name] for said in runs],
                  marker="o", label=name.replace("p999", "p99.9"))
    axes.set(xlabel="checkouts due a second, open loop", ylabel="ms from when it was due",
             yscale="log", title="latency")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def draw(report, directory):
    """What was drawn, as the end of a list of files."""
    try:
        import matplotlib
        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        return "; no plots without python3-matplotlib"
    throughput(plt, report, directory / "throughput.png")
    latency(plt, report, directory / "latency.png")
    return ", throughput.png, latency.png"
