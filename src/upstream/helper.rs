//! Credential helpers: programs that tell a login, by the protocol of Docker's.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::time::Instant;

use crate::threads::blocking;
use crate::upstream::error::Error;

/// Maximum time that a helper may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Maximum size of its answer, in bytes.
const LARGEST: u64 = 64 << 10;
/// Name of the user where the secret is no password.
const TOKEN_USER: &str = "<token>";

/// A program that tells the login for a registry.
pub struct Helper {
    command: String,
    /// URL that it is asked about.
    server: String,
    /// Time for which its answer holds; `None` until it is refused.
    lifetime: Option<Duration>,
    told: tokio::sync::Mutex<Option<Told>>,
}

/// Each remembers what it was told.
impl PartialEq for Helper {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// A login that a helper has told.
#[derive(Clone)]
pub(in crate::upstream) struct Told {
    pub username: String,
    pub password: String,
    /// Time from which on the helper is asked again.
    pub until: Option<Instant>,
}

/// Answer of a helper.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl fmt::Debug for Helper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.command.fmt(formatter)
    }
}

impl Helper {
    /// A helper that is asked about `server`, again once `lifetime` has passed.
    pub fn new(command: String, server: String, lifetime: Option<Duration>) -> Self {
        Self {
            command,
            server,
            lifetime,
            told: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the login; the program runs once for all who wait, and is heard even if they leave.
    ///
    /// # Errors
    /// [`Error::Credentials`].
    pub(in crate::upstream) async fn ask(self: &Arc<Self>) -> Result<Told, Error> {
        let helper = Arc::clone(self);
        let asking = tokio::spawn(async move { helper.tell().await });
        asking
            .await
            .unwrap_or_else(|error| Err(Error::Credentials(format!("the login: {error}"))))
    }

    async fn tell(&self) -> Result<Told, Error> {
        let mut told = self.told.lock().await;
        let is_good = |told: &&Told| told.until.is_none_or(|until| Instant::now() < until);
        if let Some(known) = told.as_ref().filter(is_good) {
            return Ok(known.clone());
        }
        let (command, server) = (self.command.clone(), self.server.clone());
        let failed = |problem: &dyn fmt::Display| {
            Error::Credentials(format!(
                "the login from the helper {}: {problem}",
                self.command
            ))
        };
        let run = blocking::run(move || run(&command, &server)).await;
        let answer = run.map_err(|error| failed(&error))?;
        let answer = answer.map_err(|problem| failed(&problem))?;
        let fresh = Told {
            username: answer.username,
            password: answer.secret,
            until: self.lifetime.map(|lifetime| Instant::now() + lifetime),
        };
        *told = Some(fresh.clone());
        Ok(fresh)
    }

    /// Forgets a login that was refused.
    pub(in crate::upstream) async fn forget(&self) {
        *self.told.lock().await = None;
    }
}

/// Runs the program; a sentence says what it did instead of answering.
fn run(command: &str, server: &str) -> Result<Answer, String> {
    let mut child = Command::new(command)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot be run: {error}"))?;
    let output = converse(&mut child, server);
    if output.is_none() {
        end(&child);
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let output = output.ok_or_else(|| format!("gave no answer within {} s", PATIENCE.as_secs()))?;
    if output.len() as u64 > LARGEST {
        return Err("says too much".to_owned());
    }
    if !status.success() {
        return Err(format!("failed ({status})"));
    }
    let answer: Answer =
        serde_json::from_slice(&output).map_err(|_| "tells no Username and Secret".to_owned())?;
    match &*answer.username {
        TOKEN_USER => Err("tells an identity token, and no password".to_owned()),
        _ => Ok(answer),
    }
}

/// Asks the program, and returns what it says; `None` if that takes too long.
fn converse(child: &mut Child, server: &str) -> Option<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    let (stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
    let server = server.to_owned();
    std::thread::spawn(move || {
        let mut stdin = stdin;
        // a program that does not read may answer all the same
        let _ = stdin.write_all(server.as_bytes());
        drop(stdin);
        let mut output = Vec::new();
        let read = stdout.take(LARGEST + 1).read_to_end(&mut output);
        let _ = sender.send(read.map(|_| output));
    });
    receiver.recv_timeout(PATIENCE).ok()?.ok()
}

/// Kills the program and those that it started.
fn end(child: &Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // it may have ended meanwhile
        let _ = kill_process_group(group, Signal::KILL);
    }
}
