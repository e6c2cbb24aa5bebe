#!/bin/bash
# A private Slurm cluster on this machine: cluster.sh start [NODES] | cluster.sh stop [--purge]
# Debian as root, no systemd, no cgroups, no accounting database; each of two nodes (or NODES) has two processors and two GPUs that are
# only names. State is in $SLURM_LAB (/tmp/slurm-lab); the configuration must be in /etc/slurm, the only place where steps of jobs look.
# One that somebody else wrote there is not touched.
set -euo pipefail
LAB=${SLURM_LAB:-/tmp/slurm-lab}; RUN=$LAB/run; LOG=$LAB/log; STATE=$LAB/state; ETC=/etc/slurm
CPUS=2; GPUS=2; MEMORY=8000

alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

end() { # PID_FILE
    alive "$1" || { rm -f "$1"; return 0; }
    local pid; pid=$(cat "$1")
    kill "$pid"
    for _ in $(seq 60); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null || true
    rm -f "$1"
}

stop() {
    if alive "$RUN/slurmctld.pid"; then
        timeout 10 scancel --quiet --user="$(id -un)" || true
        for _ in $(seq 20); do [ -n "$(timeout 5 squeue --noheader)" ] || break; sleep 0.25; done
    fi
    for file in "$RUN"/slurmd.*.pid "$RUN/slurmctld.pid" "$RUN/munged.pid"; do [ ! -e "$file" ] || end "$file"; done
    # With the configuration of a controller that does not answer every start of Snakemake waits for 10 seconds (docs/slurm.md).
    ! grep -qs '^# slurm-lab' "$ETC/slurm.conf" || rm -f "$ETC"/{slurm,gres,cgroup}.conf
    [ "${1:-}" != --purge ] || rm -rf "$LAB"
}

start() {
    local nodes=${1:-2} missing="" package number host; host=$(hostname -s)
    for package in slurmctld slurmd slurm-client munge; do
        dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        apt-get -o Acquire::Retries=1 -o Acquire::http::Timeout=20 update -qq
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    fi
    if [ -e "$ETC/slurm.conf" ] && ! grep -q '^# slurm-lab' "$ETC/slurm.conf"; then
        echo "error: $ETC/slurm.conf belongs to another cluster; this machine already has Slurm" >&2
        exit 1
    fi
    ! alive "$RUN/slurmctld.pid" || { echo "already running: $(sinfo --noheader --format='%D nodes')"; return; }
    mkdir -p "$RUN" "$LOG" "$ETC" "$STATE/ctld" "$LAB/dev"
    chmod 0755 "$RUN"
    [ -s "$LAB/munge.key" ] || head -c 128 /dev/urandom >"$LAB/munge.key"
    chmod 0400 "$LAB/munge.key"
    cat >"$ETC/slurm.conf" <<CONF
# slurm-lab (written by tests/slurm/cluster.sh)
ClusterName=lab
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$RUN/munge.sock
CredType=cred/munge
StateSaveLocation=$STATE/ctld
SlurmdSpoolDir=$STATE/d.%n
SlurmctldPidFile=$RUN/slurmctld.pid
SlurmdPidFile=$RUN/slurmd.%n.pid
SlurmctldLogFile=$LOG/slurmctld.log
SlurmdLogFile=$LOG/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,sched_min_interval=0,batch_sched_delay=1,default_queue_depth=1000
DefMemPerCPU=500
MinJobAge=600
KillWait=3
ReturnToService=2
SlurmdTimeout=60
SlurmctldTimeout=60
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
$(for number in $(seq "$nodes"); do
    echo "NodeName=n$number NodeHostname=$host NodeAddr=127.0.0.1 Port=$((17000 + number)) CPUs=$CPUS RealMemory=$MEMORY Gres=gpu:fake:$GPUS"
done)
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=ALL MaxTime=INFINITE State=UP
CONF
    for number in $(seq 0 $((GPUS - 1))); do
        [ -c "$LAB/dev/nvidia$number" ] || mknod -m 666 "$LAB/dev/nvidia$number" c 1 3 # like /dev/null
    done
    printf 'AutoDetect=off\nName=gpu Type=fake File=%s/dev/nvidia[0-%d] Flags=nvidia_gpu_env\n' "$LAB" $((GPUS - 1)) >"$ETC/gres.conf"
    printf 'CgroupAutomount=no\nCgroupPlugin=cgroup/v1\n' >"$ETC/cgroup.conf"
    rm -f "$RUN/munge.sock" "$RUN/munge.sock.lock"
    munged --force --key-file="$LAB/munge.key" --socket="$RUN/munge.sock" --pid-file="$RUN/munged.pid" \
        --log-file="$LOG/munged.log" --seed-file="$RUN/munged.seed"
    slurmctld
    for number in $(seq "$nodes"); do mkdir -p "$STATE/d.n$number"; slurmd -N "n$number"; done
    for _ in $(seq 120); do
        [ "$(sinfo --noheader --Node --partition=cpu --format=%T 2>/dev/null | grep -c idle)" -lt "$nodes" ] || { sinfo; return; }
        sleep 0.25
    done
    echo "error: the nodes did not come up; see $LOG" >&2
    exit 1
}

case ${1:-} in
start | stop) "$@" ;;
*) sed -n 2p "$0" >&2; exit 2 ;;
esac
