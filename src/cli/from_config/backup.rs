//! The settings of the server's backups, from the section `backup`.

use tarkeep::backup::Destination;
use tarkeep::config::{Backup, Config, Violations};
use tarkeep::registry::BackupSettings;

use crate::cli::from_config::defaults;

/// Converts the section; `None` without a directory.
pub(super) fn settings(config: &Config) -> Result<Option<BackupSettings>, Violations> {
    let backup = &config.backup;
    let Some(to) = backup.to.clone().filter(|to| !to.as_os_str().is_empty()) else {
        return without_directory(backup).map(|()| None);
    };
    if !to.is_absolute() {
        let sentence = format!(
            "backup.to is '{}': name the directory for backups by its whole path",
            to.display()
        );
        return Err(Violations::of("backup.to", sentence));
    }
    if let Ok(data) = defaults::data_directory(None, config) {
        let outside = Destination::Directory(to.clone()).check_outside(&data);
        outside.map_err(|error| Violations::of("backup.to", error))?;
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

/// Refuses the other keys without a directory: whoever sets them expects backups.
fn without_directory(backup: &Backup) -> Result<(), Violations> {
    let set = [
        ("backup.every", backup.every.is_some()),
        ("backup.keep", backup.keep.is_some()),
    ];
    match set.into_iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((key, _)) => Err(Violations::of(
            key,
            format!(
                "{key} is set, but no backup is made, because backup.to is not: name a directory on another disk there"
            ),
        )),
    }
}
