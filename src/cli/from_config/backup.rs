//! The settings of the server's backups, from the section `backup`.

use tarkeep::config::{Backup, Violations};
use tarkeep::registry::BackupSettings;

/// Converts the section; `None` without a directory.
pub(super) fn settings(backup: &Backup) -> Result<Option<BackupSettings>, Violations> {
    let Some(to) = backup.to.clone().filter(|to| !to.as_os_str().is_empty()) else {
        return Ok(None);
    };
    if !to.is_absolute() {
        let sentence = format!(
            "backup.to is '{}': name the directory for backups by its whole path",
            to.display()
        );
        return Err(Violations::of("backup.to", sentence));
    }
    let every = backup.every.map_or(BackupSettings::EVERY, |every| every.0);
    if every.is_zero() {
        return Err(Violations::of(
            "backup.every",
            "backup.every is 0: name the time from one backup to the next, as 24h",
        ));
    }
    let keep = backup.keep.unwrap_or(BackupSettings::KEEP);
    if keep == 0 {
        return Err(Violations::of(
            "backup.keep",
            "backup.keep is 0: keep one backup at least, or leave out backup.to to make none",
        ));
    }
    Ok(Some(BackupSettings { to, every, keep }))
}
