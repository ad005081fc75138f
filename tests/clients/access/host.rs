//! The server of these tests.

use crate::harness::sandbox::Sandbox;
use crate::harness::server::Server;

/// Users, and their passwords: the first may push everywhere, the second only pull.
pub const PUSHES: (&str, &str) = ("alice", "wonderland");
pub const PULLS: (&str, &str) = ("bob", "the-builder");

const CONFIG: &str = "version: 0.1
auth: {htpasswd: {realm: r, path: users}}
access:
  rules:
  - {repositories: '**', who: users, may: pull}
  - {repositories: '**', who: alice, may: push}
  - {repositories: 'team/**', who: anonymous, may: pull}
";

/// Starts a server on which everybody pulls `team/**`, all users pull, and alice pushes; its data is in a directory called
/// `name`.
pub fn public_and_private(sandbox: &Sandbox, name: &str, more: &str) -> Server {
    let line = |(user, password): (&str, &str)| {
        let made = sandbox.registry(&["htpasswd", "-bnBC", "4", user, password]);
        let made = { made }.output().unwrap();
        String::from_utf8(made.stdout).unwrap().trim().to_owned() + "\n"
    };
    sandbox.write("users", line(PUSHES) + &line(PULLS));
    let file = format!("{name}.yml");
    sandbox.write(&file, format!("{CONFIG}{more}"));
    let arguments = [&*file, "--addr", "127.0.0.1:0", "--data-dir", name];
    Server::launch(sandbox.dir(), name, &arguments, &[])
}
