#!/bin/bash
# `docker` for test/faults/backup.test.ts, where there is no engine: what would run in a container runs on this
# machine, with the volume's folder for /data. Knows the forms that docs/operations.md types, and no other.
#   REDIS_PORT, REDISCLI_AUTH   where Redis answers, and its password
#   REDIS_VOLUME, PICTURES      folders for the volumes dreamgrid_redis and dreamgrid_pictures
#   COMPOSE_REDIS               the command of the service redis in docker-compose.yml
#   RUNNING                     process ids that `compose down` ends
set -eu

redis_server() {
  redis-server "$@" --daemonize yes --bind 127.0.0.1 --port "$REDIS_PORT" --dir "$REDIS_VOLUME" \
    --pidfile "$REDIS_VOLUME.pid" > /dev/null
}
stop() {
  for pid in "$@"; do kill "$pid" 2> /dev/null || true; done
  for pid in "$@"; do while kill -0 "$pid" 2> /dev/null; do sleep .05; done; done
}
# In a container: its /data, then what it runs.
within() {
  local volume=$1
  shift
  if [ "$1" = redis-cli ]; then
    shift
    redis-cli -p "$REDIS_PORT" "$@"
  else "${@//\/data/$volume}"; fi
}

case "$*" in
  'compose exec -T redis '*) within "$REDIS_VOLUME" "${@:5}" ;;
  'compose exec -T bot '*) within "$PICTURES" "${@:5}" ;;
  'compose run --rm -T redis '*) within "$REDIS_VOLUME" "${@:6}" ;;
  'compose run --rm --no-deps -T bot '*) within "$PICTURES" "${@:7}" ;;
  'compose run -d --name restore redis redis-server '*) redis_server "${@:8}" ;;
  'exec restore '*) within "$REDIS_VOLUME" "${@:3}" ;;
  'stop restore') stop "$(cat "$REDIS_VOLUME.pid")" ;;
  'rm restore') ;;
  'volume rm -f dreamgrid_redis') rm -rf "$REDIS_VOLUME" && mkdir "$REDIS_VOLUME" ;;
  'compose down') stop $RUNNING ;;
  'compose up -d') redis_server ${COMPOSE_REDIS#redis-server } ;; # bot and worker: the test
  *)
    echo "no stand-in for: docker $*" >&2
    exit 64
    ;;
esac
