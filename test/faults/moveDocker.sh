#!/bin/bash
# `docker` for test/faults/move.test.ts, where there is no engine: what would run in a container runs on this machine
# from here, with the volume's folder for /data. Knows the forms that docs/operations.md types, and no other.
#   ROOT      the checkout          PICTURES  folder for the volume dreamgrid_pictures
#   RUNNING   process ids that `compose stop` ends; what `up` starts, the test starts
set -eu
echo "docker $*" >> typed.txt
cli() { # in a container: node worker/cli/bin.mjs …
  node "$ROOT/$2" "${@:3}" | tee -a typed.txt
}
case "$*" in
  'compose run --rm worker node '*) args=("${@:5}") && cli "${args[@]//\/data/$PICTURES}" ;;
  'compose -f docs/ops/worker-machine.yml --project-directory . run --rm worker node '*) cli "${@:9}" ;;
  'compose stop bot worker worker-gpu')
    for pid in $RUNNING; do kill "$pid" 2> /dev/null || true; done
    for pid in $RUNNING; do while kill -0 "$pid" 2> /dev/null; do sleep .05; done; done
    ;;
  'compose -f docker-compose.yml -f docs/ops/reachable-redis.yml up -d') ;;
  'compose -f docs/ops/worker-machine.yml --project-directory . up -d') ;;
  *)
    echo "no stand-in for: docker $*" >&2
    exit 64
    ;;
esac
