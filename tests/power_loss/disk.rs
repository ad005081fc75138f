//! A disk whose power can be cut: an ext4 file system in a file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::crash::sys;

const SIZE: u64 = 512 << 20;
/// Nothing reaches the disk on its own: the journal is committed every ten minutes only, and no rename or truncation
/// brings a file along. What is there after a cut is what was synced.
const OPTIONS: &str = "loop,commit=600,noauto_da_alloc,lazytime";
/// Longest time for the kernel to release a file system.
const PATIENCE: Duration = Duration::from_secs(10);

/// A kind of file system: its type, the arguments of mkfs, and the options of mounts.
pub struct FileSystem {
    pub kind: &'static str,
    pub format: &'static [&'static str],
    pub options: &'static str,
}

const EXT4: FileSystem = FileSystem {
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
    /// Makes and mounts an empty one inside `directory`, with ext4.
    ///
    /// # Errors
    /// Where this user or this machine cannot; says why.
    pub fn new(directory: &Path, name: &str) -> Result<Self, String> {
        Self::with(directory, name, &EXT4)
    }

    /// Makes and mounts an empty one inside `directory`, with a file system of that kind.
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
            run(Command::new(format!("mkfs.{}", file_system.kind))
                .args(file_system.format)
                .arg(&disk.image))?;
        }
        disk.plug_in()?;
        Ok(disk)
    }

    pub fn path(&self) -> &Path {
        &self.mount
    }

    fn plug_in(&self) -> Result<(), String> {
        run(Command::new("mount")
            .args(["-t", self.file_system.kind, "-o", self.file_system.options])
            .arg(&self.image)
            .arg(&self.mount))
    }

    /// From here on nothing reaches the disk, and what has not been written is lost.
    pub fn cut(&self) {
        let root = File::open(&self.mount).expect("the root of the disk");
        sys::cut_power(&root).expect("ext4 can be shut down");
    }

    /// Brings it back as it was when the power went.
    pub fn come_back(&self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = run(Command::new("umount").arg(&self.mount)) {
            assert!(Instant::now() < deadline, "{error}");
        }
        // as another file: whoever made a mount namespace meanwhile, as containers do, has a copy of the mount, and as long as
        // that is there the same image would be the same file system, which has no power
        let copy = self.image.with_extension("copy");
        run(Command::new("cp")
            .arg("--sparse=always")
            .arg(&self.image)
            .arg(&copy))
        .expect("room for a copy");
        fs::rename(&copy, &self.image).expect("the same directory");
        self.plug_in().expect("it was mounted before");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // not mounted where mounting is what failed
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
