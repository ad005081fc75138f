//! The walk of every client: without a login, as a user who may pull, as one who may push, and without again.

use crate::access::host::{PULLS, PUSHES};
use crate::harness::sandbox::Sandbox;

/// Words of clients without a login, one of which each says.
pub const NO_LOGIN: &[&str] = &[
    "UNAUTHORIZED",
    "unauthorized",
    "Unauthorized",
    "authorization failed",
    "insufficient_scope",
];
/// What the registry says of a right that a user lacks.
pub const NO_RIGHT: &[&str] = &["your rights do not include push in team/app"];

/// Logs in as a user with a password, or out.
type LogIn<'c> = dyn Fn(Option<(&str, &str)>) + 'c;

/// What a client does with `team/app` and `private/app`.
pub struct Steps<'c> {
    pub log_in: &'c LogIn<'c>,
    /// Returns the command line that pushes to a repository.
    pub push: &'c dyn Fn(&str) -> String,
    /// Returns the command line that pulls from it.
    pub pull: &'c dyn Fn(&str) -> String,
}

/// Asserts that a command line fails, and says why in one of these words.
pub fn refused(sandbox: &Sandbox, line: &str, reasons: &[&str]) {
    let printed = sandbox.refused(line).both();
    assert!(
        reasons.iter().any(|reason| printed.contains(reason)),
        "{line}\nsaid none of {reasons:?}:\n{printed}"
    );
}

/// Takes a client through all of it. `denied` are words of which it says one when a user lacks a right.
pub fn walk(sandbox: &Sandbox, steps: &Steps<'_>, denied: &[&str]) {
    let Steps { log_in, push, pull } = steps;
    refused(sandbox, &push("team/app"), NO_LOGIN);
    log_in(Some(PULLS));
    refused(sandbox, &push("team/app"), denied);
    log_in(Some(PUSHES));
    for repository in ["team/app", "private/app"] {
        sandbox.run(push(repository));
    }
    sandbox.run(pull("private/app"));
    log_in(None);
    sandbox.run(pull("team/app"));
    refused(sandbox, &pull("private/app"), NO_LOGIN);
}
