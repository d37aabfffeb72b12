# One page that someone opens first and understands without the README.


rule write_report:
    """Write the report: one page with everything inside it."""
    input:
        dial_figures=figure_files(STUDY, DIALS, "svg"),
        device_figures=figure_files(STUDY, PLACES, "svg"),
        configurations=[place.table("configurations") for place in PLACES],
        equal_time=[place.table("equal_time") for place in PLACES],
        records=[place.stage("bench", "records.jsonl") for place in PLACES],
        bundles=[path for p in PLACES for path in layout.bundles(C, p, DEVICES[p.device].target, [p.network])],
        cost=layout.cost_models(C, DIALS),
        schedule=[place.stage("schedule", "schedule.json") for place in PLACES],
        summary=[place.stage("replay", "summary.parquet") for place in PLACES],
        claims=EXPERIMENT.table("claims"),
        recipes=[place.table("recipes") for place in DATA_SETS],
        tables=layout.comparison_tables(C, DEVICES, DIALS),
        recipe_figures=figure_files(STUDY, DATA_SETS, "svg"),
    output:
        page=report(
            f"{EXPERIMENT.folder}/report.html",
            caption="../report/page.rst",
            category="Report",
        ),
        said=f"{EXPERIMENT.folder}/report.json",
    log:
        "logs/{experiment}/write_report/report.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        title=f"Adaptive inference by skipping blocks: {C.experiment}",
        dials=dial_parts(STUDY),
        places=device_parts(STUDY),
        recipes=recipe_tables(STUDY),
        captions=CAPTIONS,
        colours=C.figures.model_dump(mode="json", include={"dial", "control", "static", "oracle", "neutral"}),
        paper=of_the_paper(STUDY),
        command=f"snakemake --cores all --configfile {CONFIG_FILES[0]}",
        settings=plain(C),
        cache=".cache/depthdial",
        code=code_digest("depthdial.report"),
        template=[sha256_file(Path(workflow.basedir, f"depthdial/report/page.{end}")) for end in ("html", "css", "js")],
    script:
        "../workflow_scripts/write_report.py"


rule write_results:
    """Write the comparisons as a page for the repository; `depthdial publish` copies it with what it shows."""
    input:
        claims=EXPERIMENT.table("claims"),
        networks=EXPERIMENT.table("networks"),
        recipes=[place.table("recipes") for place in DATA_SETS],
        tables=layout.comparison_tables(C, DEVICES, DIALS),
        figures=figure_files(STUDY, all_places(STUDY), "png"),
        records=[place.stage("bench", "records.jsonl") for place in PLACES],
    output:
        page=f"{EXPERIMENT.folder}/results.md",
    log:
        "logs/{experiment}/write_results/results.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        title=f"Results of the experiment {C.experiment}",
        command=f"snakemake --cores all --configfile {CONFIG_FILES[0]}",
        publish=f"depthdial publish {CONFIG_FILES[0]}",
        deployed=C.deploy.seed,
        dials=dial_parts(STUDY),
        recipes=recipe_tables(STUDY),
        paper=of_the_paper(STUDY),
        worths=worths(STUDY),
        captions=CAPTIONS,
        code=code_digest("depthdial.report.results", "depthdial.report.worth"),
    script:
        "../workflow_scripts/write_results.py"


localrules:
    report,
    results,
    write_results,


rule report:
    """The report of the experiment."""
    input:
        f"{Place(C.experiment).folder}/report.html",


rule results:
    """The comparisons of the experiment as a page."""
    input:
        f"{Place(C.experiment).folder}/results.md",
