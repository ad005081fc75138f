//! `registry htpasswd`: output, messages and exit codes equal those of Apache's 2.4.68, except
//! where a comment says otherwise.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::Guarded;
use crate::support::{Terminal, eventually};

/// Runs it in a directory; returns exit code, stdout and stderr.
fn run(directory: &Path, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command
        .arg("htpasswd")
        .args(arguments)
        .current_dir(directory);
    parts(&with_input(command, input))
}

fn with_input(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // a process that reads no input may have ended
    let _ = child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn parts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (
        output.status.code().expect("a code"),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn is_hash_of(line: &str, user: &str, password: &str, cost: u32) -> bool {
    let hash = line.strip_prefix(&format!("{user}:")).unwrap_or_default();
    hash.starts_with(&format!("$2y${cost:02}$")) && bcrypt::verify(password, hash).unwrap_or(false)
}

#[test]
fn a_line_is_printed_to_stdout() {
    let directory = TempDir::new().expect("a directory");
    // -B makes no difference here; without it Apache would use MD5
    for (arguments, input, cost) in [
        (&["-Bbn", "joe", "secret"][..], "", 10),
        (&["-B", "-b", "-n", "joe", "secret"], "", 10),
        (&["-nb", "joe", "secret"], "", 10),
        (&["-Bbn", "-C", "4", "joe", "secret"], "", 4),
        (&["-BbnC4", "joe", "secret"], "", 4),
        (&["-Bin", "-C4", "joe"], "secret\n", 4),
        (&["-Bin", "-C4", "joe"], "secret", 4),
        (&["-Bn", "-C4", "joe"], "secret\nsecret\n", 4),
    ] {
        let (code, out, _) = run(directory.path(), arguments, input);
        let (line, rest) = out.split_once('\n').expect("a line");
        assert_eq!((code, rest), (0, "\n"), "{arguments:?}");
        assert!(
            is_hash_of(line, "joe", "secret", cost),
            "{arguments:?}: {out}"
        );
    }
    for password in ["", "a:b", "-secret", "é", " "] {
        let (_, out, _) = run(directory.path(), &["-BbnC4", "joe", password], "");
        assert!(
            is_hash_of(out.trim_end(), "joe", password, 4),
            "{password:?}: {out}"
        );
    }
    assert_eq!(directory.path().read_dir().expect("a directory").count(), 0);
}

/// Runs `htpasswd` in a directory; asserts its exit code and message, and that it prints nothing.
fn assert_run(directory: &TempDir, arguments: &[&str], code: i32, printed: &str) {
    assert_eq!(
        run(directory.path(), arguments, ""),
        (code, String::new(), format!("{printed}\n")),
        "{arguments:?}"
    );
}

#[test]
fn a_missing_file_requires_the_create_flag() {
    let directory = TempDir::new().expect("a directory");
    let missing = "htpasswd: cannot modify file f; use '-c' to create it";
    assert_run(&directory, &["-Bb", "f", "joe", "pw"], 1, missing);
    assert_run(&directory, &["-D", "f", "joe"], 1, missing);
    assert_run(&directory, &["-vb", "f", "joe", "pw"], 1, missing);
}

#[test]
fn a_file_is_created_changed_and_verified() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("f");
    let create = ["-cBbC4", "f", "joe", "pw"];
    assert_run(&directory, &create, 0, "Adding password for user joe");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
    for (arguments, code, printed) in [
        (
            &["-BbC4", "f", "joe", "pw2"][..],
            0,
            "Updating password for user joe",
        ),
        (
            &["-BbC4", "f", "ann", "x"],
            0,
            "Adding password for user ann",
        ),
        (
            &["-vb", "f", "joe", "pw2"],
            0,
            "Password for user joe correct.",
        ),
        (
            &["-vb", "f", "joe", "pw"],
            3,
            "password verification failed",
        ),
        (&["-vb", "f", "nobody", "pw"], 6, "User nobody not found"),
        (&["-D", "f", "ann"], 0, "Deleting password for user ann"),
        (&["-D", "f", "nobody"], 0, "User nobody not found"),
    ] {
        assert_run(&directory, arguments, code, printed);
    }
    let content = fs::read_to_string(&path).expect("the file");
    assert!(is_hash_of(content.trim_end(), "joe", "pw2", 4), "{content}");
    assert_eq!(
        path.metadata().expect("the file").mode() & 0o777,
        0o640,
        "the mode has changed"
    );
    assert_eq!(
        directory.path().read_dir().expect("a directory").count(),
        1,
        "something was left"
    );
}

#[test]
fn a_file_is_recreated_and_an_invalid_one_kept() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("f");
    for user in ["joe", "bob"] {
        let printed = format!("Adding password for user {user}");
        assert_run(&directory, &["-cBbC4", "f", user, "pw"], 0, &printed);
    }
    assert_eq!(
        fs::read_to_string(&path).expect("the file").lines().count(),
        1
    );
    fs::write(&path, "garbage\n").expect("a file");
    assert_run(
        &directory,
        &["-Bb", "f", "joe", "pw"],
        7,
        "htpasswd: The file f does not appear to be a valid htpasswd file.",
    );
    assert_eq!(fs::read_to_string(&path).expect("the file"), "garbage\n");
}

/// A name and a password beyond the limits.
const LONG: &str = match std::str::from_utf8(&[b'u'; 300]) {
    Ok(text) => text,
    Err(_) => panic!("not ASCII"),
};

/// Arguments and input, with the exit code and message they cause.
const USAGE_ERRORS: &[(&[&str], &str, i32, &str)] = &[
    (
        &["-Bbn", "jo:e", "x"],
        "",
        6,
        "htpasswd: username contains illegal character ':'",
    ),
    (
        &["-Bbn", LONG, "x"],
        "",
        5,
        "htpasswd: username too long (> 255)",
    ),
    (
        &["-Bbn", "a", LONG],
        "",
        5,
        "htpasswd: password too long (> 256)",
    ),
    (
        &["-BbnC", "x", "a", "b"],
        "",
        2,
        "htpasswd: argument to -C must be a positive integer",
    ),
    (
        &["-BbnC", "3", "a", "b"],
        "",
        3,
        "htpasswd: Unable to encode with bcrypt: the cost of bcrypt is a number from 4 to 17, not 3",
    ),
    (
        &["-BbnC", "18", "a", "b"],
        "",
        3,
        "htpasswd: Unable to encode with bcrypt: the cost of bcrypt is a number from 4 to 17, not 18",
    ),
    (
        &["-cn", "f", "x"],
        "",
        2,
        "htpasswd: only one of -c -n -v -D may be specified",
    ),
    (
        &["-cD", "f", "x"],
        "",
        2,
        "htpasswd: only one of -c -n -v -D may be specified",
    ),
    (
        &["-Bn", "-C4", "joe"],
        "a\nb\n",
        3,
        "New password: Re-type new password: htpasswd: password verification error",
    ),
    // Apache accepts these, or words the error differently
    (
        &["-Bn", "joe"],
        "",
        3,
        "New password: htpasswd: cannot read the password: there is none",
    ),
    (
        &["-mbn", "a", "b"],
        "",
        2,
        "htpasswd: -m makes hashes that the registry rejects: omit it to use bcrypt",
    ),
    (
        &["-Bbn", "a\nb", "x"],
        "",
        6,
        r"htpasswd: username contains illegal character '\n'",
    ),
    (
        &["-Bbn", "#a", "x"],
        "",
        6,
        "htpasswd: a username must not begin with # or a space, or end with a space",
    ),
    (
        &["-Bb", "f"],
        "",
        2,
        "htpasswd: these flags take FILE USER PASSWORD; see htpasswd --help",
    ),
    (
        &["-Bb", "f", "joe", "x", "y"],
        "",
        2,
        "htpasswd: these flags take FILE USER PASSWORD; see htpasswd --help",
    ),
];

#[test]
fn usage_errors() {
    let directory = TempDir::new().expect("a directory");
    for &(arguments, input, code, printed) in USAGE_ERRORS {
        assert_eq!(
            run(directory.path(), arguments, input),
            (code, String::new(), format!("{printed}\n")),
            "{arguments:?}"
        );
    }
    for arguments in [&[][..], &["-q"], &["-bi", "f", "x", "y"]] {
        assert_eq!(run(directory.path(), arguments, "").0, 2, "{arguments:?}");
    }
    let (code, _, printed) = run(directory.path(), &["-cBb", "not/there/f", "joe", "x"], "");
    assert!(
        code == 1 && printed.starts_with("htpasswd: cannot create file not/there/f: "),
        "{printed}"
    );
}

/// As users do: `registry htpasswd -Bbn USER PASSWORD >> FILE`, also under the familiar program
/// name.
#[test]
fn the_registry_accepts_generated_lines() {
    let guarded = Guarded::with("");
    let directory = TempDir::new().expect("a directory");
    let link = directory.path().join("htpasswd");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_registry"), &link).expect("a link");
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&link);
        command.args(arguments).current_dir(directory.path());
        parts(&with_input(command, ""))
    };
    let (_, first, _) = command(&["-BbnC4", "joe", "secret"]);
    let (_, second, _) = command(&["-BbnC4", "ann", "other"]);
    fs::write(&guarded.path, first).expect("a file");
    assert_eq!(guarded.login("joe", "secret").status, 200);
    let mut file = fs::File::options()
        .append(true)
        .open(&guarded.path)
        .expect("the file");
    file.write_all(second.as_bytes()).expect("another line");
    assert_eq!(guarded.login("ann", "other").status, 200);
    let path = guarded.path.to_str().expect("text");
    assert_eq!(command(&["-bC4", path, "joe", "new"]).0, 0);
    assert_eq!(
        (
            guarded.login("joe", "new").status,
            guarded.login("joe", "secret").status
        ),
        (200, 401)
    );
    assert_eq!(command(&["-D", path, "ann"]).0, 0);
    eventually("a deleted user is rejected", || {
        guarded.login("ann", "other").status == 401
    });
    assert_eq!(guarded.login("joe", "new").status, 200);
}

#[test]
fn a_typed_password_is_not_echoed() {
    let directory = TempDir::new().expect("a directory");
    let mut terminal = Terminal::spawn(
        Command::new(env!("CARGO_BIN_EXE_registry"))
            .args(["htpasswd", "-cC4", "f", "joe"])
            .current_dir(directory.path()),
    );
    for prompt in ["New password: ", "Re-type new password: "] {
        terminal.read_until(prompt);
        terminal.type_text("secret\n");
    }
    let shown = terminal.finish();
    assert_eq!(
        shown.text,
        "New password: \r\nRe-type new password: \r\nAdding password for user joe\r\n"
    );
    assert!(shown.status.success());
    let content = fs::read_to_string(directory.path().join("f")).expect("the file");
    assert!(
        is_hash_of(content.trim_end(), "joe", "secret", 4),
        "{content}"
    );
}

#[test]
fn the_command_is_available_as_htpasswd() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let link = directory.path().join("htpasswd");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_registry"), &link).expect("a link");
    let output = std::process::Command::new(link)
        .arg("--help")
        .output()
        .expect("it runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.starts_with("Create or change a password file"),
        "{printed}"
    );
}
