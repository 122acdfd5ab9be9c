#!/usr/bin/env bash
# Prints the settings with which llama.cpp is compiled for this board: llama_flags.sh [ROOT]
# On ARM the instructions that the processor has, said outright, so that what is compiled does not depend on the compiler's
# guess: dot product (Raspberry Pi 5, Jetson Orin), half precision, 8-bit matrix multiplication. On x86 the compiler finds
# out. On a Jetson its GPU, where the CUDA compiler is installed. Everywhere only what the hub loads (llama_only.cmake).
# ROOT is where the board's /proc and /etc are, for tests and for compiling for another board.
set -euo pipefail
root=${1:-}
features=" $(sed -n 's/^Features[[:space:]]*: //p' "$root/proc/cpuinfo" | head -n 1) "
has() { [[ $features == *" $1 "* ]]; }

printf -v flags -- '-DCMAKE_PROJECT_INCLUDE=%q' "$(cd "$(dirname "$0")" && pwd)/llama_only.cmake"
if has asimd; then
    arch=armv8-a
    if has asimddp; then
        arch=armv8.2-a+dotprod
        if has asimdhp; then arch+=+fp16; fi
        if has i8mm; then arch+=+i8mm; fi
    fi
    flags+=" -DGGML_NATIVE=OFF -DGGML_CPU_ARM_ARCH=$arch"
fi
if [ -e "$root/etc/nv_tegra_release" ]; then
    nvcc=$root/usr/local/cuda/bin/nvcc
    if [ -x "$nvcc" ]; then
        flags+=" -DGGML_CUDA=ON -DCMAKE_CUDA_COMPILER=$nvcc -DCMAKE_CUDA_ARCHITECTURES=native"
    else
        echo "no CUDA compiler (sudo apt-get install nvidia-jetpack): the hub will not use the GPU" >&2
    fi
fi
echo "$flags"
