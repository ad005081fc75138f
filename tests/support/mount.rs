//! Files and directories that cannot be changed, because they are mounted on themselves.

use std::path::Path;
use std::process::Command;

/// A file or directory that is mounted on itself, which only root may do; removing it fails.
pub struct Mounted<'p>(&'p Path);

impl<'p> Mounted<'p> {
    /// Mounts it; `None` if that fails.
    pub fn bind(path: &'p Path) -> Option<Self> {
        let is_mounted = run(Command::new("mount").arg("--bind").args([path, path]));
        is_mounted.then_some(Self(path))
    }

    /// Mounts it so that nothing below it can be changed; `None` if that fails.
    pub fn read_only(path: &'p Path) -> Option<Self> {
        let mounted = Self::bind(path)?;
        let is_read_only = run(Command::new("mount")
            .args(["-o", "remount,bind,ro"])
            .arg(path));
        is_read_only.then_some(mounted)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        run(Command::new("umount").arg(self.0));
    }
}

fn run(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
