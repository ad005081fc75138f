//! The systemd units of `docs/deploy`, installed by the commands of its README into a directory that stands for `/`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::sandbox::Sandbox;

/// Directory where Debian has the units that ours refer to.
const SYSTEM_UNITS: &str = "/usr/lib/systemd/system";

/// Returns the `install` commands of the README, without the prompt.
fn install_commands(readme: &str) -> Vec<String> {
    readme
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with("install "))
        .map(str::to_owned)
        .collect()
}

/// Runs an `install` command of the README with its target below `root`.
fn install(root: &Path, command: &str) {
    let mut words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    let target = words.pop().unwrap();
    let source = words.pop().unwrap();
    // the README builds it with `--profile dist`
    let source = if source == "target/dist/registry" {
        env!("CARGO_BIN_EXE_registry").to_owned()
    } else {
        source
    };
    let output = Command::new("install")
        .args(&words[1..])
        .arg(source)
        .arg(format!("{}{target}", root.display()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
}

/// Installs everything as the README says, and lets systemd check the units.
pub fn is_valid_as_installed(sandbox: &Sandbox) {
    let root = sandbox.path("root");
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/deploy/README.md");
    let commands = install_commands(&fs::read_to_string(readme).unwrap());
    assert_eq!(commands.len(), 4, "{commands:?}");
    for command in commands {
        install(&root, &command);
    }
    fs::create_dir_all(root.join("usr/lib/systemd")).unwrap();
    // copied, because systemd follows no links of units out of the directory
    sandbox.run(format!(
        "cp --archive {SYSTEM_UNITS} {}",
        root.join("usr/lib/systemd").display()
    ));
    fs::create_dir(root.join("bin")).unwrap();
    fs::copy("/bin/kill", root.join("bin/kill")).unwrap();

    let units: Vec<String> = fs::read_dir(root.join("etc/systemd/system"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let printed = sandbox.run(format!(
        "systemd-analyze verify --man=no --root={} {}",
        root.display(),
        units.join(" ")
    ));
    assert_eq!(printed.both(), "");

    // what the unit's own user must be able to read
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("usr/local/bin/registry"), 0o755);
    assert_eq!(mode("etc/registry/config.yml"), 0o644);
    let check = sandbox
        .registry(&["config", "check"])
        .arg(root.join("etc/registry/config.yml"))
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
}
