from snakemake.utils import min_version

min_version("9.27")


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/masks.smk"
include: "rules/search.smk"
include: "rules/select.smk"
include: "rules/deploy.smk"
include: "rules/bench.smk"
include: "rules/schedule.smk"
include: "rules/compare.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


localrules:
    all,
    train_all,


rule all:
    default_target: True
    input:
        rules.bundle_all.input,
        rules.pack_all.input,
        rules.figures.input,
        rules.report.input,
        rules.results.input,
