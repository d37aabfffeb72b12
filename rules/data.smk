rule prepare_data:
    """Read one data set and split it into training, validation and test images."""
    output:
        images=IMAGES,
    log:
        "logs/{experiment}/prepare_data/{dataset}.log",
    conda:
        "../envs/train.yaml"
    resources:
        mem_mb=rising(4000),
        runtime=rising(30),
    params:
        dataset=lambda w: C.dataset(w.dataset).model_dump(mode="json", exclude={"title", "download"}),
        images=lambda w: FINGERPRINTS[w.dataset],
        code=code_digest("depthdial.data.prepare", "depthdial.data.images"),
    script:
        "../workflow_scripts/prepare_data.py"
