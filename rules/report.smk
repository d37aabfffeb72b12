# One page that someone opens first and understands without the README.


rule write_report:
    """Write the report: one page with everything inside it."""
    input:
        dial_figures=figure_files(DIALS, "svg"),
        device_figures=figure_files(PLACES, "svg"),
        latency=in_places("{dataset}/{network}/bench/{device}/latency.parquet"),
        records=in_places("{dataset}/{network}/bench/{device}/records.jsonl"),
        schedule=in_places("{dataset}/{network}/schedule/{device}/schedule.json"),
        summary=in_places("{dataset}/{network}/replay/{device}/summary.parquet"),
    output:
        page=report(
            "results/{experiment}/report.html",
            caption="../report/page.rst",
            category="Report",
        ),
    log:
        "logs/{experiment}/write_report/report.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        title=f"Adaptive inference by skipping blocks: {C.experiment}",
        dials=DIALS,
        places=PLACES,
        captions={path.stem: path.read_text() for path in Path(workflow.basedir, "report").glob("*.rst")},
        settings=plain(C),
        code=code_digest("depthdial.report"),
        template=file_digest("depthdial/report/page.html"),
    script:
        "../workflow_scripts/write_report.py"


localrules:
    report,


rule report:
    """The report of the experiment."""
    input:
        f"results/{C.experiment}/report.html",
