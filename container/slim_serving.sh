#!/bin/sh
# Takes out of the serving environment what a server never uses, beyond slim.sh. slim_serving.sh SITE_PACKAGES
set -eu
cd "$1"

# Of Arrow, the prediction log writes Parquet: no compiled expressions, no ORC.
rm -f pyarrow/libgandiva* pyarrow/gandiva* pyarrow/_orc* pyarrow/_cuda*

# Tools of the runtime that need libraries which are not here.
rm -rf onnxruntime/datasets onnxruntime/backend

find . -type d -empty -delete
