#!/bin/sh
# Takes out of an installed environment what no run needs: tests, headers, static libraries, build files.
# slim.sh SITE_PACKAGES
set -eu
cd "$1"

# Test suites of the libraries. numpy.testing and sklearn.utils._testing are imported by others and stay.
find . -depth -type d \( -name tests -o -name test \) \
    -not -path './onnx/backend/test' -exec rm -rf {} +
rm -rf onnx/backend/test onnx/test

# For compiling against the libraries, which nothing here can do.
find . -type f \( -name '*.a' -o -name '*.h' -o -name '*.hpp' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.cmake' \
    -o -name '*.cpp' -o -name '*.cc' -o -name '*.proto' -o -name '*.pyi' \) -delete
rm -rf pyarrow/include pyarrow/src numpy/_core/include

# Parts of Arrow that reading local files does not touch: remote calls, cloud storage.
rm -f pyarrow/libarrow_flight* pyarrow/libarrow_python_flight* pyarrow/_flight* pyarrow/libarrow_s3* pyarrow/_s3fs* \
    pyarrow/_azurefs* pyarrow/_gcsfs* pyarrow/_hdfs* pyarrow/_pyarrow_cpp_tests*

# ONNX Runtime once more for C programs (the Python module has its own), and its tools for quantising and training.
rm -f onnxruntime/capi/libonnxruntime.so*
rm -rf onnxruntime/transformers onnxruntime/quantization onnxruntime/tools

# Symbol tables that only a debugger reads. What auditwheel has rewritten (*.libs) is left as it is: strip can break it.
find . -type f -name '*.so*' -not -path './*.libs/*' -exec strip --strip-unneeded {} +

find . -type d -empty -delete
find . -type d -name __pycache__ -prune -exec rm -rf {} +
