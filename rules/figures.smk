# One rule per figure; each knows only the settings that its picture shows.


rule draw_equal:
    """Test accuracy at equal MACs: the dial, the control, the static networks."""
    input:
        accuracies=f"{TABLES}/{{dataset}}/{{network}}/accuracies.csv",
    output:
        **figure_outputs(f"{ALONE}/equal"),
    log:
        "logs/{experiment}/draw_equal/{dataset}-{network}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(1000),
        runtime=rising(10),
    params:
        look=look("dial", "control", "static"),
        title=lambda w: C.dataset(w.dataset).label,
        code=code_digest("depthdial.figures.equal"),
    script:
        "../workflow_scripts/draw_equal.py"


rule draw_recipes:
    """Dials of the same shape that were trained differently, at equal MACs."""
    input:
        accuracies=lambda w: expand(f"{TABLES}/{{dataset}}/{{network}}/accuracies.csv", **w, network=C.names("dial")),
    output:
        **figure_outputs("results/{experiment}/figures/{dataset}/recipes"),
    log:
        "logs/{experiment}/draw_recipes/{dataset}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(1000),
        runtime=rising(10),
    params:
        look=look(),
        shapes=shapes(),
        title=lambda w: C.dataset(w.dataset).label,
        code=code_digest("depthdial.figures.equal"),
    script:
        "../workflow_scripts/draw_recipes.py"


rule draw_skipping:
    """Accuracy against the number of skipped blocks, Stochastic Depth and constant depth."""
    input:
        masks=lambda w: expand(
            "results/{experiment}/{dataset}/{network}/seed{seed}/masks.parquet",
            experiment=w.experiment,
            dataset=w.dataset,
            network=[w.network, *controls(w.network)],
            seed=C.seeds,
        ),
    output:
        **figure_outputs(f"{ALONE}/skipping"),
    log:
        "logs/{experiment}/draw_skipping/{dataset}-{network}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(1000),
        runtime=rising(10),
    params:
        look=look("dial", "control"),
        title=lambda w: C.dataset(w.dataset).label,
        code=code_digest("depthdial.figures.skipping"),
    script:
        "../workflow_scripts/draw_skipping.py"


rule draw_cloud:
    """All masks of the deployed seed, their front, the chosen configurations and the static networks."""
    input:
        masks=lambda w: f"results/{w.experiment}/{w.dataset}/{w.network}/seed{C.deploy.seed}/masks.parquet",
        configurations=lambda w: (
            f"results/{w.experiment}/{w.dataset}/{w.network}/seed{C.deploy.seed}/configurations.json"
        ),
        statics=lambda w: expand(
            "results/{experiment}/{dataset}/{network}/seed{seed}/configurations.json",
            experiment=w.experiment,
            dataset=w.dataset,
            network=C.names("static"),
            seed=C.deploy.seed,
        ),
    output:
        **figure_outputs(f"{ALONE}/cloud"),
    log:
        "logs/{experiment}/draw_cloud/{dataset}-{network}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(1000),
        runtime=rising(10),
    params:
        look=look("dial", "static", "neutral"),
        title=lambda w: C.dataset(w.dataset).label,
        code=code_digest("depthdial.figures.cloud"),
    script:
        "../workflow_scripts/draw_cloud.py"


rule draw_searches:
    """Every search strategy against the true front, where all masks are evaluated."""
    input:
        search=lambda w: f"results/{w.experiment}/{w.dataset}/{w.network}/seed{C.deploy.seed}/search.parquet",
        fronts=lambda w: f"results/{w.experiment}/{w.dataset}/{w.network}/seed{C.deploy.seed}/search_fronts.parquet",
    output:
        **figure_outputs(f"{ALONE}/searches"),
    log:
        "logs/{experiment}/draw_searches/{dataset}-{network}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(1000),
        runtime=rising(10),
    params:
        look=look("neutral"),
        title=lambda w: f"{w.network} on {C.dataset(w.dataset).label}",
        code=code_digest("depthdial.figures.searches"),
    script:
        "../workflow_scripts/draw_searches.py"


rule draw_ablation:
    """The rules of scaling kept blocks, with and without recalibrated BatchNorm."""
    input:
        ablation=lambda w: f"results/{w.experiment}/{w.dataset}/{w.network}/seed{C.deploy.seed}/ablation.parquet",
    output:
        **figure_outputs(f"{ALONE}/ablation"),
    log:
        "logs/{experiment}/draw_ablation/{dataset}-{network}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(1000),
        runtime=rising(10),
    params:
        look=look("dial", "control", "static"),
        title=lambda w: f"{w.network} on {C.dataset(w.dataset).label}",
        code=code_digest("depthdial.figures.searches"),
    script:
        "../workflow_scripts/draw_ablation.py"


rule draw_latency:
    """Measured latency and energy against test accuracy on one device."""
    input:
        table="results/{experiment}/{dataset}/{network}/bench/{device}/latency.parquet",
    output:
        **figure_outputs(f"{ON_DEVICE}/latency"),
    log:
        "logs/{experiment}/draw_latency/{dataset}-{network}-{device}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(1000),
        runtime=rising(10),
    params:
        look=look("dial", "static"),
        title=lambda w: C.dataset(w.dataset).label,
        code=code_digest("depthdial.figures.latency"),
    script:
        "../workflow_scripts/draw_latency.py"


rule draw_schedule:
    """The schedule table as a map of conditions."""
    input:
        cells="results/{experiment}/{dataset}/{network}/replay/{device}/cells.parquet",
    output:
        **figure_outputs(f"{ON_DEVICE}/schedule"),
    log:
        "logs/{experiment}/draw_schedule/{dataset}-{network}-{device}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(1000),
        runtime=rising(10),
    params:
        look=look(),
        title=lambda w: f"{w.network} on {DEVICES[w.device].label}",
        code=code_digest("depthdial.figures.schedule"),
    script:
        "../workflow_scripts/draw_schedule.py"


rule draw_curve:
    """Expected accuracy against the number of resident configurations."""
    input:
        curve="results/{experiment}/{dataset}/{network}/replay/{device}/curve.parquet",
    output:
        **figure_outputs(f"{ON_DEVICE}/curve"),
    log:
        "logs/{experiment}/draw_curve/{dataset}-{network}-{device}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(1000),
        runtime=rising(10),
    params:
        look=look("dial"),
        title=lambda w: f"{w.network} on {DEVICES[w.device].label}",
        code=code_digest("depthdial.figures.schedule"),
    script:
        "../workflow_scripts/draw_curve.py"


rule draw_trace:
    """One held-out trace under the schedule, the full network and the oracle."""
    input:
        steps="results/{experiment}/{dataset}/{network}/replay/{device}/steps.parquet",
        summary="results/{experiment}/{dataset}/{network}/replay/{device}/summary.parquet",
    output:
        **figure_outputs(f"{ON_DEVICE}/trace"),
    log:
        "logs/{experiment}/draw_trace/{dataset}-{network}-{device}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(1000),
        runtime=rising(10),
    params:
        look=look("dial", "control", "oracle", "neutral", "static"),
        trace=C.figures.trace,
        title=lambda w: f"{w.network} on {DEVICES[w.device].label}",
        code=code_digest("depthdial.figures.replay"),
    script:
        "../workflow_scripts/draw_trace.py"


rule draw_policies:
    """All policies on the held-out traces."""
    input:
        summary="results/{experiment}/{dataset}/{network}/replay/{device}/summary.parquet",
    output:
        **figure_outputs(f"{ON_DEVICE}/policies"),
    log:
        "logs/{experiment}/draw_policies/{dataset}-{network}-{device}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(1000),
        runtime=rising(10),
    params:
        look=look("dial", "control", "static", "oracle", "neutral"),
        title=lambda w: f"{w.network} on {DEVICES[w.device].label}",
        code=code_digest("depthdial.figures.replay"),
    script:
        "../workflow_scripts/draw_policies.py"


localrules:
    figures,


rule figures:
    """Draw every figure."""
    input:
        figure_files([*DIALS, *PLACES], *FIGURE_FILES),
        recipe_figures(*FIGURE_FILES),
