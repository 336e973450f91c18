#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# headers.sh INCLUDE CC [CXX]: each public header compiles alone, as C and, where there is a
# compiler, as C++; so does including it twice.
set -euo pipefail
cd "$1"
flags=(-fsyntax-only -Wall -Wextra -Wpedantic -Werror -I.)
[[ -n ${3:-} ]] || echo "no C++ compiler: the headers are only compiled as C"
for header in vgg/*.h; do
  unit="#include <$header>"$'\n'"#include <$header>"
  "$2" -x c -std=c11 "${flags[@]}" - <<< "$unit"
  [[ -z ${3:-} ]] || "$3" -x c++ -std=c++11 "${flags[@]}" - <<< "$unit"
done
