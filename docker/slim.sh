#!/bin/sh
# Takes out of an environment what the programs never load. (tests/test_deployment_images.py starts
# both, and has the generator write.)
set -eu
cd "$1"/lib/python3*/site-packages

# Sources and declarations of what is compiled, and symbols for debuggers; not from *.libs, where
# strip breaks what auditwheel has moved, and not from what has none.
find . \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.proto' \) -delete
find . -name '*.so' ! -path '*.libs/*' ! -path './openvino/*' ! -path './numpy/*' -exec strip --strip-unneeded {} +

# OpenVINO's plugins for other devices than the CPU, its readers of other formats than its own, and
# tools for building.
rm -rf openvino/include openvino/cmake openvino/tools openvino/torch
rm -rf openvino/libs/cache.json openvino/libs/libopenvino_intel_gpu_plugin.* openvino/libs/libopenvino_intel_npu_plugin.*
find . -path './openvino/libs/libopenvino_*_frontend.*' ! -name 'libopenvino_ir_frontend.*' -delete
rm -rf numpy/f2py numpy/distutils
find . -type d -name tests -prune -exec rm -rf {} +
