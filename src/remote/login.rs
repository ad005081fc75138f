//! Logins for a server: a token, or what Docker's configuration says.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// User and password of a request.
#[derive(Clone)]
pub struct RemoteLogin {
    pub user: String,
    pub password: String,
}

impl RemoteLogin {
    /// Returns the value of `Authorization`.
    pub(super) fn basic(&self) -> String {
        let pair = format!("{}:{}", self.user, self.password);
        format!("Basic {}", STANDARD.encode(pair))
    }
}

/// Reads the login for a host from Docker's configuration; `None` if it has none.
///
/// # Errors
/// A file that is not read, or a credential helper that fails, in a sentence.
pub fn docker_login(file: &Path, host: &str) -> Result<Option<RemoteLogin>, String> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
    };
    let config: Value = serde_json::from_slice(&text)
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let own = config["credHelpers"][host].as_str();
    if let Some(helper) = own.or_else(|| config["credsStore"].as_str()) {
        return ask(helper, host);
    }
    let places = [
        host.to_owned(),
        format!("https://{host}"),
        format!("http://{host}"),
    ];
    let auth = places
        .iter()
        .find_map(|place| config["auths"][place]["auth"].as_str());
    let Some(auth) = auth.filter(|auth| !auth.is_empty()) else {
        return Ok(None);
    };
    let malformed = || format!("the login for {host} in {} is malformed", file.display());
    let decoded = STANDARD.decode(auth).map_err(|_| malformed())?;
    let decoded = String::from_utf8(decoded).map_err(|_| malformed())?;
    let (user, password) = decoded.split_once(':').ok_or_else(malformed)?;
    Ok(Some(RemoteLogin {
        user: user.to_owned(),
        // some tools write a zero byte at the end
        password: password.trim_end_matches('\0').to_owned(),
    }))
}

/// Asks a credential helper of Docker's; `None` if it knows no login for the host.
fn ask(helper: &str, host: &str) -> Result<Option<RemoteLogin>, String> {
    let program = format!("docker-credential-{helper}");
    let failed = |cause: &dyn std::fmt::Display| format!("{program} failed: {cause}");
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| failed(&error))?;
    if let Some(mut input) = child.stdin.take() {
        // one that has ended says by its status why
        let _ = input.write_all(host.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(&error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return match said.contains("credentials not found") {
            true => Ok(None),
            false => Err(failed(&said.trim())),
        };
    }
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(|error| failed(&error))?;
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    Ok(Some(RemoteLogin {
        user: text("Username"),
        password: text("Secret"),
    }))
}
