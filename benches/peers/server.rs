//! A running server.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::consts::STATIC_ROOT;
use crate::error::Result;
use crate::http::{Body, Conn};
use crate::peer::{Found, Peer};
use crate::process;

pub struct Server {
    pub peer: &'static Peer,
    pub addr: SocketAddr,
    child: Child,
    dir: TempDir,
}

/// Cost of one timed step, in seconds.
pub struct Cost {
    pub wall: f64,
    pub cpu: f64,
}

const START_WITHIN: Duration = Duration::from_secs(20);
const STOP_WITHIN: Duration = Duration::from_secs(10);

impl Server {
    pub fn start(found: &Found, below: &Path) -> Result<Server> {
        let dir = tempfile::Builder::new()
            .prefix(&format!("peers-{}-", found.peer.name))
            .tempdir_in(below)?;
        let port = free_port()?;
        let launch = (found.peer.launch)(dir.path(), port)?;
        let log = File::create(dir.path().join("log"))?;
        let mut command = Command::new(&found.binary);
        command
            .args(&launch.args)
            .envs(launch.environment.iter().copied())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // SAFETY: prctl is async-signal-safe, and the closure does nothing else.
        unsafe { command.pre_exec(die_with_parent) };
        let child = command
            .spawn()
            .map_err(|e| format!("{}: {e}", found.binary.display()))?;
        let mut server = Server {
            peer: found.peer,
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            child,
            dir,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            let answer = Conn::open(self.addr)
                .and_then(|mut conn| conn.call("GET", "/v2/", &[], Body::Empty));
            match answer {
                Ok(reply) if reply.status == 200 || !self.peer.takes_pushes => return Ok(()),
                Ok(reply) if Instant::now() > deadline => {
                    return Err(format!("GET /v2/ answered {}", reply.status).into());
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                _ => {}
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("ended at start, {status}: {}", self.log_tail()).into());
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Returns the CPU time of the server's process tree, user and system, in seconds.
    pub fn cpu(&self) -> Result<f64> {
        process::cpu_seconds(self.child.id())
    }

    /// Runs `step` and measures its wall time and server CPU.
    pub fn cost<T>(&self, step: impl FnOnce() -> Result<T>) -> Result<(T, Cost)> {
        let cpu = self.cpu()?;
        let start = Instant::now();
        let value = step()?;
        let wall = start.elapsed().as_secs_f64();
        // work that the server does after its last byte belongs to the request
        sleep(Duration::from_millis(20));
        let cpu = self.cpu()? - cpu;
        Ok((value, Cost { wall, cpu }))
    }

    /// Returns the peak resident memory since the start or the last `forget_peak`, in MiB.
    pub fn peak_memory(&self) -> Result<f64> {
        process::peak_mib(self.child.id())
    }

    pub fn forget_peak(&self) {
        process::forget_peak(self.child.id());
    }

    pub fn open(&self) -> Result<Conn> {
        Conn::open(self.addr)
    }

    /// Returns the path from which a static file server answers `target`.
    pub fn static_file(&self, target: &str) -> Result<PathBuf> {
        let path = self
            .dir
            .path()
            .join(STATIC_ROOT)
            .join(target.trim_start_matches('/'));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(path)
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.dir.path().join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let from = text.len().saturating_sub(800);
        text.get(from..).unwrap_or(&text).trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: the child has not been waited for, so its id is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let deadline = Instant::now() + STOP_WITHIN;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

fn die_with_parent() -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches only the calling process.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
