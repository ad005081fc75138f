//! CPU time and memory of a process and its descendants, as the kernel counts them.

use std::fs;
use std::io;

use crate::error::Result;

/// Returns user and system time of the process tree below `root`, in seconds.
///
/// Reads CPU clocks, because /proc/PID/stat counts in ticks of 10 ms: too coarse for a pull of 40 ms.
pub fn cpu_seconds(root: u32) -> Result<f64> {
    let mut total = 0.0;
    for pid in tree(root)? {
        total += clock(pid)?;
    }
    Ok(total)
}

/// Returns the sum of the peaks of resident memory of the process tree, in MiB.
pub fn peak_mib(root: u32) -> Result<f64> {
    let mut kib = 0;
    for pid in tree(root)? {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .ok_or("no VmHWM in /proc/PID/status")?;
        kib += line.trim().trim_end_matches(" kB").parse::<u64>()?;
    }
    Ok(kib as f64 / 1024.0)
}

/// Resets the peak to the memory resident now. Kernels without support keep the old peak.
pub fn forget_peak(root: u32) {
    for pid in tree(root).unwrap_or_default() {
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

fn clock(pid: u32) -> Result<f64> {
    let mut id: libc::clockid_t = 0;
    // SAFETY: `id` is a valid place for the result.
    let error = unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &mut id) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error).into());
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the result.
    if unsafe { libc::clock_gettime(id, &mut time) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

/// Lists `root` and all its descendants.
fn tree(root: u32) -> Result<Vec<u32>> {
    let mut pairs = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        // A process may end between the listing and the reading.
        if let Some(parent) = fs::read_to_string(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|stat| parent(&stat))
        {
            pairs.push((pid, parent));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(
            pairs
                .iter()
                .filter(|(_, parent)| *parent == pid)
                .map(|(child, _)| *child),
        );
        next += 1;
    }
    Ok(found)
}

/// Returns the parent's id: the second field after the command, which may contain spaces.
fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
