# One page that someone opens first and understands without the README.


rule write_report:
    """Write the report: one page with everything inside it."""
    input:
        dial_figures=figure_files(DIALS, "svg"),
        device_figures=figure_files(PLACES, "svg"),
        latency=in_places("{dataset}/{network}/bench/{device}/latency.parquet"),
        records=in_places("{dataset}/{network}/bench/{device}/records.jsonl"),
        cost=cost_models(),
        schedule=in_places("{dataset}/{network}/schedule/{device}/schedule.json"),
        summary=in_places("{dataset}/{network}/replay/{device}/summary.parquet"),
        claims=f"{TABLES}/claims.csv",
        recipes=[f"{TABLES}/{dataset}/recipes.csv" for dataset in DATASETS],
        tables=[path for dial in DIALS for path in comparison_tables(dial)],
        recipe_figures=recipe_figures("svg"),
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
        dials=[dial | {"tables": published_tables(dial)} for dial in DIALS],
        places=PLACES,
        recipes=published_recipes(),
        captions={path.stem: path.read_text() for path in Path(workflow.basedir, "report").glob("*.rst")},
        settings=plain(C),
        code=code_digest("depthdial.report"),
        template=file_digest("depthdial/report/page.html"),
    script:
        "../workflow_scripts/write_report.py"


rule write_results:
    """Write the comparisons as a page for the repository; `depthdial publish` copies it with what it shows."""
    input:
        claims=f"{TABLES}/claims.csv",
        networks=f"{TABLES}/networks.csv",
        recipes=[f"{TABLES}/{dataset}/recipes.csv" for dataset in DATASETS],
        tables=[path for dial in DIALS for path in comparison_tables(dial)],
        figures=figure_files([*DIALS, *PLACES], "png"),
        recipe_figures=recipe_figures("png"),
    output:
        page="results/{experiment}/results.md",
    log:
        "logs/{experiment}/write_results/results.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        title=f"Results of the experiment {C.experiment}",
        command=f"snakemake --cores all --configfile {CONFIG_FILE}",
        publish=f"depthdial publish {CONFIG_FILE}",
        deployed=C.deploy.seed,
        dials=[dial | {"tables": published_tables(dial)} for dial in DIALS],
        recipes=published_recipes(),
        captions={path.stem: path.read_text() for path in Path(workflow.basedir, "report").glob("*.rst")},
        code=code_digest("depthdial.report.results"),
    script:
        "../workflow_scripts/write_results.py"


localrules:
    report,
    results,
    write_results,


rule report:
    """The report of the experiment."""
    input:
        f"results/{C.experiment}/report.html",


rule results:
    """The comparisons of the experiment as a page."""
    input:
        f"results/{C.experiment}/results.md",
