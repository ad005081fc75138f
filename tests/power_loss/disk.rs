//! A disk whose power can be cut: an ext4, XFS or btrfs file system in a file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::crash::sys;

const SIZE: u64 = 512 << 20;
/// Mount options that write nothing unasked: the journal is committed every ten minutes only, and
/// no rename or truncation flushes a file. After a cut the disk has exactly what was synced.
const OPTIONS: &str = "loop,commit=600,noauto_da_alloc,lazytime";
/// Longest time for the kernel to release a file system.
const PATIENCE: Duration = Duration::from_secs(10);

/// A kind of file system: its type, the arguments of mkfs, and the options of mounts.
pub struct FileSystem {
    pub kind: &'static str,
    pub format: &'static [&'static str],
    pub options: &'static str,
}

pub const EXT4: FileSystem = FileSystem {
    kind: "ext4",
    format: &["-q", "-F"],
    options: OPTIONS,
};

pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
    file_system: &'static FileSystem,
}

impl Disk {
    /// Creates and mounts an empty disk inside `directory`, with ext4.
    ///
    /// # Errors
    ///
    /// Where this user or this machine cannot; says why.
    pub fn new(directory: &Path, name: &str) -> Result<Self, String> {
        Self::with(directory, name, &EXT4)
    }

    /// Creates and mounts an empty disk inside `directory`, with a file system of that kind.
    ///
    /// # Errors
    /// Where this user or this machine cannot; says why.
    pub fn with(
        directory: &Path,
        name: &str,
        file_system: &'static FileSystem,
    ) -> Result<Self, String> {
        let disk = Self {
            image: directory.join(format!("{name}.{}", file_system.kind)),
            mount: directory.join(name),
            file_system,
        };
        let image = File::create(&disk.image).map_err(|error| error.to_string())?;
        image.set_len(SIZE).map_err(|error| error.to_string())?;
        fs::create_dir(&disk.mount).map_err(|error| error.to_string())?;
        if file_system.kind != "tmpfs" {
            let kind = file_system.kind.trim_end_matches("-fuse");
            run(Command::new(format!("mkfs.{kind}"))
                .args(file_system.format)
                .arg(&disk.image))?;
        }
        disk.mount()?;
        Ok(disk)
    }

    pub fn path(&self) -> &Path {
        &self.mount
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount")
            .args(["-t", self.file_system.kind, "-o", self.file_system.options])
            .arg(&self.image)
            .arg(&self.mount))
    }

    /// Writes everything to the disk.
    pub fn sync(&self) {
        let root = File::open(&self.mount).expect("the root of the disk");
        rustix::fs::syncfs(root).expect("it can be written to");
    }

    /// Cuts the power: nothing more reaches the disk, and unwritten data is lost.
    ///
    /// A btrfs must be at rest, because its power is cut by a copy of what has reached the disk.
    pub fn cut(&self) {
        if self.file_system.kind == "btrfs" {
            return self.copy_image();
        }
        let root = File::open(&self.mount).expect("the root of the disk");
        sys::cut_power(&root).expect("ext4 and XFS can be shut down");
    }

    /// Remounts the disk as it was when the power was cut.
    pub fn restore_power(&self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = run(Command::new("umount").arg(&self.mount)) {
            assert!(Instant::now() < deadline, "{error}");
        }
        // as another file: containers that created a mount namespace meanwhile hold a copy of the
        // mount, and while it exists the same image would be the same file system, without power
        if self.file_system.kind != "btrfs" {
            self.copy_image();
        }
        fs::rename(self.copy(), &self.image).expect("the same directory");
        self.mount().expect("it was mounted before");
    }

    fn copy(&self) -> PathBuf {
        self.image.with_extension("copy")
    }

    fn copy_image(&self) {
        run(Command::new("cp")
            .arg("--sparse=always")
            .arg(&self.image)
            .arg(self.copy()))
        .expect("room for a copy");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // not mounted if mounting failed
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(&self.mount)
            .output();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
