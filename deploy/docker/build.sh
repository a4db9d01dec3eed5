#!/usr/bin/env bash
# Builds the images of deploy/docker/Dockerfile with docker, podman or buildah.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

usage() {
  cat <<'HELP'
usage: deploy/docker/build.sh [OPTION...] [IMAGE...]

Builds the images core, gateway and fabro (all three unless named) as fabro/NAME:TAG.

  --engine NAME     docker, podman or buildah (the first that is here)
  --tag TAG         (the version in CMakeLists.txt)
  --prefix NAME     what stands before /NAME:TAG (fabro)
  --base IMAGE      a Debian 12 to build on (docker.io/library/debian:12-slim); pin it by its digest for images that can be
                    built again
  --programs DIR    take the programs from there (build/release/bin) instead of compiling them
  --jobs N          how many compilers at once (as many as there are processors; each needs up to 1 GiB)
  -- WORD...        more for the engine, before its other arguments (buildah: -- --root DIR --runroot DIR)
  --help            this text

With buildah and no daemon as root, `--isolation chroot` is used: it needs no user namespaces.
HELP
}

fail() {
  echo "build.sh: $*" >&2
  exit 1
}

engine= base= programs= jobs= prefix=fabro images=() more=()
tag=$(sed -n 's/^project(fabro VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
while [[ $# -gt 0 ]]; do
  case "$1" in
    --engine | --tag | --prefix | --base | --programs | --jobs)
      [[ $# -ge 2 && -n "$2" ]] || fail "$1 needs a value"
      case "$1" in
        --engine) engine=$2 ;;
        --tag) tag=$2 ;;
        --prefix) prefix=$2 ;;
        --base) base=$2 ;;
        --programs) programs=$2 ;;
        --jobs) jobs=$2 ;;
      esac
      shift
      ;;
    --) shift; more=("$@"); break ;;
    --help | -h) usage; exit 0 ;;
    core | gateway | fabro) images+=("$1") ;;
    *) usage >&2; fail "no option or image is called '$1'" ;;
  esac
  shift
done
[[ ${#images[@]} -gt 0 ]] || images=(core gateway fabro)
if [[ -z "$engine" ]]; then
  for engine in docker podman buildah none; do command -v "$engine" >/dev/null && break; done
fi
case "$engine" in
  docker) build=(docker "${more[@]}" build) ;;
  podman) build=(podman "${more[@]}" build --format docker) ;;  # OCI's own format has no HEALTHCHECK
  buildah) build=(buildah "${more[@]}" bud --isolation chroot --layers --format docker) ;;
  none) fail "neither docker, podman nor buildah is here (Debian: deploy/install.sh images brings buildah)" ;;
  *) fail "--engine is docker, podman or buildah, not '$engine'" ;;
esac

arguments=(--file deploy/docker/Dockerfile --build-arg "VERSION=$tag" --build-arg "JOBS=$jobs")
arguments+=(--build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)")
[[ -z "$base" ]] || arguments+=(--build-arg "BASE_IMAGE=$base")
if [[ -n "$programs" ]]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/programs"
  for program in fabro fabro-core fabro-gateway fabro-stage; do
    [[ -x "$programs/$program" ]] || fail "$programs has no program $program; build the preset release first"
    strip --output-file="$work/programs/$program" "$programs/$program"
  done
  arguments+=(--build-context "programs=$work")
fi
for image in "${images[@]}"; do
  echo "build.sh: $prefix/$image:$tag"
  "${build[@]}" "${arguments[@]}" --target "$image" --tag "$prefix/$image:$tag" .
done
