//! Debian's `docker-registry`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::harness::api::Api;
use crate::harness::program;

pub struct Peer {
    pub address: String,
    api: Api,
    child: Child,
}

impl Peer {
    /// Starts it on a free port with its store in `theirs`, with deleting switched on, as it is in ours, and with `auth` as its section of that name.
    pub fn start(dir: &Path, auth: &Value) -> Self {
        Self::with(dir, &json!({ "auth": auth }))
    }

    /// The same, with more sections.
    pub fn with(dir: &Path, sections: &Value) -> Self {
        // YAML is a superset of JSON
        let mut config = json!({
            "version": 0.1,
            "storage": { "filesystem": { "rootdirectory": dir.join("theirs") }, "delete": { "enabled": true } },
            "http": { "addr": "127.0.0.1:0", "secret": "differences" },
        });
        for (name, section) in sections.as_object().unwrap() {
            config[name] = section.clone();
        }
        let path = dir.join("theirs.yml");
        fs::write(&path, config.to_string()).unwrap();
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program::find("docker-registry").unwrap())
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut printed = Vec::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("it did not start:\n{}", printed.join("\n"))
            };
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split('"').next().unwrap().to_owned();
            }
            printed.push(line);
        };
        // it goes on to log every request, and must not wait for a reader
        thread::spawn(move || lines.for_each(drop));
        Self {
            api: Api::new(&address),
            address,
            child,
        }
    }
}

impl Deref for Peer {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
