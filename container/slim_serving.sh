#!/bin/sh
# Takes out of the serving environment what a server never uses, beyond slim.sh. slim_serving.sh SITE_PACKAGES
set -eu
cd "$1"

# Of Arrow, the prediction log writes Parquet: no datasets, queries, compiled expressions, ORC or remote file systems.
rm -f pyarrow/libarrow_dataset* pyarrow/libarrow_substrait* pyarrow/libgandiva* pyarrow/libarrow_acero* \
    pyarrow/_dataset* pyarrow/_substrait* pyarrow/_acero* pyarrow/gandiva* pyarrow/_orc* pyarrow/_cuda*

# Tools of the runtime that need libraries which are not here.
rm -rf onnxruntime/datasets onnxruntime/backend sympy mpmath

find . -type f -name '*.pyi' -delete
find . -type d -empty -delete
