//! Command lines and configurations that start each peer on a port, with its data in a directory.
//!
//! Every peer is configured for speed: no access log, no authentication.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::consts::{MANIFEST_TYPE, STATIC_ROOT};
use crate::error::Result;

pub struct Launch {
    pub args: Vec<String>,
    pub environment: Vec<(&'static str, &'static str)>,
}

impl Launch {
    fn new<const N: usize>(args: [&str; N]) -> Launch {
        Launch {
            args: args.map(str::to_owned).to_vec(),
            environment: Vec::new(),
        }
    }
}

pub fn registry(dir: &Path, port: u16) -> Result<Launch> {
    Ok(Launch::new([
        "serve",
        "--addr",
        &format!("127.0.0.1:{port}"),
        "--data-dir",
        &shown(&dir.join("data")),
    ]))
}

pub fn distribution_v2(dir: &Path, port: u16) -> Result<Launch> {
    distribution(dir, port)
}

pub fn distribution_v3(dir: &Path, port: u16) -> Result<Launch> {
    let mut launch = distribution(dir, port)?;
    // by default it exports traces to https://localhost:4318
    launch.environment.push(("OTEL_TRACES_EXPORTER", "none"));
    Ok(launch)
}

fn distribution(dir: &Path, port: u16) -> Result<Launch> {
    let root = shown(&dir.join("data"));
    // YAML is a superset of JSON
    let config = json!({
        "version": 0.1,
        "log": { "level": "error", "accesslog": { "disabled": true } },
        "storage": {
            "cache": { "blobdescriptor": "inmemory" },
            "filesystem": { "rootdirectory": root },
            "delete": { "enabled": true },
        },
        "http": { "addr": format!("127.0.0.1:{port}"), "secret": "benchmark" },
    });
    let path = write(dir, "config.yml", &config.to_string())?;
    Ok(Launch::new(["serve", &path]))
}

pub fn zot(dir: &Path, port: u16) -> Result<Launch> {
    let config = json!({
        "distSpecVersion": "1.1.1",
        // `commit` is zot's fsync; its default is false
        "storage": { "rootDirectory": shown(&dir.join("data")), "commit": true },
        "http": { "address": "127.0.0.1", "port": port.to_string() },
        "log": { "level": "error" },
    });
    let path = write(dir, "config.json", &config.to_string())?;
    Ok(Launch::new(["serve", &path]))
}

pub fn angos(dir: &Path, port: u16) -> Result<Launch> {
    let root = shown(&dir.join("data"));
    let config = format!(
        "[server]\nbind_address = \"127.0.0.1\"\nport = {port}\n\n\
         [global]\nupdate_pull_time = false\n\n\
         [global.access_policy]\ndefault = \"allow\"\n\n\
         [blob_store.fs]\nroot_dir = \"{root}\"\nsync_to_disk = true\n\n\
         [metadata_store.fs]\nroot_dir = \"{root}\"\nsync_to_disk = true\n\n\
         [repository.\"bench\"]\n"
    );
    let path = write(dir, "config.toml", &config)?;
    Ok(Launch::new(["-c", &path, "server"]))
}

pub fn nginx(dir: &Path, port: u16) -> Result<Launch> {
    let base = shown(dir);
    fs::create_dir_all(dir.join(STATIC_ROOT))?;
    // SAFETY: geteuid has no preconditions.
    let root = unsafe { libc::geteuid() } == 0;
    // workers of a root master would become www-data, which cannot enter the directory
    let user = if root { "user root;" } else { "" };
    let config = format!(
        "{user}
        daemon off;
        worker_processes 2;
        pid {base}/nginx.pid;
        error_log {base}/error.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off;
            sendfile on;
            tcp_nopush on;
            keepalive_requests 1000000000;
            client_body_temp_path {base}/body;
            proxy_temp_path {base}/proxy;
            fastcgi_temp_path {base}/fastcgi;
            uwsgi_temp_path {base}/uwsgi;
            scgi_temp_path {base}/scgi;
            default_type {};
            server {{ listen 127.0.0.1:{port}; root {base}/{STATIC_ROOT}; }}
        }}\n",
        MANIFEST_TYPE
    );
    let path = write(dir, "nginx.conf", &config)?;
    Ok(Launch::new(["-c", &path, "-p", &base]))
}

fn write(dir: &Path, name: &str, text: &str) -> Result<String> {
    let path = dir.join(name);
    fs::write(&path, text)?;
    Ok(shown(&path))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
