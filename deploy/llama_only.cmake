# Of llama-cpp-python's build only what it loads: ggml and llama, 83 steps in place of 193. The rest is llama.cpp's own programs'.
# It sets LLAMA_BUILD_COMMON in the cache; a variable of the same name goes before that (CMake's policy CMP0126).
set(LLAMA_BUILD_COMMON OFF)
set(LLAVA_BUILD OFF)
