# One page that someone opens first and understands without the README.
DIALS = [
    {"dataset": dataset, "network": network, "title": f"{network} on {C.dataset(dataset).label}"}
    for dataset in DATASETS
    for network in C.names("dial")
]
PLACES = [
    dial | {"device": device, "title": f"{dial['title']}, deployed on {DEVICES[device].label}"}
    for dial in DIALS
    for device in DEVICES
]


def for_each(places, pattern):
    """``pattern`` for every place, in their order."""
    return [f"results/{C.experiment}/" + pattern.format(**place) for place in places]


rule report:
    """Write the report: one page with everything inside it."""
    input:
        **{
            f"{figure}_figure": for_each(DIALS, f"figures/{{dataset}}/{{network}}/{figure}.svg")
            for figure in DIAL_FIGURES
        },
        **{
            f"{figure}_figure": for_each(PLACES, f"figures/{{dataset}}/{{network}}/{{device}}/{figure}.svg")
            for figure in DEVICE_FIGURES
        },
        latency=for_each(PLACES, "{dataset}/{network}/bench/{device}/latency.parquet"),
        records=for_each(PLACES, "{dataset}/{network}/bench/{device}/records.jsonl"),
        schedule=for_each(PLACES, "{dataset}/{network}/schedule/{device}/schedule.json"),
        summary=for_each(PLACES, "{dataset}/{network}/replay/{device}/summary.parquet"),
    output:
        page=report(
            "results/{experiment}/report.html",
            caption="../report/page.rst",
            category="Report",
        ),
    log:
        "logs/{experiment}/report.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        title=f"Adaptive inference by skipping blocks: {C.experiment}",
        dials=DIALS,
        places=PLACES,
        dial_figures=DIAL_FIGURES,
        device_figures=DEVICE_FIGURES,
        captions={
            figure: Path(workflow.basedir, "report", f"{figure}.rst").read_text()
            for figure in [*DIAL_FIGURES, *DEVICE_FIGURES]
        },
        settings=plain(C),
        code=code_digest("depthdial.report"),
        template=file_digest("depthdial/report/page.html"),
    script:
        "../workflow_scripts/report.py"
