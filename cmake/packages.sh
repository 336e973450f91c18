# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What quickstart and check need of Debian 12+ or Ubuntu 24.04+, and how they get it.

# (Debian's oneDNN asks CMake for OpenCL's headers, which libdnnl-dev only recommends.)
build_packages="gcc libc6-dev cmake ninja-build pkg-config libdnnl-dev ocl-icd-opencl-dev zlib1g-dev
  libpng-dev libjpeg-dev libwebp-dev libjansson-dev libcairo2-dev fonts-dejavu-core
  dataset-fashion-mnist"
check_packages="g++ libcmocka-dev"

# Prints those of the packages that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2> /dev/null)" = installed ] ||
      echo "$package"
  done
}

# Installs what is missing of the packages, or says what to do and exits with 69.
need_packages() {
  local missing become=""
  if ! command -v apt-get > /dev/null; then
    echo "$0: this is not Debian or Ubuntu, so install by hand what these packages hold:"
    printf '  %s\n' "$@"
    echo "and then build with: cmake --preset release && cmake --build --preset release"
    exit 69
  fi >&2
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    become=sudo
    if ! command -v sudo > /dev/null; then
      echo "$0: packages are missing and there is no sudo; as root, run:" >&2
      echo "  apt-get update && apt-get install ${missing[*]}" >&2
      exit 69
    fi
  fi
  echo "installing ${missing[*]}" >&2
  $become apt-get update -qq > /dev/null &&
    $become env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "${missing[@]}" > /dev/null && return 0
  echo "$0: apt-get could not install: ${missing[*]}" >&2
  exit 69
}
