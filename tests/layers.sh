#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# layers.sh ROOT: who may include whom, long lines, missing licence lines. Prints each offence.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$1"
declare -A below=([base]="" [image]="" [data]="image" [op]="" [backend]="op" [net]="op backend"
  [format]="net" [train]="op data net format" [infer]="image data net format"
  [bench]="op backend net train" [report]="")
bad=0
offence() { echo "$*"; bad=1; }

while IFS=: read -r file header; do
  path=${file#src/} folder=${file%/*} target=${header%%/*}
  module=${path%%/*}
  case $header in
    vgg/* | base/*) ;;
    backend/pass/*) [[ $folder == src/backend/* ]] || offence "$file: $header" ;; # for all backends
    backend/*/*) [[ $folder == "src/${header%/*}" ]] || offence "$file: $header" ;;
    *) [[ $target == "$module" || " ${below[$module]?$file: unknown folder} " == *" $target "* ]] ||
      offence "$file: $header" ;;
  esac
done < <(grep -roP '^\s*#\s*include\s+"\K[^"]+' src | sort)

while IFS=: read -r file header; do
  [[ $header == vgg/* || -f ${file%/*}/$header ]] || offence "$file: $header"
done < <(grep -roP '^\s*#\s*include\s+"\K[^"]+' apps examples 2>/dev/null)

mapfile -t sources < <(find src apps include examples tests bench cmake -type f \( -name '*.[ch]' \
  -o -name '*.inc' -o -name '*.def' -o -name '*.sh' -o -name '*.py' -o -name '*.cmake' \
  -o -name CMakeLists.txt \) 2>/dev/null)
while read -r file; do offence "$file: no SPDX line"; done < \
  <(grep -L 'SPDX-License-Identifier: Apache-2.0' "${sources[@]}" CMakeLists.txt)
while read -r line; do offence "over 100 columns: $line"; done < \
  <(grep -nE '^.{101,}' "${sources[@]}" | cut -c1-120)
exit $bad
