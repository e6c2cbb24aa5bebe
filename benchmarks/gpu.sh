#!/usr/bin/env bash
# What one GPU does with the pipeline, in at most ten minutes: benchmarks/gpu.sh [FOLDER]
#
# Runs a study of the miniature's kind in pocket size (tests/workflow/pocket.yaml) on it, measures pretraining of ALBETO tiny, base and xxlarge, pretrains, fine-tunes and distils at the thesis' sizes
# (benchmarks/gpu.yaml), and measures inference. Writes FOLDER/gpu.csv (results/bench/gpu by default) with device and date, and the log
# of each step beside it. A step that fails or takes too long is a row that says so; the others still run. It ends with 1 then.
# The limits below, and the ten seconds that each has to end after its own, make 595 seconds.
# Without a GPU it does nothing, unless SMOKE=1 asks for small sizes on the processor, to try this program itself.
set -u
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-results/bench/gpu}")
export PATH="$PWD/.venv/bin:$PATH"
# torch computes on the first of them, which nvidia-smi does not know of.
gpu=${CUDA_VISIBLE_DEVICES:-0} gpu=${gpu%%,*}
if [ "${SMOKE:-0}" = 1 ]; then
  device=$(uname -m) study=tests/workflow/pocket.yaml speed=(--device cpu --sizes tiny --rows 1 --length 64 --rounds 1 --megabytes 1)
elif device=$(nvidia-smi -i "$gpu" --query-gpu=name --format=csv,noheader 2>/dev/null) && [ -n "$device" ]; then
  study=benchmarks/gpu.yaml speed=(--device cuda --rounds 3)
else
  echo "error: no GPU: nvidia-smi names none" >&2
  exit 1
fi
mkdir -p "$out"
rm -rf "$out/pocket" "$out/study"
rows=$out/gpu.csv failed=0
echo "step,seconds,ended,gpu_busy_percent,device,date,commit" > "$rows"

# step NAME SECONDS COMMAND...: one row; the mean of what nvidia-smi calls utilisation, each second, where there is a GPU
step() {
  local name=$1 limit=$2 watcher="" busy="" start=$SECONDS ended=ok
  shift 2
  if command -v nvidia-smi > /dev/null; then
    nvidia-smi -i "$gpu" --query-gpu=utilization.gpu --format=csv,noheader,nounits -l 1 > "$out/$name.busy" 2> /dev/null &
    watcher=$!
  fi
  timeout --kill-after=10 "$limit" "$@" > "$out/$name.log" 2>&1 || { ended="exit status $?"; failed=1; }
  if [ -n "$watcher" ]; then
    kill "$watcher" 2> /dev/null
    busy=$(awk '{sum += $1} END {if (NR) printf "%.0f", sum / NR}' "$out/$name.busy")
  fi
  echo "$name,$((SECONDS - start)),$ended,$busy,$device,$(date -u +%F),$(git rev-parse --short HEAD 2> /dev/null)" | tee -a "$rows"
}

study() { # CONFIGURATION FOLDER TARGET...
  local configuration=$PWD/$1 folder=$2
  shift 2
  snakemake --snakefile "$PWD/Snakefile" --directory "$folder" --cores "$(nproc)" --workflow-profile "$PWD/profiles/default" \
    "--configfile=$configuration" "$@"
}
export -f study

step pocket 170 bash -c "study tests/workflow/pocket.yaml '$out/pocket' all"
step pretraining-speed 205 python benchmarks/bench_pretraining.py "${speed[@]}" --learn-tokens 0 --out "$out/pretraining.csv"
step study 190 bash -c "study $study '$out/study' results/summary.csv results/tables/inference_speed.csv results/tables/cost.csv"
exit $failed
