//! A copy of the program, whose servers only its own commands find.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::Client;
use crate::support::server::read_address;

/// A copy of the program, because commands look for servers that run from their own file.
pub struct Program {
    directory: TempDir,
}

/// A server that ends with the test.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    pub fn copy() -> Self {
        let directory = TempDir::new().expect("a directory");
        // others must be able to run it
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))
            .expect("permissions");
        let program = Self { directory };
        // cp, because a descriptor open for writing would be inherited by tests that fork now
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_registry"))
            .arg(program.path())
            .status();
        assert!(copied.expect("cp").success());
        program
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("registry")
    }

    pub fn data(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts a server whose directory only its variables name, relative to its working directory.
    pub fn serve(&self, data: &str) -> (Running, Client) {
        self.serve_with(data, &[])
    }

    /// Like [`Self::serve`], with more arguments.
    pub fn serve_with(&self, data: &str, arguments: &[&str]) -> (Running, Client) {
        let mut child = Command::new(self.path())
            .arg("serve")
            .args(arguments)
            .env_clear()
            .env("REGISTRY_STORAGE_RESERVE", "0")
            .env("REGISTRY_HTTP_ADDR", "127.0.0.1:0")
            .env("REGISTRY_LOG_ACCESSLOG_DISABLED", "true")
            .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", data)
            .current_dir(self.directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut stdout = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
        let address = read_address(&mut stdout);
        (Running(child), Client::new(&address))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path());
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.directory.path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the command runs")
    }
}
