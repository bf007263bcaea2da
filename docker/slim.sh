#!/bin/sh
# Takes out of an environment what the generator never loads: OpenVINO's plugins for other devices
# than the CPU and its readers of other formats than its own, tests and build tools.
# (tests/test_deployment_images.py has the image write a text.)
set -eu
cd "$1"/lib/python3*/site-packages
rm -rf openvino/include openvino/cmake openvino/tools openvino/torch
rm -f openvino/libs/cache.json \
  openvino/libs/libopenvino_intel_gpu_plugin.* openvino/libs/libopenvino_intel_npu_plugin.*
find openvino/libs -name 'libopenvino_*_frontend.*' ! -name 'libopenvino_ir_frontend.*' -delete
rm -rf numpy/f2py numpy/distutils
find numpy -type d -name tests -prune -exec rm -rf {} +
