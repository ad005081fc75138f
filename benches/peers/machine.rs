//! The machine of a run.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::{Value, json};

const TMPFS: i64 = 0x0102_1994;

pub struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    pub load: f64,
    filesystem: i64,
}

impl Machine {
    pub fn of(dir: &Path) -> Machine {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Machine {
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().to_owned(),
            load: load(),
            filesystem: filesystem(dir),
        }
    }

    pub fn text(&self) -> String {
        format!(
            "{} core(s), {}, Linux {}, data on {}, load {:.2}",
            self.cores,
            self.cpu,
            self.kernel,
            self.filesystem_name(),
            self.load
        )
    }

    /// Reasons to doubt the figures.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.load > 0.5 {
            warnings.push(format!(
                "the machine is busy (load {:.2}): trust the ratios, not the figures",
                self.load
            ));
        }
        if self.filesystem == TMPFS {
            warnings.push("data is on tmpfs, where fsync costs nothing: use --dir".to_owned());
        }
        warnings
    }

    pub fn json(&self) -> Value {
        json!({
            "cpu": self.cpu,
            "cores": self.cores,
            "kernel": self.kernel,
            "load": self.load,
            "filesystem": self.filesystem_name(),
        })
    }

    fn filesystem_name(&self) -> String {
        match self.filesystem {
            0xef53 => "ext4".to_owned(),
            0x5846_5342 => "xfs".to_owned(),
            0x9123_683e => "btrfs".to_owned(),
            0x794c_7630 => "overlayfs".to_owned(),
            TMPFS => "tmpfs".to_owned(),
            other => format!("filesystem {other:#x}"),
        }
    }
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown CPU", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let sha = info.split_whitespace().any(|flag| flag == "sha_ni");
    let with = if sha { "with" } else { "without" };
    format!("{model} {with} SHA extensions")
}

/// Returns the load average of the last minute.
fn load() -> f64 {
    fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0.0)
}

fn statfs(dir: &Path) -> Option<libc::statfs> {
    let path = CString::new(dir.as_os_str().as_bytes()).ok()?;
    // SAFETY: an all-zero statfs is valid, and the call only writes into it.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in NUL and `found` is a valid place for the result.
    let status = unsafe { libc::statfs(path.as_ptr(), &mut found) };
    (status == 0).then_some(found)
}

fn filesystem(dir: &Path) -> i64 {
    statfs(dir).map_or(0, |found| found.f_type)
}

/// Returns the free space below `dir`, in bytes.
pub fn free_space(dir: &Path) -> u64 {
    statfs(dir).map_or(0, |found| found.f_bavail * found.f_bsize as u64)
}

/// Leaves the kernel enough free, recently used memory for a file of `size` bytes.
///
/// A virtual machine returns free memory to its host, and getting it back costs ten times the write itself:
/// without this, the first user of a page pays for it.
pub fn warm_page_cache(dir: &Path, size: usize) -> io::Result<()> {
    let path = dir.join("peers-warm");
    let mut file = File::create(&path)?;
    let block = vec![1; 1 << 20];
    for _ in 0..(size + size / 2).div_ceil(block.len()) {
        file.write_all(&block)?;
    }
    // nothing of it reaches the disk, and its pages are free again
    fs::remove_file(&path)
}
