# SPDX-License-Identifier: Apache-2.0
# Flags that all code shares.
add_library(vgg_options INTERFACE)
target_compile_definitions(vgg_options INTERFACE _GNU_SOURCE)
target_compile_options(vgg_options INTERFACE
  -Wall -Wextra -Wconversion -Wno-sign-conversion -Wshadow -Wstrict-prototypes -Wvla
  -Wmissing-prototypes -fstack-protector-strong -ffp-contract=off)
if(VGG_WERROR)
  target_compile_options(vgg_options INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT VGG_SANITIZE)
  target_compile_definitions(vgg_options INTERFACE _FORTIFY_SOURCE=2)
endif()
if(VGG_SANITIZE)
  target_compile_options(vgg_options INTERFACE -fsanitize=${VGG_SANITIZE}
    -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_link_options(vgg_options INTERFACE -fsanitize=${VGG_SANITIZE})
endif()

# A file's suffix names the instructions that it may use; nothing else raises the baseline.
function(vgg_isa_flags)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    return()
  endif()
  foreach(file ${ARGN})
    if(file MATCHES "_avx2\\.c$")
      set(flags "-mavx2;-mfma")
    elseif(file MATCHES "_avx512\\.c$")
      set(flags "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mprefer-vector-width=512")
    elseif(file MATCHES "_avx512bf16\\.c$")
      set(flags "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mavx512bf16")
    endif()
    set_source_files_properties(${file} TARGET_DIRECTORY vgg_objects
                                PROPERTIES COMPILE_OPTIONS "${flags}")
  endforeach()
endfunction()
