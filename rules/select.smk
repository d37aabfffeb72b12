

rule select_front:
    """Choose the configurations of a dial among its masks; other networks have one, the full network."""
    input:
        masks="results/{experiment}/{dataset}/{network}/seed{seed}/masks.parquet",
        cost=cost_model,
    output:
        configurations="results/{experiment}/{dataset}/{network}/seed{seed}/configurations.json",
    log:
        "logs/{experiment}/select_front/{dataset}-{network}-seed{seed}.log",
    conda:
        "../envs/train.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        select=plain(C.select),
        scaling=lambda w: C.evaluation(w.network).scaling,
        recalibrated=lambda w: C.evaluate.recalibrate and C.network(w.network).searched,
        code=code_digest("depthdial.select", "depthdial.devices.costmodel"),
    script:
        "../workflow_scripts/select_front.py"
