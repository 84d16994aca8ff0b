#!/usr/bin/env bash
# Trains pocket 2 on a GPU for some minutes and leaves what it learnt in small files: gpu_run.sh [--size gpu|tiny] [--minutes 8.5] [--out DIR].
# Needs models/pocket/training/work/fluent (python -m pocket2.fetch) and the font (POCKET_FONT, or Noto where apt puts it); no network.
# Goes on from work/packed where there is one (python -m pocket2.pack work/packed).
# Minute by minute: 0 composing starts in 8 processes; as soon as 8 shards lie there the U-Net, decoder and image tower train side by side;
# the prior when the tower's minutes are over; every minute all checkpoints are packed into DIR (halves, parts of 15 MiB).
set -euo pipefail
cd "$(dirname "$0")"
size=gpu minutes=8.5 out=${OUT:-work/out}
while [ $# -gt 0 ]; do
  case $1 in
    --size) size=$2 ;;
    --minutes) minutes=$2 ;;
    --out) out=$2 ;;
    *) echo "gpu_run.sh: no option $1; there are --size, --minutes and --out" >&2; exit 2 ;;
  esac
  shift 2
done
out=$(mkdir -p "$out" && cd "$out" && pwd)
export POCKET_SIZE=$size POCKET_SAVE=40 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
python=${PYTHON:-python3}
begun=$(date +%s) end=$(($(date +%s) + $(awk "BEGIN{print int($minutes * 60)}")))
export POCKET_END=$((end - 25))
turns=8 first=8
[ "$size" = tiny ] && turns=1 first=2
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
"$python" -m pocket2.latents
for turn in $(seq 0 $((turns - 1))); do "$python" -m pocket2.data "$("$python" -c 'from pocket2.settings import size; print(size().shards)')" "$turn" "$turns" >"$out/data.$turn.log" 2>&1 & done
work=${POCKET_WORK:-work}
until [ "$(ls "$work"/shards 2>/dev/null | grep -c '^[0-9]*\.npz$')" -ge "$first" ]; do sleep 1; done
echo "first shards after $(($(date +%s) - begun)) s"
POCKET_MINUTES=$(awk "BEGIN{print $minutes * 0.06}") "$python" -m pocket2.words >"$out/words.log" 2>&1
"$python" -m pocket2.paint >"$out/unet.log" 2>&1 & unet=$!
"$python" -m pocket2.decode >"$out/decoder.log" 2>&1 &
(while [ ! -e "$work/unet.pt" ]; do sleep 1; done; POCKET_MINUTES=$(awk "BEGIN{print $minutes * 0.35}") "$python" -m pocket2.see && "$python" -m pocket2.prior) >"$out/clip.log" 2>&1 &
while kill -0 $unet 2>/dev/null; do
  sleep "$([ "$size" = tiny ] && echo 5 || echo 60)"
  [ -e "$work/unet.pt" ] && "$python" -m pocket2.pack "$out" >/dev/null
  tail -qn1 "$out/unet.log" "$out/clip.log" "$out/decoder.log"
done
wait $unet
"$python" -m pocket2.pack "$out"
cat "$out"/data.*.log >"$out/data.log" && rm "$out"/data.*.log
echo "done after $(($(date +%s) - begun)) s; to go on: python -m pocket2.pack $out --take"
